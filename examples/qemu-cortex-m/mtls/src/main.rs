//! The agent over mutual TLS. `agent` is what a firmware team copies; the rest is this board.
//!
//! Records are in RAM here: what they promise over power cuts is `qemu-cortex-m`'s matter.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod noise;
mod tls;

use core::convert::Infallible;

use agent_embassy::{
    AgentResources, Board, Config, MqttLink, MqttOptions, NoRoute, Parts, RamStore, ResetFailed,
    Runner, TX_LEN_MIN, ThingName, start_boot,
};
use board_parts::{Lamp, SetLamp};
use board_tls::{Client, HostName, Identity, Now, TrustAnchor};
use embassy_executor::Spawner;
use mps2_bsp::{args, led::Led, power, say};
use static_cell::StaticCell;

use crate::noise::Noise;

/// Jobs at a time.
const JOBS: usize = 1;
/// Largest MQTT packet that comes in, bytes: a job document of 3 KiB with its envelope.
const RX_LEN: usize = 4_096;

/// The CA that the broker's certificate must lead to, and who we are.
const CA: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ca.der"));
const CERTIFICATE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cert.der"));
const KEY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/key.der"));

/// The agent, from the identity to the broker; comes back only if it cannot even begin.
async fn agent(spawner: Spawner) -> Result<Infallible, &'static str> {
    static MEMORY: StaticCell<AgentResources<JOBS, RX_LEN, TX_LEN_MIN>> = StaticCell::new();
    let name = args::text("thing").ok_or("no `thing=` was given")?;
    let host = args::text("host").ok_or("no `host=` was given")?;

    let mut noise = Noise::new(args::number("seed").unwrap_or(0));
    let mut store = RamStore::<2>::new();
    let boot = start_boot(&mut store, noise.next())
        .await
        .map_err(|_| "the boot cannot be counted")?;
    let client = Client {
        anchor: TrustAnchor::from_certificate(CA).map_err(|_| "no CA is linked in")?,
        host: HostName::new(&host).map_err(|_| "`host=` is no host name")?,
        now: Now::NoClock,
        identity: Some(Identity::from_der(CERTIFICATE, KEY).map_err(|_| "no identity")?),
        rng: noise,
    };
    let tls = tls::up(spawner, client).await?;
    let handlers = NoRoute.on(SetLamp::<Lamp0>::OPERATION, SetLamp(Lamp0));

    let config = Config::new(ThingName::new(&name).map_err(|_| "`thing=` is no name")?);
    let lent = MEMORY.init_with(AgentResources::new).lend();
    let link = MqttLink::new(lent.buffers, &MqttOptions::new(&name), tls)
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
        power::reset()
    }
}

/// The first LED.
struct Lamp0;

impl Lamp for Lamp0 {
    async fn set(&self, on: bool) {
        Led::First.set(on);
        say!("EFFECT led {on}");
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    mps2_bsp::init();
    let Err(why) = agent(spawner).await;
    say!("END {why}");
    power::exit(1)
}
