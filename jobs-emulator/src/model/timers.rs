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
        while let Some((at_ms, due)) = self.next_due().filter(|(at_ms, _)| *at_ms <= now_ms) {
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
        self.next_due().map(|(at_ms, _)| at_ms)
    }

    fn next_due(&self) -> Option<(u64, Due)> {
        self.due_time_outs().chain(self.due_jobs()).min()
    }

    fn due_time_outs(&self) -> impl Iterator<Item = (u64, Due)> + '_ {
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
            let due = Due::TimeOut {
                thing: thing.clone(),
                job_id: job_id.clone(),
                number: *number,
            };
            Some((at_ms, due))
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
