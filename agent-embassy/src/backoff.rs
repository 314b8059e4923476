//! How long to wait before the next attempt to connect.
//!
//! Full jitter, as in the Linux adapter: a fleet that lost its broker at one moment must not come
//! back at one moment.

/// Upper bound of the first wait, milliseconds: one lost packet should not cost more.
const BASE_MS: u32 = 1_000;
/// Upper bound of every later wait, milliseconds: a repaired network is used within a minute.
const CAP_MS: u32 = 60_000;
/// Longest wait after a refusal that only a person can remove, milliseconds; the shortest is half
/// of it. Five minutes after the repair are bearable, and the service is not hammered meanwhile.
const PERMANENT_MS: u32 = 300_000;
/// Doubling stops here; the cap is reached before.
const DOUBLINGS_MAX: u8 = 6;

/// The waits of one run. The same seed gives the same waits.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    failures: u8,
    random: u64,
}

impl Backoff {
    /// No failure seen yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            random: seed,
        }
    }

    /// Milliseconds to wait after one more failure that may pass by itself.
    pub(crate) fn after_failure_ms(&mut self) -> u32 {
        let bound = (BASE_MS << self.failures.min(DOUBLINGS_MAX)).min(CAP_MS);
        self.failures = self.failures.saturating_add(1);
        self.up_to(bound)
    }

    /// Milliseconds to wait after a failure that needs a person.
    pub(crate) fn after_refusal_ms(&mut self) -> u32 {
        const HALF_MS: u32 = PERMANENT_MS >> 1;
        HALF_MS.saturating_add(self.up_to(HALF_MS))
    }

    /// The connection proved to be of use: the next failure is a first one again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// A value of `0..bound`: the upper half of a product, as cores without division like it.
    fn up_to(&mut self, bound: u32) -> u32 {
        self.random = mix(self.random);
        let drawn = (self.random >> 32).saturating_mul(u64::from(bound)) >> 32;
        u32::try_from(drawn).unwrap_or(bound)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to spread a fleet.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_begin_anew_after_a_good_connection() {
        let mut backoff = Backoff::new(7);
        let mut longest = 0;
        for bound in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
            let wait = backoff.after_failure_ms();
            assert!(wait < bound, "{wait} of {bound}");
            longest = longest.max(wait);
        }
        assert!(longest > 8_000);
        backoff.reset();
        assert!(backoff.after_failure_ms() < 1_000);
    }

    #[test]
    fn a_refusal_waits_for_minutes_whatever_came_before() {
        let mut backoff = Backoff::new(1);
        for _ in 0..100 {
            assert!((150_000..300_000).contains(&backoff.after_refusal_ms()));
        }
    }

    #[test]
    fn two_devices_do_not_wait_alike() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            core::array::from_fn::<u32, 4, _>(|_| backoff.after_failure_ms())
        };
        assert_ne!(waits(1), waits(2));
        assert_eq!(waits(1), waits(1));
    }
}
