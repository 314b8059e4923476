//! Waiting times between repetitions, by class of error.

use crate::{config::Backoff, rng::Rng};

/// Doubling stops here; the cap is reached long before.
const DOUBLINGS_MAX: u8 = 20;

/// Milliseconds to wait before repetition number `tries` (0 is the first).
///
/// Half of the step is fixed, half is drawn: a fleet that was cut off together comes back spread
/// out, and no device hammers.
pub(crate) fn wait_ms(backoff: Backoff, tries: u8, rng: &mut Rng) -> u64 {
    let doubled = u64::from(backoff.base_ms) << tries.min(DOUBLINGS_MAX);
    let step = u32::try_from(doubled)
        .unwrap_or(u32::MAX)
        .min(backoff.cap_ms)
        .max(1);
    let half = step >> 1;
    u64::from(half).saturating_add(u64::from(rng.up_to(step.saturating_sub(half))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        base_ms: 1_000,
        cap_ms: 8_000,
    };

    #[test]
    fn a_wait_lies_between_half_and_the_whole_of_its_step() {
        let mut rng = Rng::new(3);
        for (tries, step) in [(0, 1_000), (1, 2_000), (2, 4_000), (3, 8_000), (9, 8_000)] {
            for _ in 0..100 {
                let wait = wait_ms(BACKOFF, tries, &mut rng);
                assert!((step / 2..=step).contains(&wait), "{wait} for step {step}");
            }
        }
    }

    #[test]
    fn any_number_of_tries_stays_at_the_cap() {
        assert!(wait_ms(BACKOFF, u8::MAX, &mut Rng::new(1)) <= 8_000);
    }
}
