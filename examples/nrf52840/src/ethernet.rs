//! Ethernet by a W5500 module on SPI, IPv4 by DHCP, TCP to the broker.

use agent_embassy::Connect;
use embassy_executor::Spawner;
use embassy_net::{
    Config, DhcpConfig, Stack, StackResources,
    dns::DnsQueryType,
    tcp::{ConnectError, TcpSocket},
};
use embassy_net_wiznet::{Device, State, chip::W5500};
use embassy_nrf::{
    Peri, bind_interrupts,
    gpio::{Input, Level, Output, OutputDrive, Pull},
    peripherals::{P1_03, P1_04, P1_12, P1_13, P1_14, P1_15, SPI3},
    spim::{self, Frequency, Spim},
};
use embassy_time::{Delay, Duration};
use embedded_hal_bus::spi::ExclusiveDevice;
use static_cell::StaticCell;

use crate::setup;

/// Sockets: DHCP, DNS, and the link of the agent.
const SOCKETS: usize = 3;
/// Frames on their way, in each direction.
const FRAMES: usize = 2;
/// Room for bytes on their way, in each direction.
const SOCKET_BUFFER_LEN: usize = 2_048;
/// How long the broker may be silent. Counts on an idle connection too, so it is longer than MQTT's
/// keep-alive of 60 s, whose answer ends the silence.
const SILENCE_MAX: Duration = Duration::from_secs(90);

bind_interrupts!(struct Interrupts {
    SPIM3 => spim::InterruptHandler<SPI3>;
});

/// How the module is wired: the Arduino header's SPI, and two free pins beside it.
pub(crate) struct Pins {
    pub(crate) spi: Peri<'static, SPI3>,
    pub(crate) clock: Peri<'static, P1_15>,
    pub(crate) data_in: Peri<'static, P1_14>,
    pub(crate) data_out: Peri<'static, P1_13>,
    pub(crate) select: Peri<'static, P1_12>,
    pub(crate) interrupt: Peri<'static, P1_03>,
    pub(crate) reset: Peri<'static, P1_04>,
}

type Spi = ExclusiveDevice<Spim<'static>, Output<'static>, Delay>;
type Driver = embassy_net_wiznet::Runner<'static, W5500, Spi, Input<'static>, Output<'static>>;

#[embassy_executor::task]
async fn drive_chip(runner: Driver) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn drive_net(mut runner: embassy_net::Runner<'static, Device<'static>>) -> ! {
    runner.run().await
}

/// Starts the module and waits for an address.
pub(crate) async fn up(spawner: Spawner, pins: Pins, noise: u64) -> Result<Tcp, &'static str> {
    static STATE: StaticCell<State<FRAMES, FRAMES>> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

    let mut config = spim::Config::default();
    config.frequency = Frequency::M8;
    let spi = Spim::new(
        pins.spi,
        Interrupts,
        pins.clock,
        pins.data_in,
        pins.data_out,
        config,
    );
    let select = Output::new(pins.select, Level::High, OutputDrive::Standard);
    let spi = ExclusiveDevice::new(spi, select, Delay).map_err(|_| "no chip select")?;
    let interrupt = Input::new(pins.interrupt, Pull::Up);
    let reset = Output::new(pins.reset, Level::High, OutputDrive::Standard);
    let state = STATE.init_with(State::new);
    let chip = embassy_net_wiznet::new(address(noise), state, spi, interrupt, reset).await;
    let (device, runner) = chip.map_err(|_| "the W5500 does not answer")?;
    spawner.spawn(drive_chip(runner).map_err(|_| "the W5500 is driven already")?);

    let config = Config::dhcpv4(DhcpConfig::default());
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(device, config, resources, noise);
    spawner.spawn(drive_net(runner).map_err(|_| "the network is driven already")?);
    stack.wait_config_up().await;
    Ok(Tcp {
        stack,
        rx: [0; SOCKET_BUFFER_LEN],
        tx: [0; SOCKET_BUFFER_LEN],
    })
}

/// A module has no hardware address of its own; a product would have bought one. This one is
/// random, and marked as made up (locally administered).
const fn address(noise: u64) -> [u8; 6] {
    let [_, _, a, b, c, d, e, _] = noise.to_le_bytes();
    [0x02, a, b, c, d, e]
}

/// Opens TCP connections to the broker, one at a time.
pub(crate) struct Tcp {
    stack: Stack<'static>,
    rx: [u8; SOCKET_BUFFER_LEN],
    tx: [u8; SOCKET_BUFFER_LEN],
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum TcpError {
    /// The broker's name has no address, or nobody knows.
    NoAddress,
    /// Nobody answers at the address.
    Connect(#[allow(dead_code)] ConnectError), // Read by the log.
}

impl Connect for Tcp {
    type Stream<'a> = TcpSocket<'a>;
    type Error = TcpError;

    async fn connect(&mut self) -> Result<TcpSocket<'_>, TcpError> {
        let found = self.stack.dns_query(setup::BROKER, DnsQueryType::A).await;
        let addresses = found.map_err(|_| TcpError::NoAddress)?;
        let address = *addresses.first().ok_or(TcpError::NoAddress)?;
        let mut socket = TcpSocket::new(self.stack, &mut self.rx, &mut self.tx);
        socket.set_timeout(Some(SILENCE_MAX));
        let connected = socket.connect((address, setup::PORT)).await;
        connected.map_err(TcpError::Connect)?;
        Ok(socket)
    }
}
