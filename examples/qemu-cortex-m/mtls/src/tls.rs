//! IPv4 by DHCP over the board's Ethernet controller, TCP to the broker, TLS on top.

use agent_embassy::Connect;
use board_tls::{Client, OpenError, Records, TlsStream};
use embassy_executor::Spawner;
use embassy_net::{
    Config, DhcpConfig, IpAddress, Runner, Stack, StackResources,
    tcp::{ConnectError, TcpSocket},
};
use embassy_time::Duration;
use embedded_tls::TlsConfig;
use mps2_bsp::{args, lan9118::Lan9118, say, stack};
use static_cell::ConstStaticCell;

use crate::noise::Noise;

/// QEMU's address for the host's loopback.
const HOST: IpAddress = IpAddress::v4(10, 0, 2, 2);
/// The port of MQTT over TLS.
const PORT: u16 = 8_883;
/// Sockets: DHCP, and the link of the agent.
const SOCKETS: usize = 2;
/// QEMU's own default address.
const HARDWARE_ADDRESS: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
/// Room for bytes on their way, in each direction.
const SOCKET_BUFFER_LEN: usize = 1_024;
/// How long the peer may be silent. Counts on an idle connection too, so that TCP asks in between.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often TCP asks an idle peer whether it is there.
const ASK_EVERY: Duration = Duration::from_secs(3);

/// The largest TLS record that is received: the broker's certificates are in one, and messages as
/// large as `RX_LEN`. A broker may send 16 KiB; this one does not.
const RECORD_IN_LEN: usize = 6 * 1024;
/// The largest TLS record that is sent: our certificate is in one.
const RECORD_OUT_LEN: usize = 1_536;

#[embassy_executor::task]
async fn drive(mut runner: Runner<'static, Lan9118>) -> ! {
    runner.run().await
}

/// Starts the network and waits for its address.
pub(crate) async fn up<'c>(
    spawner: Spawner,
    mut client: Client<'c, Noise>,
) -> Result<Tls<'c>, &'static str> {
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> =
        ConstStaticCell::new(StackResources::new());
    static TCP_IN: ConstStaticCell<[u8; SOCKET_BUFFER_LEN]> =
        ConstStaticCell::new([0; SOCKET_BUFFER_LEN]);
    static TCP_OUT: ConstStaticCell<[u8; SOCKET_BUFFER_LEN]> =
        ConstStaticCell::new([0; SOCKET_BUFFER_LEN]);
    static INBOUND: ConstStaticCell<[u8; RECORD_IN_LEN]> = ConstStaticCell::new([0; RECORD_IN_LEN]);
    static READ: ConstStaticCell<[u8; RECORD_IN_LEN]> = ConstStaticCell::new([0; RECORD_IN_LEN]);
    static OUTBOUND: ConstStaticCell<[u8; RECORD_OUT_LEN]> =
        ConstStaticCell::new([0; RECORD_OUT_LEN]);
    static WRITE: ConstStaticCell<[u8; RECORD_OUT_LEN]> = ConstStaticCell::new([0; RECORD_OUT_LEN]);

    let device = Lan9118::new(HARDWARE_ADDRESS).map_err(|_| "no Ethernet controller")?;
    let config = Config::dhcpv4(DhcpConfig::default());
    let (stack, runner) = embassy_net::new(device, config, RESOURCES.take(), client.rng.next());
    spawner.spawn(drive(runner).map_err(|_| "the network is driven already")?);
    stack.wait_config_up().await;

    let port = args::number("port").and_then(|port| u16::try_from(port).ok());
    Ok(Tls {
        records: Records::new(
            socket(stack, TCP_IN.take(), TCP_OUT.take()),
            INBOUND.take(),
            OUTBOUND.take(),
        ),
        read: READ.take(),
        write: WRITE.take(),
        client,
        broker: (HOST, port.unwrap_or(PORT)),
    })
}

fn socket(
    stack: Stack<'static>,
    inbound: &'static mut [u8],
    outbound: &'static mut [u8],
) -> TcpSocket<'static> {
    let mut socket = TcpSocket::new(stack, inbound, outbound);
    socket.set_timeout(Some(SILENCE_MAX));
    socket.set_keep_alive(Some(ASK_EVERY));
    socket
}

/// Opens TLS connections to the broker, one at a time, always in the same memory.
pub(crate) struct Tls<'c> {
    records: Records<'static, TcpSocket<'static>>,
    read: &'static mut [u8],
    write: &'static mut [u8],
    client: Client<'c, Noise>,
    broker: (IpAddress, u16),
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum TlsError {
    /// Nobody answers at the address.
    Connect(#[allow(dead_code)] ConnectError), // Read by the log.
    /// Somebody does, and is not the broker; or the handshake broke.
    Open(#[allow(dead_code)] OpenError),
}

impl Connect for Tls<'_> {
    type Stream<'a>
        = TlsStream<'a, 'static, TcpSocket<'static>>
    where
        Self: 'a;
    type Error = TlsError;

    async fn connect(&mut self) -> Result<Self::Stream<'_>, TlsError> {
        let socket = self.records.renew();
        // What is left of the connection before.
        socket.abort();
        socket
            .connect(self.broker)
            .await
            .map_err(TlsError::Connect)?;
        let config = TlsConfig::new().with_server_name(self.client.host.as_str());
        let (read, write) = (&mut *self.read, &mut *self.write);
        let opened = TlsStream::open(&self.records, read, write, &config, &mut self.client).await;
        match &opened {
            Ok(_) => say!("TLS open, stack {}", stack::usage().used),
            Err(error) => say!("TLS {error}"),
        }
        opened.map_err(TlsError::Open)
    }
}
