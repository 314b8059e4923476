//! How long to wait before the next attempt to connect.
//!
//! Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): a fleet that lost its
//! broker at one moment must not come back at one moment.

use std::time::Duration;

/// Upper bound of the first wait, in milliseconds: one lost packet should not cost more.
pub(super) const BASE_MS: u64 = 1_000;
/// Upper bound of every later wait, in milliseconds: a repaired network is used within a minute.
pub(super) const CAP_MS: u64 = 60_000;
/// Longest wait after a cause that only a person can remove, in milliseconds: five minutes of
/// delay after the repair are bearable, and the service is not hammered meanwhile.
pub(super) const PERMANENT_MS: u64 = 300_000;

/// The bounds of the waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffOptions {
    /// Upper bound of the first wait, in milliseconds.
    pub base_ms: u64,
    /// Upper bound of every later wait, in milliseconds.
    pub cap_ms: u64,
    /// Longest wait after a permanent cause, in milliseconds; the shortest is half of it.
    pub permanent_ms: u64,
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self {
            base_ms: BASE_MS,
            cap_ms: CAP_MS,
            permanent_ms: PERMANENT_MS,
        }
    }
}

/// The waits of one link. The same seed gives the same waits.
///
/// ```
/// use agent_std::link::{Backoff, BackoffOptions};
///
/// let mut backoff = Backoff::new(BackoffOptions::default(), 7);
/// assert!(backoff.after_failure().as_millis() <= 1_000);
/// assert!(backoff.after_failure().as_millis() <= 2_000);
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    options: BackoffOptions,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// Starts with no failure seen. `seed` should differ from device to device.
    #[must_use]
    pub fn new(options: BackoffOptions, seed: u64) -> Self {
        Self {
            options,
            failures: 0,
            random: seed,
        }
    }

    /// The wait after one more failure that may pass by itself.
    pub fn after_failure(&mut self) -> Duration {
        let doubled = 1_u64.checked_shl(self.failures.min(32)).unwrap_or(u64::MAX);
        let bound = self
            .options
            .base_ms
            .saturating_mul(doubled)
            .min(self.options.cap_ms);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(self.up_to(bound))
    }

    /// The wait after a failure that needs a person.
    pub fn after_permanent(&mut self) -> Duration {
        let half = self.options.permanent_ms / 2;
        Duration::from_millis(half.saturating_add(self.up_to(half)))
    }

    /// The connection proved to be stable: the next failure is a first failure again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// A value of `0..=bound`; the bias of the modulus is far below what matters here.
    pub(in crate::link) fn up_to(&mut self, bound: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to spread a fleet.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        match bound.checked_add(1) {
            Some(values) => mixed % values,
            None => mixed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_under_a_bound_that_doubles_up_to_the_cap() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(BackoffOptions::default(), seed);
            for failure in 0..40_u32 {
                let bound = (BASE_MS << failure.min(20)).min(CAP_MS);
                assert!(backoff.after_failure() <= Duration::from_millis(bound));
            }
        }
    }

    #[test]
    fn waits_are_spread_over_the_whole_range() {
        let waits: Vec<u64> = (0..1_000)
            .map(|seed| Backoff::new(BackoffOptions::default(), seed).after_failure())
            .map(|wait| u64::try_from(wait.as_millis()).unwrap())
            .collect();
        for tenth in 0..10 {
            let range = tenth * 100_u64..(tenth + 1) * 100;
            let hits = waits.iter().filter(|wait| range.contains(*wait)).count();
            assert!(
                (50..200).contains(&hits),
                "{hits} of 1000 waits in {range:?}"
            );
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let waits = |seed| {
            let mut backoff = Backoff::new(BackoffOptions::default(), seed);
            (0..10).map(|_| backoff.after_failure()).collect::<Vec<_>>()
        };
        assert_eq!(waits(5), waits(5));
        assert_ne!(waits(5), waits(6));
    }

    #[test]
    fn a_permanent_cause_is_retried_only_slowly() {
        let mut backoff = Backoff::new(BackoffOptions::default(), 1);
        for _ in 0..1_000 {
            let wait = backoff.after_permanent().as_millis();
            assert!((150_000..=300_000).contains(&wait));
        }
    }

    #[test]
    fn a_stable_connection_starts_the_waits_again() {
        let mut backoff = Backoff::new(BackoffOptions::default(), 3);
        for _ in 0..10 {
            backoff.after_failure();
        }
        backoff.reset();
        assert!(backoff.after_failure() <= Duration::from_millis(BASE_MS));
    }
}
