//! Wi-Fi by the CYW43439 of the Pico W, IPv4 by DHCP; and the LED, which hangs on the Wi-Fi chip.

use board_parts::Lamp;
use cyw43::{A4, Aligned, Control, JoinOptions, PowerManagementMode, SpiBus};
use cyw43_firmware::{CYW43_43439A0 as FIRMWARE, CYW43_43439A0_CLM as COUNTRIES};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Stack, StackResources};
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

/// What [`up`] brings.
pub(crate) type Net = (Stack<'static>, Led);

/// Starts the chip, joins the network and waits for an address, however long that takes.
pub(crate) async fn up(spawner: Spawner, pins: Pins) -> Result<Net, &'static str> {
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
    Ok((stack, Led(Mutex::new(control))))
}

/// The LED beside the USB connector.
pub(crate) struct Led(Mutex<NoopRawMutex, Control<'static>>);

impl Lamp for Led {
    async fn set(&self, on: bool) {
        self.0.lock().await.gpio_set(LED, on).await;
    }
}
