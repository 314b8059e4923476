//! TCP to the broker, and TLS on top: the broker proves its name, and only then learns ours.

use agent_embassy::Connect;
use board_tls::{Client, HostName, Identity, Now, OpenError, Records, TlsStream, TrustAnchor};
use embassy_net::{
    Stack,
    dns::DnsQueryType,
    tcp::{ConnectError, TcpSocket},
};
use embassy_rp::clocks::RoscRng;
use embassy_time::Duration;
use embedded_tls::TlsConfig;
use static_cell::ConstStaticCell;

use crate::setup;

/// Room for bytes on their way, in each direction.
const SOCKET_BUFFER_LEN: usize = 2_048;
/// How long the broker may be silent. Counts on an idle connection too, so it is longer than MQTT's
/// keep-alive of 60 s, whose answer ends the silence.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// The largest TLS record that is sent: our certificate is in one.
const RECORD_OUT_LEN: usize = 2_048;
/// The largest TLS record that is received: whatever a broker may send.
const RECORD_IN_LEN: usize = board_tls::RECORD_LEN_MAX;

/// The CA that the broker's certificate must lead to, and who we are: see `build.rs`.
const CA: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ca.der"));
const CERTIFICATE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cert.der"));
const KEY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/key.der"));

/// Memory for one connection; a thread-less board has one.
struct Memory {
    tcp_in: [u8; SOCKET_BUFFER_LEN],
    tcp_out: [u8; SOCKET_BUFFER_LEN],
    inbound: [u8; RECORD_IN_LEN],
    read: [u8; RECORD_IN_LEN],
    outbound: [u8; RECORD_OUT_LEN],
    write: [u8; RECORD_OUT_LEN],
}

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
    tcp_in: [0; SOCKET_BUFFER_LEN],
    tcp_out: [0; SOCKET_BUFFER_LEN],
    inbound: [0; RECORD_IN_LEN],
    read: [0; RECORD_IN_LEN],
    outbound: [0; RECORD_OUT_LEN],
    write: [0; RECORD_OUT_LEN],
});

/// Opens TLS connections to the broker, one at a time, always in the same memory.
pub(crate) struct Broker {
    stack: Stack<'static>,
    records: Records<'static, TcpSocket<'static>>,
    read: &'static mut [u8],
    write: &'static mut [u8],
    client: Client<'static, RoscRng>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum BrokerError {
    /// The broker's name has no address, or nobody knows.
    NoAddress,
    /// Nobody answers at the address.
    Connect(#[allow(dead_code)] ConnectError), // Read by the log.
    /// Somebody does, and is not the broker; or the handshake broke.
    Open(#[allow(dead_code)] OpenError),
}

impl Broker {
    /// Takes the memory, once, and the identity that is linked in.
    pub(crate) fn new(stack: Stack<'static>) -> Result<Self, &'static str> {
        let memory = MEMORY.try_take().ok_or("there is one broker")?;
        let client = Client {
            anchor: TrustAnchor::from_certificate(CA).map_err(|_| "CA_PEM is no CA on P-256")?,
            host: HostName::new(setup::BROKER_NAME).map_err(|_| "BROKER_NAME is no host name")?,
            // A board with a clock (SNTP, RTC) gives the time, and dates are checked.
            now: Now::NoClock,
            identity: Some(
                Identity::from_der(CERTIFICATE, KEY)
                    .map_err(|_| "CERT_PEM, KEY_PEM: no identity")?,
            ),
            rng: RoscRng,
        };
        let mut socket = TcpSocket::new(stack, &mut memory.tcp_in, &mut memory.tcp_out);
        socket.set_timeout(Some(SILENCE_MAX));
        Ok(Self {
            stack,
            records: Records::new(socket, &mut memory.inbound, &mut memory.outbound),
            read: &mut memory.read,
            write: &mut memory.write,
            client,
        })
    }
}

impl Connect for Broker {
    type Stream<'a> = TlsStream<'a, 'static, TcpSocket<'static>>;
    type Error = BrokerError;

    async fn connect(&mut self) -> Result<Self::Stream<'_>, BrokerError> {
        let found = self.stack.dns_query(setup::BROKER, DnsQueryType::A).await;
        let addresses = found.map_err(|_| BrokerError::NoAddress)?;
        let address = *addresses.first().ok_or(BrokerError::NoAddress)?;
        let socket = self.records.renew();
        // What is left of the connection before.
        socket.abort();
        let connected = socket.connect((address, setup::PORT)).await;
        connected.map_err(BrokerError::Connect)?;
        let config = TlsConfig::new().with_server_name(self.client.host.as_str());
        let (read, write) = (&mut *self.read, &mut *self.write);
        TlsStream::open(&self.records, read, write, &config, &mut self.client)
            .await
            .map_err(BrokerError::Open)
    }
}
