//! Who this device is and where its broker listens: from QEMU's command line.

use agent_embassy::{Config, ThingName};
use embassy_net::IpAddress;
use heapless::String;
use mps2_bsp::{
    args::{self, VALUE_LEN_MAX},
    power,
};

/// QEMU's address for the host's loopback.
const HOST: IpAddress = IpAddress::v4(10, 0, 2, 2);

/// What a board would be given at the end of its production line.
pub(crate) struct Setup {
    /// Name of the thing, and MQTT client id.
    pub(crate) thing: String<VALUE_LEN_MAX>,
    /// The broker.
    pub(crate) broker: (IpAddress, u16),
    /// A number that no other start had: the emulated boards have no source of randomness.
    pub(crate) noise: u64,
    /// Another broker stands before the service: subscribe to the replies too.
    bridged: bool,
}

impl Setup {
    /// Reads the arguments `thing`, `port`, `seed`, `bridged` and `cut`.
    pub(crate) fn read() -> Self {
        if let Some(units) = args::number("cut") {
            power::cut_after(units);
        }
        let port = args::number("port").and_then(|port| u16::try_from(port).ok());
        Self {
            thing: args::text("thing").unwrap_or_default(),
            broker: (HOST, port.unwrap_or(1_883)),
            noise: u64::from(args::number("seed").unwrap_or(0)),
            bridged: args::number("bridged") == Some(1),
        }
    }

    /// The agent's configuration.
    ///
    /// The waits are short, so that a test of lost messages takes seconds. The defaults are made
    /// for a fleet.
    pub(crate) fn config(&self) -> Result<Config<'_>, &'static str> {
        let thing = ThingName::new(&self.thing).map_err(|_| "no valid `thing=` was given")?;
        let mut config = Config::new(thing);
        config.subscribe_replies = self.bridged;
        config.reply_timeout_ms = 2_000;
        config.backoff.base_ms = 200;
        config.settle_ms = 1_000;
        config.list_grace_ms = 500;
        Ok(config)
    }
}
