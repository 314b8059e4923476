//! What the service does to executions by itself: queue, end, retry, abort, complete.

use super::job_config::{AbortCriterion, FailureType};
use super::queue::Changes;
use super::service::Service;
use super::state::{DueRetry, Execution, ExecutionStatus, JobStatus, RetriesUsed, TargetSelection};

/// Reason code of a job that met its abort criteria (seen at the live service).
const ABORT_REASON: &str = "ABORT_CANCEL";

impl Service {
    /// Finds an execution: that number, or the latest.
    pub(crate) fn find(
        &self,
        thing: &str,
        job_id: &str,
        number: Option<u64>,
    ) -> Option<(u64, &Execution)> {
        let numbers = self.executions.get(thing)?.get(job_id)?;
        match number {
            Some(number) => numbers.get(&number).map(|execution| (number, execution)),
            None => numbers
                .last_key_value()
                .map(|(number, execution)| (*number, execution)),
        }
    }

    pub(crate) fn find_mut(
        &mut self,
        thing: &str,
        job_id: &str,
        number: u64,
    ) -> Option<&mut Execution> {
        self.executions
            .get_mut(thing)?
            .get_mut(job_id)?
            .get_mut(&number)
    }

    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial = self.serial.saturating_add(1);
        self.serial
    }

    /// Queues a new execution of a job on a thing.
    pub(crate) fn queue_execution(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        used: RetriesUsed,
        changes: &mut Changes,
    ) {
        changes.touch(self, thing);
        let serial = self.next_serial();
        let hidden_reads = self.faults.read_lag;
        let Some(job) = self.jobs.get_mut(job_id) else {
            return;
        };
        job.members.insert(thing.to_owned());
        job.notified = job.notified.saturating_add(1);
        let numbers = self
            .executions
            .entry(thing.to_owned())
            .or_default()
            .entry(job_id.to_owned())
            .or_default();
        let number = numbers
            .last_key_value()
            .map_or(1, |(last, _)| last.saturating_add(1));
        let execution = Execution {
            status: ExecutionStatus::Queued,
            details: None,
            version: 1,
            queued_at_ms: now_ms,
            serial,
            started_at_ms: None,
            updated_at_ms: now_ms,
            force_canceled: false,
            job_deadline_ms: None,
            step_deadline_ms: None,
            retries_used: used,
            hidden_reads,
        };
        numbers.insert(number, execution);
    }

    /// Ends an open execution from the service's side.
    pub(crate) fn end_execution(
        &mut self,
        now_ms: u64,
        thing: &str,
        (job_id, number): (&str, u64),
        status: ExecutionStatus,
        forced: bool,
        changes: &mut Changes,
    ) {
        changes.touch(self, thing);
        let Some(execution) = self.find_mut(thing, job_id, number) else {
            return;
        };
        if execution.status.is_terminal() {
            return;
        }
        execution.force_canceled = forced;
        execution.changed(now_ms, status);
        self.after_end(now_ms, thing, job_id, number, changes);
    }

    /// What follows from the end of an execution: event, retry, abort, completion of the job.
    pub(crate) fn after_end(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        number: u64,
        changes: &mut Changes,
    ) {
        self.execution_event(now_ms, thing, job_id, number, changes);
        self.retry(now_ms, thing, job_id, number, changes);
        self.check_abort(now_ms, job_id, changes);
        self.check_completed(now_ms, job_id, changes);
    }

    fn retry(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        number: u64,
        changes: &mut Changes,
    ) {
        let Some((_, execution)) = self.find(thing, job_id, Some(number)) else {
            return;
        };
        let (status, mut used) = (execution.status, execution.retries_used);
        let Some(job) = self.jobs.get(job_id) else {
            return;
        };
        if job.status != JobStatus::InProgress {
            return;
        }
        let left = job
            .retry
            .iter()
            .any(|criterion| match (criterion.failure, status) {
                (FailureType::Failed, ExecutionStatus::Failed) => used.failed < criterion.retries,
                (FailureType::TimedOut, ExecutionStatus::TimedOut) => {
                    used.timed_out < criterion.retries
                }
                (FailureType::All, ExecutionStatus::Failed | ExecutionStatus::TimedOut) => {
                    used.total() < criterion.retries
                }
                _ => false,
            });
        if !left {
            return;
        }
        match status {
            ExecutionStatus::TimedOut => used.timed_out = used.timed_out.saturating_add(1),
            _ => used.failed = used.failed.saturating_add(1),
        }
        if self.settings.retry_delay_ms == 0 {
            self.queue_execution(now_ms, thing, job_id, used, changes);
        } else {
            let at_ms = now_ms.saturating_add(self.settings.retry_delay_ms);
            if let Some(job) = self.jobs.get_mut(job_id) {
                job.due_retries.push(DueRetry {
                    at_ms,
                    thing: thing.to_owned(),
                    used,
                });
            }
        }
    }

    /// The latest execution of each thing of a job.
    pub(crate) fn latest_of_job(&self, job_id: &str) -> Vec<(String, u64, &Execution)> {
        let members = self.jobs.get(job_id).map(|job| &job.members);
        members
            .into_iter()
            .flatten()
            .filter_map(|thing| {
                let (number, execution) = self.find(thing, job_id, None)?;
                Some((thing.clone(), number, execution))
            })
            .collect()
    }

    pub(crate) fn count_latest(&self, job_id: &str, wanted: &[ExecutionStatus]) -> u64 {
        let latest = self.latest_of_job(job_id);
        let count = latest
            .iter()
            .filter(|(_, _, e)| wanted.contains(&e.status))
            .count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Cancels the job when a criterion is met; the first one in the list counts.
    fn check_abort(&mut self, now_ms: u64, job_id: &str, changes: &mut Changes) {
        let Some(job) = self.jobs.get(job_id) else {
            return;
        };
        if job.status != JobStatus::InProgress || job.abort.is_empty() {
            return;
        }
        let executed = self.count_latest(
            job_id,
            &[
                ExecutionStatus::Succeeded,
                ExecutionStatus::Failed,
                ExecutionStatus::Rejected,
                ExecutionStatus::TimedOut,
            ],
        );
        let met = job.abort.iter().find(|criterion| {
            let failed = self.count_latest(job_id, failures(criterion.failure));
            is_met(criterion, executed, failed)
        });
        let Some(criterion) = met.copied() else {
            return;
        };
        if let Some(job) = self.jobs.get_mut(job_id) {
            job.reason_code = Some(ABORT_REASON.to_owned());
            job.comment = Some(format!(
                "Abort criteria for failure type {} with threshold {}% met. \
                 Total completed executions: {executed}",
                criterion.failure.as_str(),
                percent(criterion.threshold_basis_points),
            ));
        }
        self.stop_job(now_ms, job_id, false, changes);
    }

    /// Puts a job to CANCELED and ends its QUEUED executions, with force also the running ones.
    pub(crate) fn stop_job(
        &mut self,
        now_ms: u64,
        job_id: &str,
        force: bool,
        changes: &mut Changes,
    ) {
        let Some(job) = self.jobs.get_mut(job_id) else {
            return;
        };
        job.status = JobStatus::Canceled;
        job.updated_at_ms = now_ms;
        job.completed_at_ms = Some(now_ms);
        job.force_canceled = job.force_canceled || force;
        job.waiting.clear();
        job.next_rollout_ms = None;
        job.due_retries.clear();
        let open: Vec<(String, u64)> = self
            .latest_of_job(job_id)
            .into_iter()
            .filter(|(_, _, execution)| match execution.status {
                ExecutionStatus::Queued => true,
                ExecutionStatus::InProgress => force,
                ExecutionStatus::Succeeded
                | ExecutionStatus::Failed
                | ExecutionStatus::TimedOut
                | ExecutionStatus::Rejected
                | ExecutionStatus::Removed
                | ExecutionStatus::Canceled => false,
            })
            .map(|(thing, number, _)| (thing, number))
            .collect();
        self.job_event(now_ms, job_id, "cancellation_in_progress", changes);
        for (thing, number) in open {
            let id = (job_id, number);
            self.end_execution(
                now_ms,
                &thing,
                id,
                ExecutionStatus::Canceled,
                force,
                changes,
            );
        }
        self.job_event(now_ms, job_id, "canceled", changes);
    }

    /// A snapshot job is COMPLETED when nothing of it is open any more; a continuous one never is.
    pub(crate) fn check_completed(&mut self, now_ms: u64, job_id: &str, changes: &mut Changes) {
        let Some(job) = self.jobs.get(job_id) else {
            return;
        };
        let may_end = job.status == JobStatus::InProgress
            && job.selection == TargetSelection::Snapshot
            && job.waiting.is_empty()
            && job.due_retries.is_empty();
        if !may_end
            || self
                .latest_of_job(job_id)
                .iter()
                .any(|(_, _, e)| !e.status.is_terminal())
        {
            return;
        }
        if let Some(job) = self.jobs.get_mut(job_id) {
            job.status = JobStatus::Completed;
            job.updated_at_ms = now_ms;
            job.completed_at_ms = Some(now_ms);
        }
        self.job_event(now_ms, job_id, "completed", changes);
    }
}

const fn failures(kind: FailureType) -> &'static [ExecutionStatus] {
    match kind {
        FailureType::Failed => &[ExecutionStatus::Failed],
        FailureType::Rejected => &[ExecutionStatus::Rejected],
        FailureType::TimedOut => &[ExecutionStatus::TimedOut],
        FailureType::All => &[
            ExecutionStatus::Failed,
            ExecutionStatus::Rejected,
            ExecutionStatus::TimedOut,
        ],
    }
}

/// Enough things are through, and the share of failures has reached the threshold.
fn is_met(criterion: &AbortCriterion, executed: u64, failed: u64) -> bool {
    failed > 0
        && executed >= criterion.min_executed.max(1)
        && failed.saturating_mul(10_000)
            >= criterion.threshold_basis_points.saturating_mul(executed)
}

fn percent(basis_points: u64) -> String {
    let (whole, rest) = (basis_points / 100, basis_points % 100);
    if rest == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{rest:02}")
    }
}
