//! When the service is asked for news.

use std::time::Duration;

use super::options::PollOptions;
use crate::link::{Backoff, BackoffOptions};

/// The waits between looks at the queue; no clock in it.
#[derive(Debug)]
pub(super) struct Schedule {
    options: PollOptions,
    /// The wait in force, before jitter.
    wait_ms: u64,
    /// Waits after looks that failed.
    failures: Backoff,
    jitter: Backoff,
}

impl Schedule {
    pub(super) fn new(options: PollOptions, seed: u64) -> Self {
        let failures = BackoffOptions {
            base_ms: options.busy_ms,
            cap_ms: options.idle_ms,
            permanent_ms: options.idle_ms,
        };
        Self {
            options,
            wait_ms: options.busy_ms,
            failures: Backoff::new(failures, seed),
            jitter: Backoff::new(failures, seed.rotate_left(32)),
        }
    }

    /// Something goes on: a job in progress, or a word of the agent.
    pub(super) fn busy(&mut self) -> Duration {
        self.failures.reset();
        self.wait_ms = self.options.busy_ms;
        self.spread()
    }

    /// The service was asked, and nothing goes on.
    pub(super) fn idle(&mut self) -> Duration {
        self.failures.reset();
        self.wait_ms = self.wait_ms.saturating_mul(2).min(self.options.idle_ms);
        self.spread()
    }

    /// The service did not answer as it should: at least the wait that was in force, and more with
    /// each failure.
    pub(super) fn failed(&mut self) -> Duration {
        self.spread().max(self.failures.after_failure())
    }

    /// The same when the service said that it is asked too often.
    pub(super) fn throttled(&mut self) -> Duration {
        self.wait_ms = self.wait_ms.saturating_mul(2).min(self.options.idle_ms);
        self.failed()
    }

    /// A wait from the upper half. A whole one, from nothing on, would ask twice at once for no gain.
    fn spread(&mut self) -> Duration {
        let half = self.wait_ms / 2;
        Duration::from_millis((self.wait_ms - half).saturating_add(self.jitter.up_to(half)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: PollOptions = PollOptions {
        busy_ms: 1_000,
        idle_ms: 10_000,
    };

    fn within(wait: Duration, most_ms: u64) {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap();
        assert!(
            (most_ms / 2..=most_ms).contains(&wait_ms),
            "{wait_ms} of {most_ms}"
        );
    }

    #[test]
    fn a_quiet_queue_is_asked_ever_more_seldom_up_to_the_idle_interval() {
        let mut schedule = Schedule::new(OPTIONS, 7);
        for most_ms in [2_000, 4_000, 8_000, 10_000, 10_000] {
            within(schedule.idle(), most_ms);
        }
        within(schedule.busy(), 1_000);
        within(schedule.idle(), 2_000);
    }

    #[test]
    fn failures_never_make_it_ask_sooner_and_never_stop_it_from_asking() {
        for seed in 0..100 {
            let mut schedule = Schedule::new(OPTIONS, seed);
            schedule.busy();
            for failure in 0..50_u32 {
                let wait = schedule.failed().as_millis();
                let most = u128::from((1_000_u64 << failure.min(10)).clamp(1_000, 10_000));
                assert!(
                    (500..=most).contains(&wait),
                    "{wait} after failure {failure}"
                );
            }
            for _ in 0..10 {
                schedule.throttled();
            }
            within(schedule.throttled(), 10_000);
        }
    }

    #[test]
    fn devices_that_begin_together_drift_apart() {
        let waits: std::collections::BTreeSet<_> = (0..100)
            .map(|seed| Schedule::new(OPTIONS, seed).idle())
            .collect();
        assert!(waits.len() > 90, "{}", waits.len());
    }

    #[test]
    fn the_default_costs_384_requests_a_day_while_idle() {
        let mut schedule = Schedule::new(PollOptions::default(), 3);
        for _ in 0..10 {
            schedule.idle();
        }
        let looks = 10_000_u32;
        let total: Duration = (0..looks).map(|_| schedule.idle()).sum();
        let a_day = 86_400.0 * f64::from(looks) / total.as_secs_f64();
        assert!((380.0..388.0).contains(&a_day), "{a_day}");
    }
}
