//! The core's milliseconds on embassy's clock.

use core::future::pending;

use embassy_time::{Duration, Instant, Timer};
use jobs_agent_core::Millis;

/// Now, counted from the start of the time driver.
pub(crate) fn now() -> Millis {
    Millis(Instant::now().as_millis())
}

/// Waits until `at`, or for ever.
pub(crate) async fn until(at: Option<Millis>) {
    match at {
        Some(at) => Timer::after(Duration::from_millis(now().until(at))).await,
        None => pending().await,
    }
}
