//! IPv4 over LTE-M by the nRF9160's modem, TCP to the broker.

use core::{mem::MaybeUninit, net::IpAddr, slice};

use agent_embassy::Connect;
use embassy_executor::Spawner;
use embassy_net::{
    Config, ConfigV4, Ipv4Cidr, Stack, StackResources, StaticConfigV4,
    dns::DnsQueryType,
    tcp::{ConnectError, TcpSocket},
};
use embassy_net_nrf91::{
    NetDriver, Runner, State,
    context::{self, AuthProt, Control, Status},
};
use embassy_nrf::interrupt;
use embassy_time::{Duration, Timer};
use heapless::Vec;
use static_cell::StaticCell;

use crate::setup;

/// Sockets: DNS, and the link of the agent.
const SOCKETS: usize = 2;
/// Room for bytes on their way, in each direction.
const SOCKET_BUFFER_LEN: usize = 2_048;
/// How long the broker may be silent. Counts on an idle connection too, so it is longer than MQTT's
/// keep-alive of 60 s, whose answer ends the silence.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// Between two attempts to attach to the network.
const ATTACH_PAUSE: Duration = Duration::from_secs(30);
/// The PDP context that the modem starts with.
const CONTEXT: u8 = 0;

#[interrupt]
fn IPC() {
    embassy_net_nrf91::on_ipc_irq();
}

#[embassy_executor::task]
async fn drive_modem(runner: Runner<'static>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn drive_net(mut runner: embassy_net::Runner<'static, NetDriver<'static>>) -> ! {
    runner.run().await
}

/// Attaches to the network, and again whenever that ends.
#[embassy_executor::task]
async fn attach(control: Control<'static>, stack: Stack<'static>) -> ! {
    let config = context::Config {
        apn: setup::APN.as_bytes(),
        auth_prot: AuthProt::None,
        auth: None,
        pin: None,
    };
    loop {
        if control.configure(&config).await.is_ok() {
            // Comes back only when the modem fails.
            let _ = control
                .run(|status| stack.set_config_v4(addresses(status)))
                .await;
        }
        Timer::after(ATTACH_PAUSE).await;
    }
}

/// What the network gave us; nothing if it speaks IPv6 only.
fn addresses(status: &Status) -> ConfigV4 {
    let Some(IpAddr::V4(address)) = status.ip else {
        return ConfigV4::None;
    };
    let gateway = match status.gateway {
        Some(IpAddr::V4(gateway)) => Some(gateway),
        Some(IpAddr::V6(_)) | None => None,
    };
    let mut dns_servers = Vec::new();
    for server in &status.dns {
        if let IpAddr::V4(server) = server {
            // As many as the stack takes.
            let _ = dns_servers.push(*server);
        }
    }
    ConfigV4::Static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 32),
        gateway,
        dns_servers,
    })
}

/// The RAM that the modem shares, as `memory.x` lays it out. Called once.
#[allow(unsafe_code)]
fn shared_memory() -> &'static mut [MaybeUninit<u8>] {
    unsafe extern "C" {
        static mut __start_ipc: [MaybeUninit<u8>; 0];
        static __end_ipc: [MaybeUninit<u8>; 0];
    }
    let start = (&raw mut __start_ipc).cast::<MaybeUninit<u8>>();
    let len = (&raw const __end_ipc).addr() - start.addr();
    // SAFETY: `memory.x` keeps this range out of the program's own RAM, so nothing else refers to
    // it; its bytes need no value; and the only caller runs once (`up` fails at its static cells
    // if it is called again).
    unsafe { slice::from_raw_parts_mut(start, len) }
}

/// Starts the modem and waits for an address, however long that takes.
pub(crate) async fn up(spawner: Spawner, noise: u64) -> Result<Tcp, &'static str> {
    static STATE: StaticCell<State> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

    let state = STATE
        .try_init(State::new())
        .ok_or("the modem is on already")?;
    let (device, control, runner) = embassy_net_nrf91::new(state, shared_memory()).await;
    spawner.spawn(drive_modem(runner).map_err(|_| "the modem is driven already")?);

    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(device, Config::default(), resources, noise);
    spawner.spawn(drive_net(runner).map_err(|_| "the network is driven already")?);
    let control = Control::new(control, CONTEXT).await;
    spawner.spawn(attach(control, stack).map_err(|_| "the network is attached already")?);
    stack.wait_config_up().await;
    Ok(Tcp {
        stack,
        rx: [0; SOCKET_BUFFER_LEN],
        tx: [0; SOCKET_BUFFER_LEN],
    })
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
