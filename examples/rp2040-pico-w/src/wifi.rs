//! Wi-Fi by the CYW43439 of the Pico W, IPv4 by DHCP, TCP to the broker; and the LED, which hangs
//! on the Wi-Fi chip.

use agent_embassy::Connect;
use board_parts::Lamp;
use cyw43::{A4, Aligned, Control, JoinOptions, PowerManagementMode, SpiBus};
use cyw43_firmware::{CYW43_43439A0 as FIRMWARE, CYW43_43439A0_CLM as COUNTRIES};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use embassy_executor::Spawner;
use embassy_net::{
    Config, DhcpConfig, Stack, StackResources,
    dns::DnsQueryType,
    tcp::{ConnectError, TcpSocket},
};
use embassy_rp::{
    Peri, bind_interrupts,
    clocks::RoscRng,
    dma,
    gpio::{Level, Output},
    peripherals::{DMA_CH0, PIN_23, PIN_24, PIN_25, PIN_29, PIO0},
    pio::{InterruptHandler, Pio},
};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embassy_time::{Duration, Timer};
use static_cell::StaticCell;

use crate::{nvram::NVRAM, setup};

/// Sockets: DHCP, DNS, and the link of the agent.
const SOCKETS: usize = 3;
/// Room for bytes on their way, in each direction.
const SOCKET_BUFFER_LEN: usize = 2_048;
/// How long the broker may be silent. Counts on an idle connection too, so it is longer than MQTT's
/// keep-alive of 60 s, whose answer ends the silence.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// Between two attempts to join the network.
const JOIN_PAUSE: Duration = Duration::from_secs(5);
/// The LED's number on the Wi-Fi chip.
const LED: u8 = 0;

/// The chip wants its program in whole words.
static PROGRAM: Aligned<A4, [u8; FIRMWARE.len()]> = Aligned(*FIRMWARE);

bind_interrupts!(struct Interrupts {
    PIO0_IRQ_0 => InterruptHandler<PIO0>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
});

/// How the Wi-Fi chip is wired on the Pico W.
pub(crate) struct Pins {
    pub(crate) power: Peri<'static, PIN_23>,
    pub(crate) data: Peri<'static, PIN_24>,
    pub(crate) select: Peri<'static, PIN_25>,
    pub(crate) clock: Peri<'static, PIN_29>,
    pub(crate) pio: Peri<'static, PIO0>,
    pub(crate) dma: Peri<'static, DMA_CH0>,
}

type Bus = SpiBus<Output<'static>, PioSpi<'static, PIO0, 0>>;

#[embassy_executor::task]
async fn drive_chip(runner: cyw43::Runner<'static, Bus>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn drive_net(mut runner: embassy_net::Runner<'static, cyw43::NetDriver<'static>>) -> ! {
    runner.run().await
}

/// Starts the chip, joins the network and waits for an address, however long that takes.
pub(crate) async fn up(spawner: Spawner, pins: Pins) -> Result<(Tcp, Led), &'static str> {
    static STATE: StaticCell<cyw43::State> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

    let mut pio = Pio::new(pins.pio, Interrupts);
    let spi = PioSpi::new(
        &mut pio.common,
        pio.sm0,
        DEFAULT_CLOCK_DIVIDER,
        pio.irq0,
        Output::new(pins.select, Level::High),
        pins.data,
        pins.clock,
        dma::Channel::new(pins.dma, Interrupts),
    );
    let power = Output::new(pins.power, Level::Low);
    let state = STATE.init_with(cyw43::State::new);
    let (device, mut control, runner) = cyw43::new(state, power, spi, &PROGRAM, &NVRAM).await;
    spawner.spawn(drive_chip(runner).map_err(|_| "the Wi-Fi chip is driven already")?);
    control.init(COUNTRIES).await;
    control
        .set_power_management(PowerManagementMode::PowerSave)
        .await;

    let config = Config::dhcpv4(DhcpConfig::default());
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(device, config, resources, RoscRng.next_u64());
    spawner.spawn(drive_net(runner).map_err(|_| "the network is driven already")?);

    let options = || match setup::PASSPHRASE {
        "" => JoinOptions::new_open(),
        passphrase => JoinOptions::new(passphrase.as_bytes()),
    };
    while control.join(setup::SSID, options()).await.is_err() {
        Timer::after(JOIN_PAUSE).await;
    }
    stack.wait_config_up().await;
    let tcp = Tcp {
        stack,
        rx: [0; SOCKET_BUFFER_LEN],
        tx: [0; SOCKET_BUFFER_LEN],
    };
    Ok((tcp, Led(Mutex::new(control))))
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

/// The LED beside the USB connector.
pub(crate) struct Led(Mutex<NoopRawMutex, Control<'static>>);

impl Lamp for Led {
    async fn set(&self, on: bool) {
        self.0.lock().await.gpio_set(LED, on).await;
    }
}
