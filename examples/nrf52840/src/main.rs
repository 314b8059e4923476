//! The agent on an nRF52840 DK with a W5500 module. `agent` is what a firmware team copies; the rest is this
//! board.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod ethernet;
mod led;
mod panic;
mod setup;
mod storage;
mod watchdog;

use core::convert::Infallible;

use agent_embassy::{
    AgentResources, Config, MqttLink, MqttOptions, NoRoute, Parts, Runner, TX_LEN_MIN, ThingName,
    start_boot,
};
use board_parts::{SETTINGS_LEN_MAX, SetLamp, Settings};
use embassy_executor::Spawner;
use embassy_nrf::{Peripherals, rng::Rng};
use handlers::{Reboot, WriteFile, operation};
use static_cell::StaticCell;

/// Jobs at a time.
const JOBS: usize = 1;
/// Largest MQTT packet that comes in, bytes: a job document of 3 KiB with its envelope.
const RX_LEN: usize = 4_096;

/// The agent, from the records to the broker; comes back only if it cannot even begin.
async fn agent(spawner: Spawner, p: Peripherals) -> Result<Infallible, &'static str> {
    static MEMORY: StaticCell<AgentResources<JOBS, RX_LEN, TX_LEN_MIN>> = StaticCell::new();

    let board = watchdog::start(spawner, p.WDT)?;
    let noise = Rng::new_blocking(p.RNG).blocking_next_u64();
    let flash = storage::flash(p.NVMC);
    let mut store = storage::records(&flash)?;
    let settings = Settings::new(storage::settings(&flash)).map_err(|_| "no room for settings")?;
    let boot = start_boot(&mut store, noise)
        .await
        .map_err(|_| "the boot cannot be counted")?;

    let pins = ethernet::Pins {
        spi: p.SPI3,
        clock: p.P1_15,
        data_in: p.P1_14,
        data_out: p.P1_13,
        select: p.P1_12,
        interrupt: p.P1_03,
        reset: p.P1_04,
    };
    let tcp = ethernet::up(spawner, pins, noise).await?;
    let led = led::Led::new(p.P0_13);
    let write_file = WriteFile::<_, SETTINGS_LEN_MAX>::new(&settings);
    let handlers = NoRoute
        .on(SetLamp::<led::Led>::OPERATION, SetLamp(led))
        .on(operation::WRITE_FILE, write_file)
        .on(operation::REBOOT, Reboot);

    let thing = ThingName::new(setup::THING).map_err(|_| "THING_NAME is no thing's name")?;
    let config = Config::new(thing);
    let lent = MEMORY.init_with(AgentResources::new).lend();
    let link = MqttLink::new(lent.buffers, &MqttOptions::new(setup::THING), tcp)
        .map_err(|_| "THING_NAME is no client id")?;
    let parts = Parts {
        link,
        store,
        board,
        handlers,
    };
    let mut runner = Runner::new(lent.room, &config, boot, parts);
    runner.run().await.map_err(|_| "the records are unreadable")
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_nrf::init(embassy_nrf::config::Config::default());
    let Err(why) = agent(spawner, p).await;
    // Nobody feeds the watchdog: the board begins anew.
    panic!("{why}");
}
