//! Where the emulator's time comes from.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Longest single sleep of the timer task in ms. It only re-reads the deadline afterwards; the
/// bound keeps a far deadline from overflowing a timer (1 h).
const SLEEP_MAX_MS: u64 = 3_600_000;

/// The clock an emulator runs on.
///
/// It drives the service: time stamps, time-outs, retries, delayed messages, session expiry.
/// Keep-alive and other transport time-outs always run in real time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The time of day.
    #[default]
    System,
    /// Starts at the time of day and runs `factor` times as fast, so that minutes pass in seconds.
    Scaled {
        /// How many emulated milliseconds one real millisecond is; 0 counts as 1.
        factor: u32,
    },
    /// Stands still until a test moves it.
    Manual(ManualClock),
}

/// A clock that a test moves; clones share it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now_ms: Arc<watch::Sender<u64>>,
}

impl ManualClock {
    /// A clock that stands at `now_ms` milliseconds since the epoch.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            now_ms: Arc::new(watch::Sender::new(now_ms)),
        }
    }

    /// What the clock shows, in ms since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        *self.now_ms.borrow()
    }

    /// Moves the clock on.
    ///
    /// The emulator fires what became due soon after; to have it done on return use
    /// [`Emulator::advance_ms`](crate::Emulator::advance_ms).
    pub fn advance_ms(&self, by_ms: u64) {
        self.now_ms
            .send_modify(|now_ms| *now_ms = now_ms.saturating_add(by_ms));
    }
}

/// A clock that has been started. It never goes backwards, also across a restart from a snapshot.
#[derive(Debug)]
pub(crate) struct RunningClock {
    clock: Clock,
    started: Instant,
    /// Emulated time at `started`.
    origin_ms: u64,
}

impl RunningClock {
    /// Starts a clock that shows at least `not_before_ms`.
    pub(crate) fn start(clock: Clock, not_before_ms: u64) -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        if let Clock::Manual(manual) = &clock {
            manual
                .now_ms
                .send_modify(|now_ms| *now_ms = not_before_ms.max(*now_ms));
        }
        Self {
            clock,
            started: Instant::now(),
            origin_ms: wall_ms.max(not_before_ms),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        let elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let passed_ms = match &self.clock {
            Clock::System => elapsed_ms,
            Clock::Scaled { factor } => elapsed_ms.saturating_mul(u64::from(*factor).max(1)),
            Clock::Manual(manual) => return manual.now_ms(),
        };
        self.origin_ms.saturating_add(passed_ms)
    }

    /// Moves a manual clock; any other keeps its own time.
    pub(crate) fn advance_ms(&self, by_ms: u64) {
        if let Clock::Manual(manual) = &self.clock {
            manual.advance_ms(by_ms);
        }
    }

    /// Waits until the clock shows `due_ms`, or for some time that is not longer.
    ///
    /// # Cancel safety
    /// Cancel safe: it holds nothing.
    pub(crate) async fn sleep_until(&self, due_ms: u64) {
        let left_ms = due_ms.saturating_sub(self.now_ms()).min(SLEEP_MAX_MS);
        match &self.clock {
            Clock::System => tokio::time::sleep(Duration::from_millis(left_ms)).await,
            Clock::Scaled { factor } => {
                let real_ms = left_ms.div_ceil(u64::from(*factor).max(1));
                tokio::time::sleep(Duration::from_millis(real_ms)).await;
            }
            Clock::Manual(manual) => {
                let mut moved = manual.now_ms.subscribe();
                // The sender lives as long as `self`, so waiting cannot fail.
                let _ = moved.wait_for(|now_ms| *now_ms >= due_ms).await;
            }
        }
    }
}
