//! Seeded randomness for jitter: plain data, so that a run can be repeated from its seed.

/// SplitMix64: one word of state, good enough to spread retries of a fleet.
///
/// Not for secrets. The seed comes from the adapter ([`crate::Boot::entropy`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rng(u64);

/// The state that stands for a generator without chance; no seed is likely to meet it.
#[cfg(feature = "_explore")]
const CALM: u64 = 0x9E37_79B9_7F4A_7C15_u64.wrapping_neg();

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A value in `0..=bound`.
    pub(crate) fn up_to(&mut self, bound: u32) -> u32 {
        // Multiply-shift instead of a modulo: no 64-bit division on a Cortex-M0+.
        let word = self.next() >> 32;
        let scaled = word.wrapping_mul(u64::from(bound).wrapping_add(1)) >> 32;
        u32::try_from(scaled).unwrap_or(bound).min(bound)
    }

    /// A generator that always draws zero: for exploration, where chance must not add states.
    #[cfg(feature = "_explore")]
    pub(crate) const fn calm() -> Self {
        Self(CALM)
    }

    fn next(&mut self) -> u64 {
        #[cfg(feature = "_explore")]
        if self.0 == CALM {
            return 0;
        }
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_never_passes_its_bound_and_reaches_both_ends() {
        let mut rng = Rng::new(7);
        let draws: [u32; 200] = core::array::from_fn(|_| rng.up_to(3));
        assert!(draws.iter().all(|&d| d <= 3));
        assert!(draws.contains(&0) && draws.contains(&3));
    }

    #[test]
    fn the_same_seed_gives_the_same_draws() {
        let (mut a, mut b) = (Rng::new(42), Rng::new(42));
        assert!((0..50).all(|_| a.up_to(1_000) == b.up_to(1_000)));
    }

    #[test]
    fn the_largest_bound_does_not_overflow() {
        let mut rng = Rng::new(1);
        let _ = rng.up_to(u32::MAX);
    }
}
