//! The watchdog: it resets a board that hangs. A reset on order is the core's own.

use agent_embassy::{Board, ResetFailed};
use cortex_m::peripheral::SCB;
use embassy_executor::Spawner;
use embassy_nrf::{
    Peri,
    peripherals::WDT,
    wdt::{Config, Watchdog, WatchdogHandle},
};
use embassy_time::{Duration, Timer};

/// Ticks of the watchdog's clock in a second.
const TICKS_PER_S: u32 = 32_768;
/// Longer than anything that may hold up the executor: a page is erased in 90 ms, a TLS handshake
/// computes for seconds.
const PATIENCE_S: u32 = 8;
/// How often it is fed.
const FEED: Duration = Duration::from_secs(2);

/// The board, as far as the agent changes it.
pub(crate) struct Nrf;

impl Board for Nrf {
    async fn reset(&mut self) -> ResetFailed {
        SCB::sys_reset()
    }
}

/// Starts the watchdog and the task that feeds it.
pub(crate) fn start(spawner: Spawner, watchdog: Peri<'static, WDT>) -> Result<Nrf, &'static str> {
    let mut config = Config::default();
    config.timeout_ticks = TICKS_PER_S * PATIENCE_S;
    let started = Watchdog::try_new(watchdog, config);
    let (_, [handle]) = started.map_err(|_| "the watchdog runs otherwise already")?;
    spawner.spawn(feed(handle).map_err(|_| "the watchdog is fed already")?);
    Ok(Nrf)
}

#[embassy_executor::task]
async fn feed(mut handle: WatchdogHandle) -> ! {
    loop {
        handle.pet();
        Timer::after(FEED).await;
    }
}
