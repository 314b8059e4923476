//! How fast a job reaches its targets.

use super::job_config::{RateCriterion, Rollout};
use super::queue::Changes;
use super::service::Service;
use super::state::{ExecutionStatus, RetriesUsed};

/// One roll-out step, in ms: rates are per minute.
const STEP_MS: u64 = 60_000;
/// Most things per minute, whatever a job asks for (AWS IoT quotas).
pub(crate) const RATE_MAX: u64 = 1000;

impl Service {
    /// Notifies the next targets of a job, and says when to go on.
    ///
    /// A job without roll-out configuration reaches everyone at once.
    pub(crate) fn roll_out(&mut self, now_ms: u64, job_id: &str, changes: &mut Changes) {
        let Some(job) = self.jobs.get(job_id) else {
            return;
        };
        let rate = match job.rollout {
            None => usize::MAX,
            Some(rollout) => {
                let succeeded = self.count_latest(job_id, &[ExecutionStatus::Succeeded]);
                usize::try_from(rate(&rollout, job.notified, succeeded)).unwrap_or(usize::MAX)
            }
        };
        let Some(job) = self.jobs.get_mut(job_id) else {
            return;
        };
        let batch: Vec<String> = job.waiting.drain(..rate.min(job.waiting.len())).collect();
        job.next_rollout_ms = if job.waiting.is_empty() {
            None
        } else {
            Some(now_ms.saturating_add(STEP_MS))
        };
        for thing in batch {
            self.queue_execution(now_ms, &thing, job_id, RetriesUsed::default(), changes);
        }
        self.check_completed(now_ms, job_id, changes);
    }
}

/// Things per minute. The threshold is cumulative: with base 50, factor 2 and 1000 it is 50 until
/// 1000 things were notified, 100 until 2000, 200 until 3000.
///
/// Source: AWS IoT developer guide, jobs-configurations-details.
fn rate(rollout: &Rollout, notified: u64, succeeded: u64) -> u64 {
    let ceiling = rollout
        .maximum_per_minute
        .unwrap_or(RATE_MAX)
        .clamp(1, RATE_MAX);
    let Some(exponential) = rollout.exponential else {
        return ceiling;
    };
    let steps = match exponential.criterion {
        RateCriterion::Notified(threshold) => notified / threshold.max(1),
        RateCriterion::Succeeded(threshold) => succeeded / threshold.max(1),
    };
    // In tenths of a thing, so that a factor such as 1.1 is not lost to rounding at once.
    let mut tenths = exponential.base_per_minute.saturating_mul(10);
    let ceiling_tenths = ceiling.saturating_mul(10);
    for _ in 0..steps {
        if tenths >= ceiling_tenths {
            break;
        }
        tenths = tenths.saturating_mul(exponential.factor_tenths.max(11)) / 10;
    }
    (tenths / 10).clamp(1, ceiling)
}

#[cfg(test)]
mod tests {
    use super::super::job_config::{ExponentialRate, RateCriterion, Rollout};
    use super::rate;

    #[test]
    fn the_documented_rates_grow_with_every_thousand_notified() {
        let rollout = Rollout {
            maximum_per_minute: Some(1000),
            exponential: Some(ExponentialRate {
                base_per_minute: 50,
                factor_tenths: 20,
                criterion: RateCriterion::Notified(1000),
            }),
        };
        let rates: Vec<u64> = [0, 999, 1000, 2000, 3000, 9000]
            .iter()
            .map(|n| rate(&rollout, *n, 0))
            .collect();
        assert_eq!(rates, [50, 50, 100, 200, 400, 1000]);
    }

    #[test]
    fn a_job_with_the_smallest_factor_still_grows() {
        let rollout = Rollout {
            maximum_per_minute: None,
            exponential: Some(ExponentialRate {
                base_per_minute: 1,
                factor_tenths: 11,
                criterion: RateCriterion::Succeeded(1),
            }),
        };
        assert_eq!(rate(&rollout, 0, 200), 1000);
    }
}
