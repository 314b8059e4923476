//! Everything that happens because time passes, one thing at a time and in order.

use super::ops::Message;
use super::queue::Changes;
use super::service::Service;
use super::state::{ExecutionStatus, JobStatus};

/// Something that becomes due. The order of the variants settles ties, so that two services given
/// the same calls stay equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    TimeOut {
        thing: String,
        job_id: String,
        number: u64,
    },
    Retry {
        job_id: String,
        index: usize,
    },
    Rollout {
        job_id: String,
    },
    JobGone {
        job_id: String,
    },
}

impl Service {
    pub(crate) fn fire_timers(&mut self, now_ms: u64) -> Vec<Message> {
        let mut messages = std::mem::take(&mut self.unsent);
        while let Some((at_ms, due)) = self.due_by(now_ms) {
            let mut changes = Changes::default();
            self.fire(at_ms, due, &mut changes);
            messages.extend(changes.finish(self, at_ms));
        }
        messages
    }

    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        if !self.unsent.is_empty() {
            return Some(0);
        }
        self.earliest_ms()
    }

    /// Looks at times only: most calls find nothing due, and a fleet has many timers.
    fn earliest_ms(&self) -> Option<u64> {
        let executions = self.deadlines().map(|(at_ms, ..)| at_ms);
        let jobs = self.jobs.values().flat_map(|job| {
            let retries = job.due_retries.iter().map(|retry| retry.at_ms);
            retries.chain(job.next_rollout_ms).chain(job.gone_at_ms)
        });
        executions.chain(jobs).min()
    }

    fn due_by(&self, now_ms: u64) -> Option<(u64, Due)> {
        let earliest_ms = self.earliest_ms().filter(|at_ms| *at_ms <= now_ms)?;
        let time_outs = self
            .deadlines()
            .filter(|(at_ms, ..)| *at_ms == earliest_ms)
            .map(|(at_ms, thing, job_id, number)| {
                let (thing, job_id) = (thing.to_owned(), job_id.to_owned());
                (
                    at_ms,
                    Due::TimeOut {
                        thing,
                        job_id,
                        number,
                    },
                )
            });
        time_outs.chain(self.due_jobs()).min()
    }

    /// When each running execution times out: its deadline and the lag.
    fn deadlines(&self) -> impl Iterator<Item = (u64, &str, &str, u64)> + '_ {
        let lag_ms = self.settings.timeout_lag_ms;
        let all = self.executions.iter().flat_map(|(thing, jobs)| {
            jobs.iter().flat_map(move |(job_id, numbers)| {
                numbers
                    .iter()
                    .map(move |(number, execution)| (thing, job_id, number, execution))
            })
        });
        all.filter_map(move |(thing, job_id, number, execution)| {
            let at_ms = execution.deadline_ms()?.saturating_add(lag_ms);
            Some((at_ms, thing.as_str(), job_id.as_str(), *number))
        })
    }

    fn due_jobs(&self) -> impl Iterator<Item = (u64, Due)> + '_ {
        self.jobs.iter().flat_map(|(job_id, job)| {
            let retries = job
                .due_retries
                .iter()
                .enumerate()
                .map(move |(index, retry)| {
                    (
                        retry.at_ms,
                        Due::Retry {
                            job_id: job_id.clone(),
                            index,
                        },
                    )
                });
            let rollout = job.next_rollout_ms.map(|at_ms| {
                (
                    at_ms,
                    Due::Rollout {
                        job_id: job_id.clone(),
                    },
                )
            });
            let gone = job.gone_at_ms.map(|at_ms| {
                (
                    at_ms,
                    Due::JobGone {
                        job_id: job_id.clone(),
                    },
                )
            });
            retries.chain(rollout).chain(gone)
        })
    }

    fn fire(&mut self, at_ms: u64, due: Due, changes: &mut Changes) {
        match due {
            Due::TimeOut {
                thing,
                job_id,
                number,
            } => {
                let id = (job_id.as_str(), number);
                let status = ExecutionStatus::TimedOut;
                self.end_execution(at_ms, &thing, id, status, false, changes);
            }
            Due::Retry { job_id, index } => {
                let Some(job) = self.jobs.get_mut(&job_id) else {
                    return;
                };
                if index >= job.due_retries.len() {
                    return;
                }
                let retry = job.due_retries.remove(index);
                if job.status == JobStatus::InProgress {
                    self.queue_execution(at_ms, &retry.thing, &job_id, retry.used, changes);
                }
            }
            Due::Rollout { job_id } => self.roll_out(at_ms, &job_id, changes),
            Due::JobGone { job_id } => {
                self.job_event(at_ms, &job_id, "deleted", changes);
                self.jobs.remove(&job_id);
            }
        }
    }
}
