//! The agent on a Raspberry Pi Pico W. `agent` is what a firmware team copies; the rest is this
//! board.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod broker;
mod nvram;
mod panic;
mod setup;
mod storage;
mod watchdog;
mod wifi;

use core::convert::Infallible;

use agent_embassy::{
    AgentResources, Config, MqttLink, MqttOptions, NoRoute, Parts, Runner, TX_LEN_MIN, ThingName,
    start_boot,
};
use board_parts::{SETTINGS_LEN_MAX, SetLamp, Settings};
use embassy_executor::Spawner;
use embassy_rp::{Peripherals, clocks::RoscRng};
use handlers::{Reboot, WriteFile, operation};
use static_cell::StaticCell;

use crate::broker::Broker;

/// Jobs at a time.
const JOBS: usize = 1;
/// Largest MQTT packet that comes in, bytes: a job document of 3 KiB with its envelope.
const RX_LEN: usize = 4_096;

/// The agent, from the records to the broker; comes back only if it cannot even begin.
async fn agent(spawner: Spawner, p: Peripherals) -> Result<Infallible, &'static str> {
    static MEMORY: StaticCell<AgentResources<JOBS, RX_LEN, TX_LEN_MIN>> = StaticCell::new();

    let board = watchdog::start(spawner, p.WATCHDOG)?;
    let flash = storage::flash(p.FLASH);
    let mut store = storage::records(&flash)?;
    let settings = Settings::new(storage::settings(&flash)).map_err(|_| "no room for settings")?;
    let boot = start_boot(&mut store, RoscRng.next_u64())
        .await
        .map_err(|_| "the boot cannot be counted")?;

    let pins = wifi::Pins {
        power: p.PIN_23,
        data: p.PIN_24,
        select: p.PIN_25,
        clock: p.PIN_29,
        pio: p.PIO0,
        dma: p.DMA_CH0,
    };
    let (stack, led) = wifi::up(spawner, pins).await?;
    let broker = Broker::new(stack)?;
    let write_file = WriteFile::<_, SETTINGS_LEN_MAX>::new(&settings);
    let handlers = NoRoute
        .on(SetLamp::<wifi::Led>::OPERATION, SetLamp(led))
        .on(operation::WRITE_FILE, write_file)
        .on(operation::REBOOT, Reboot);

    let thing = ThingName::new(setup::THING).map_err(|_| "THING_NAME is no thing's name")?;
    let config = Config::new(thing);
    let lent = MEMORY.init_with(AgentResources::new).lend();
    let link = MqttLink::new(lent.buffers, &MqttOptions::new(setup::THING), broker)
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

#[embassy_executor::main(
    executor = "embassy_rp::executor::Executor",
    entry = "cortex_m_rt::entry"
)]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    let Err(why) = agent(spawner, p).await;
    // Nobody feeds the watchdog: the board begins anew.
    panic!("{why}");
}
