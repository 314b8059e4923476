//! The watchdog: it resets a board that hangs, and it resets on order.

use core::{cell::RefCell, future::pending};

use agent_embassy::{Board, ResetFailed};
use embassy_executor::Spawner;
use embassy_rp::{Peri, peripherals::WATCHDOG, watchdog::Watchdog};
use embassy_time::{Duration, Timer};
use static_cell::StaticCell;

/// Longer than anything that may hold up the executor: a flash sector is erased in 400 ms, a TLS
/// handshake computes for seconds. The hardware counts up to 8.3 s.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often it is fed.
const FEED: Duration = Duration::from_secs(2);

/// The board, as far as the agent changes it.
pub(crate) struct PicoW(&'static RefCell<Watchdog>);

impl Board for PicoW {
    async fn reset(&mut self) -> ResetFailed {
        self.0.borrow_mut().trigger_reset();
        pending().await
    }
}

/// Starts the watchdog and the task that feeds it.
pub(crate) fn start(
    spawner: Spawner,
    watchdog: Peri<'static, WATCHDOG>,
) -> Result<PicoW, &'static str> {
    static SHARED: StaticCell<RefCell<Watchdog>> = StaticCell::new();
    let shared = &*SHARED.init(RefCell::new(Watchdog::new(watchdog)));
    shared.borrow_mut().start(PATIENCE);
    spawner.spawn(feed(shared).map_err(|_| "the watchdog is fed already")?);
    Ok(PicoW(shared))
}

#[embassy_executor::task]
async fn feed(watchdog: &'static RefCell<Watchdog>) -> ! {
    loop {
        watchdog.borrow_mut().feed(PATIENCE);
        Timer::after(FEED).await;
    }
}
