//! The agent as firmware of a small board. `agent` is what a firmware team copies; the rest is
//! this board and these handlers.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]
// A refusal carries its reason by value: there is no allocator to box it.
#![allow(clippy::result_large_err)]

mod handlers;
#[cfg(feature = "naive")]
mod naive;
mod net;
mod setup;
mod storage;
mod weight;

use core::convert::Infallible;

use ::handlers::{Diagnostics, WriteFile, operation};
use agent_embassy::{
    AgentResources, Board, MqttLink, MqttOptions, NoRoute, Parts, ResetFailed, Runner, TX_LEN_MIN,
    start_boot,
};
use embassy_executor::Spawner;
use mps2_bsp::{power, say};
use static_cell::StaticCell;

use crate::{
    handlers::{Dispense, Restart, SETTINGS_LEN_MAX, SetLed, Settings, StackInUse, System},
    setup::Setup,
};

/// Jobs at a time.
const JOBS: usize = 1;
/// Largest MQTT packet that comes in, bytes: a job document of 3 KiB with its envelope.
const RX_LEN: usize = 4_096;

/// The agent, from the records to the broker; comes back only if it cannot even begin.
async fn agent(spawner: Spawner, setup: &Setup) -> Result<Infallible, &'static str> {
    static MEMORY: StaticCell<AgentResources<JOBS, RX_LEN, TX_LEN_MIN>> = StaticCell::new();

    let flash = storage::flash().ok_or("the flash is in use")?;
    let mut store = storage::records(&flash)?;
    let boot = start_boot(&mut store, setup.noise)
        .await
        .map_err(|_| "the boot cannot be counted")?;
    say!("BOOT {:?}", boot.id.0.first_chunk::<4>());

    let tcp = net::up(spawner, setup).await.ok_or("no network")?;
    let settings = Settings::new(storage::settings(&flash))?;
    let self_test = async || settings.check().await;
    // The last route has the largest plan: what comes before is kept inside it.
    let handlers = NoRoute
        .on(operation::DIAGNOSTICS, Diagnostics::new(StackInUse, System))
        .on(operation::REBOOT, Restart::new(self_test))
        .on(SetLed::OPERATION, SetLed)
        .on(Dispense::OPERATION, Dispense)
        .on(
            operation::WRITE_FILE,
            WriteFile::<_, SETTINGS_LEN_MAX>::new(&settings),
        );

    let config = setup.config()?;
    let lent = MEMORY.init_with(AgentResources::new).lend();
    let link = MqttLink::new(lent.buffers, &MqttOptions::new(&setup.thing), tcp)
        .map_err(|_| "the name of the thing is no client id")?;
    let parts = Parts {
        link,
        store,
        board: Mps2,
        handlers,
    };
    let mut runner = Runner::new(lent.room, &config, boot, parts);
    runner.run().await.map_err(|_| "the records are unreadable")
}

/// The board, as far as the agent changes it.
struct Mps2;

impl Board for Mps2 {
    async fn reset(&mut self) -> ResetFailed {
        say!("RESET");
        power::reset()
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    mps2_bsp::init();
    let setup = Setup::read();
    // Else the linker leaves it out.
    core::hint::black_box(&weight::AGENT_RAM);
    let Err(why) = agent(spawner, &setup).await;
    say!("END {why}");
    power::exit(1)
}
