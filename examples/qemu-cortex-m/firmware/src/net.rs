//! IPv4 by DHCP over the board's Ethernet controller, and TCP to the broker.

use agent_embassy::Connect;
use embassy_executor::Spawner;
use embassy_net::{
    Config, DhcpConfig, IpAddress, Runner, Stack, StackResources,
    tcp::{ConnectError, TcpSocket},
};
use embassy_time::Duration;
use mps2_bsp::lan9118::Lan9118;
use static_cell::StaticCell;

use crate::setup::Setup;

/// Sockets: DHCP, and the link of the agent.
const SOCKETS: usize = 2;

/// QEMU's own default address.
const HARDWARE_ADDRESS: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

#[embassy_executor::task]
async fn drive(mut runner: Runner<'static, Lan9118>) -> ! {
    runner.run().await
}

/// Room for bytes on their way, in each direction.
const SOCKET_BUFFER_LEN: usize = 1_024;

/// How long the peer may be silent while something waits for its answer.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Starts the network and waits for its address; `None` if the board has no controller.
pub(crate) async fn up(spawner: Spawner, setup: &Setup) -> Option<Tcp> {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    // Not in `Tcp`: whatever is moved by value is on the stack for that time.
    static BUFFERS: StaticCell<[[u8; SOCKET_BUFFER_LEN]; 2]> = StaticCell::new();
    let device = Lan9118::new(HARDWARE_ADDRESS).ok()?;
    let resources = RESOURCES.init_with(StackResources::new);
    let config = Config::dhcpv4(DhcpConfig::default());
    let (stack, runner) = embassy_net::new(device, config, resources, setup.noise);
    spawner.spawn(drive(runner).ok()?);
    stack.wait_config_up().await;
    let [rx, tx] = BUFFERS.init_with(|| [[0; SOCKET_BUFFER_LEN]; 2]);
    Some(Tcp {
        stack,
        broker: setup.broker,
        rx,
        tx,
    })
}

/// Opens TCP connections to the broker, one at a time.
pub(crate) struct Tcp {
    stack: Stack<'static>,
    broker: (IpAddress, u16),
    rx: &'static mut [u8],
    tx: &'static mut [u8],
}

impl Connect for Tcp {
    type Stream<'a> = TcpSocket<'a>;
    type Error = ConnectError;

    async fn connect(&mut self) -> Result<TcpSocket<'_>, ConnectError> {
        let mut socket = TcpSocket::new(self.stack, self.rx, self.tx);
        socket.set_timeout(Some(SILENCE_MAX));
        socket.connect(self.broker).await?;
        Ok(socket)
    }
}
