//! Waiting times between repetitions, by class of error.

use crate::{config::Backoff, rng::Rng, time::Timer};

/// The wait before repetition number `tries` (0 is the first).
///
/// Half of the step is fixed, half is drawn: a fleet that was cut off together comes back spread
/// out, and no device hammers.
pub(crate) fn wait(backoff: Backoff, tries: u8, rng: &mut Rng) -> Timer {
    let mut step = backoff.base_ms.max(1);
    let mut left = tries;
    while left > 0 && step < backoff.cap_ms {
        step = step.saturating_add(step);
        left = left.saturating_sub(1);
    }
    let step = step.min(backoff.cap_ms).max(1);
    let half = step >> 1;
    // Both halves make up the step: nothing wraps.
    let drawn = rng.up_to(step.wrapping_sub(half));
    Timer::after(half.wrapping_add(drawn))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        base_ms: 1_000,
        cap_ms: 8_000,
    };

    fn wait_ms(tries: u8, rng: &mut Rng) -> u32 {
        wait(BACKOFF, tries, rng).left_ms()
    }

    #[test]
    fn a_wait_lies_between_half_and_the_whole_of_its_step() {
        let mut rng = Rng::new(3);
        for (tries, step) in [(0, 1_000), (1, 2_000), (2, 4_000), (3, 8_000), (9, 8_000)] {
            for _ in 0..100 {
                let wait = wait_ms(tries, &mut rng);
                assert!((step / 2..=step).contains(&wait), "{wait} for step {step}");
            }
        }
    }

    #[test]
    fn any_number_of_tries_stays_at_the_cap() {
        assert!(wait_ms(u8::MAX, &mut Rng::new(1)) <= 8_000);
    }
}
