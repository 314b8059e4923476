//! The core's milliseconds on embassy's clock.

use embassy_time::{Duration, Instant, Timer};
use jobs_agent_core::Millis;

/// Now, counted from the start of the time driver.
pub(crate) fn now() -> Millis {
    Millis(Instant::now().as_millis())
}

/// Rings at `at`, or never.
#[inline(never)]
pub(crate) fn timer(at: Option<Millis>) -> Timer {
    match at {
        Some(at) => Timer::after(Duration::from_millis(now().until(at))),
        None => Timer::at(Instant::MAX),
    }
}
