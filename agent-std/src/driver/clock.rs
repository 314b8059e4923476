//! The core's milliseconds on tokio's clock.

use std::time::Duration;

use jobs_agent_core::Millis;
use tokio::time::Instant;

/// Longest sleep, in milliseconds. The deadline is looked at again afterwards; the bound keeps a
/// far one from overflowing a timer (1 h).
const SLEEP_MAX_MS: u64 = 3_600_000;

/// Counts milliseconds from when it was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    base: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            base: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Millis {
        let passed = self.base.elapsed().as_millis();
        Millis(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The same point on tokio's clock; `None` if it is beyond what that can tell.
    pub(super) fn instant(&self, at: Millis) -> Option<Instant> {
        self.base.checked_add(Duration::from_millis(at.0))
    }

    /// Until when to sleep for a deadline.
    pub(super) fn wake_at(&self, deadline: Option<Millis>) -> Instant {
        let soon = Instant::now() + Duration::from_millis(SLEEP_MAX_MS);
        deadline
            .and_then(|at| self.instant(at))
            .map_or(soon, |at| at.min(soon))
    }
}
