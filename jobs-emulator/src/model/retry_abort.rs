//! What a failure leads to: another attempt, or the end of the whole job.

use super::job_config::{AbortCriterion, FailureType, RetryCriterion};
use super::queue::Changes;
use super::service::Service;
use super::state::{DueRetry, ExecutionStatus, JobStatus, RetriesUsed};

/// Reason code of a job that met its abort criteria (seen at the live service).
const ABORT_REASON: &str = "ABORT_CANCEL";
/// Basis points in the whole: thresholds are hundredths of a percent.
const WHOLE_BASIS_POINTS: u64 = 10_000;

impl Service {
    /// Queues the next attempt of an execution that just ended, if its job has one left.
    ///
    /// AWS documents neither the delay nor the number; here the number counts up by one and the
    /// delay is a setting.
    pub(crate) fn retry(
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
        let Some(job) = self.jobs.get(job_id) else {
            return;
        };
        if job.status != JobStatus::InProgress {
            return;
        }
        let Some(used) = next_attempt(&job.retry, execution.status, execution.retries_used) else {
            return;
        };
        if self.settings.retry_delay_ms == 0 {
            self.queue_execution(now_ms, thing, job_id, used, changes);
            return;
        }
        let at_ms = now_ms.saturating_add(self.settings.retry_delay_ms);
        if let Some(job) = self.jobs.get_mut(job_id) {
            job.due_retries.push(DueRetry {
                at_ms,
                thing: thing.to_owned(),
                used,
            });
        }
    }

    /// Cancels the job when a criterion is met; the first one in the list counts.
    pub(crate) fn check_abort(&mut self, now_ms: u64, job_id: &str, changes: &mut Changes) {
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
}

/// The count of retries after one more, if a criterion still allows it.
fn next_attempt(
    criteria: &[RetryCriterion],
    status: ExecutionStatus,
    used: RetriesUsed,
) -> Option<RetriesUsed> {
    let (kind, spent, next) = match status {
        ExecutionStatus::Failed => {
            let failed = used.failed.saturating_add(1);
            (
                FailureType::Failed,
                used.failed,
                RetriesUsed { failed, ..used },
            )
        }
        ExecutionStatus::TimedOut => {
            let timed_out = used.timed_out.saturating_add(1);
            (
                FailureType::TimedOut,
                used.timed_out,
                RetriesUsed { timed_out, ..used },
            )
        }
        ExecutionStatus::Queued
        | ExecutionStatus::InProgress
        | ExecutionStatus::Succeeded
        | ExecutionStatus::Rejected
        | ExecutionStatus::Removed
        | ExecutionStatus::Canceled => return None,
    };
    let allowed = criteria.iter().any(|criterion| {
        (criterion.failure == kind && spent < criterion.retries)
            || (criterion.failure == FailureType::All && used.total() < criterion.retries)
    });
    allowed.then_some(next)
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
        && failed.saturating_mul(WHOLE_BASIS_POINTS)
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
