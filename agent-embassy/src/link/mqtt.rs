//! [`Link`] over `minimq`: MQTT 5 on any stream.
//!
//! minimq keeps unacknowledged packets and sends them again when the broker kept the session; it
//! tells the broker the size of the receive buffer (Maximum Packet Size), and acknowledges a
//! message only when it is asked for the next one, so after the agent has taken it up.

use embedded_io_async::{ErrorType, Read, Write};
use jobs_agent_core::FILTERS_MAX;
use minimq::{
    Buffers as PacketBuffers, ConfigBuilder, ConfigError, Error as MqttError, Op, PeerError,
    PubError, Publication, QoS, Session, SubscriptionOptions, TopicFilter,
};

use super::{Connection, Event, Link, LinkError, Packet, SendError};
use crate::{
    fmt::Shown,
    resources::{Buffers, TX_LEN_MIN},
};

/// Keep-alive unless said otherwise, seconds: as the Linux adapter; AWS takes 30 to 1200.
const KEEP_ALIVE_S: u16 = 60;
/// How long the broker keeps the session of a lost connection unless said otherwise, seconds (1 h,
/// AWS's own default).
const SESSION_EXPIRY_S: u32 = 3_600;

/// Bytes that CONNECT adds to user name and password: the length of each.
const CREDENTIALS_HEAD_LEN: usize = 4;

/// Opens the stream to the broker: a TCP connection by embassy-net, TLS on top of it, a UART, a
/// modem's socket.
pub trait Connect {
    /// The stream. Its `read`, `write` and `flush` have to be cancel safe (embassy-net's are): a
    /// read is dropped whenever a handler has something to say. It must not keep written bytes
    /// back for ever without `flush`.
    type Stream<'a>: Read + Write + ErrorType
    where
        Self: 'a;
    /// Why a stream could not be opened; shown in the log.
    type Error: core::fmt::Debug;

    /// Opens a new stream. The one before was dropped.
    ///
    /// # Errors
    /// The transport's own; the agent tries again.
    ///
    /// # Cancel safety
    /// May be dropped at any await; the next call begins anew.
    async fn connect(&mut self) -> Result<Self::Stream<'_>, Self::Error>;
}

/// How to introduce ourselves to the broker.
#[derive(Clone, Copy, Debug)]
pub struct MqttOptions<'o> {
    /// MQTT client id, at most 64 bytes (a limit of minimq; AWS takes 128). On AWS usually the
    /// name of the thing.
    pub client_id: &'o str,
    /// User name and password, for brokers that want them; they take room in `TX` for good, on top
    /// of [`TX_LEN_MIN`](crate::TX_LEN_MIN).
    pub credentials: Option<(&'o str, &'o [u8])>,
    /// Keep-alive, seconds.
    pub keep_alive_s: u16,
    /// How long the broker keeps our session when the connection is lost, seconds; 0: not at all,
    /// and nothing is sent again after a cut but by the agent itself.
    pub session_expiry_s: u32,
}

impl<'o> MqttOptions<'o> {
    /// The usual options for this client id.
    #[must_use]
    pub const fn new(client_id: &'o str) -> Self {
        Self {
            client_id,
            credentials: None,
            keep_alive_s: KEEP_ALIVE_S,
            session_expiry_s: SESSION_EXPIRY_S,
        }
    }
}

/// The options cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsError {
    /// The client id is longer than 64 bytes.
    ClientIdTooLong,
    /// With these credentials `TX` has no room for the largest report: it needs
    /// [`TX_LEN_MIN`](crate::TX_LEN_MIN), four bytes, and the lengths of user name and password.
    TxTooSmall,
    /// Anything else in the way of a session.
    Invalid,
}

/// A way to the broker over the streams of a [`Connect`].
pub struct MqttLink<'b, C> {
    session: Session<'b>,
    connect: C,
}

impl<'b, C: Connect> MqttLink<'b, C> {
    /// A session that is not connected yet.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn new(
        buffers: Buffers<'b>,
        options: &MqttOptions<'b>,
        connect: C,
    ) -> Result<Self, OptionsError> {
        if let Some((user, password)) = options.credentials {
            let needed = TX_LEN_MIN
                .saturating_add(CREDENTIALS_HEAD_LEN)
                .saturating_add(user.len())
                .saturating_add(password.len());
            if buffers.tx.len() < needed {
                return Err(OptionsError::TxTooSmall);
            }
        }
        let buffers = PacketBuffers::new(buffers.rx, buffers.tx);
        let mut config = ConfigBuilder::new(buffers)
            .keepalive_interval(options.keep_alive_s)
            .session_expiry_interval(options.session_expiry_s)
            .client_id(options.client_id)
            .map_err(refused_option)?;
        if let Some((user, password)) = options.credentials {
            config = config.auth(user, password).map_err(refused_option)?;
        }
        Ok(Self {
            session: Session::new(config),
            connect,
        })
    }
}

fn refused_option(error: ConfigError) -> OptionsError {
    match error {
        ConfigError::ClientIdTooLong => OptionsError::ClientIdTooLong,
        _ => OptionsError::Invalid,
    }
}

impl<'b, C: Connect> Link for MqttLink<'b, C> {
    type Connection<'a>
        = MqttConnection<'a, 'b, C::Stream<'a>>
    where
        Self: 'a;

    async fn connect(&mut self) -> Result<Self::Connection<'_>, LinkError> {
        let stream = self.connect.connect().await.map_err(|error| {
            warn!("no stream: {}", Shown(&error));
            LinkError::Stream
        })?;
        let inner = self.session.connect(stream).await.map_err(|e| fault(&e))?;
        Ok(MqttConnection {
            inner,
            subscribe: None,
            refused: false,
        })
    }
}

/// A connection of an [`MqttLink`].
pub struct MqttConnection<'a, 'b, IO> {
    inner: minimq::Connection<'a, 'b, IO>,
    /// The SUBSCRIBE without SUBACK.
    subscribe: Option<Op>,
    /// The packet handled last was a refusal.
    refused: bool,
}

impl<IO: Read + Write> Connection for MqttConnection<'_, '_, IO> {
    async fn next(&mut self) -> Result<Event<'_>, LinkError> {
        let refused = core::mem::take(&mut self.refused);
        if let Some(op) = &self.subscribe
            && !self.inner.is_pending(op)
        {
            self.subscribe = None;
            return Ok(Event::Subscribed { granted: !refused });
        }
        match self.inner.poll().await {
            Ok(Some(message)) => Ok(Event::Message {
                topic: message.topic(),
                payload: message.payload(),
            }),
            Ok(None) => Ok(Event::Housekeeping),
            // The answer to one of our packets; the connection goes on. For a publish the reply
            // that does not come says the same.
            Err(MqttError::Peer(PeerError::Rejected(code))) => {
                warn!("the broker refused a packet: {}", Shown(code));
                self.refused = true;
                Ok(Event::Housekeeping)
            }
            Err(error) => Err(fault(&error)),
        }
    }

    async fn send(&mut self, packet: Packet<'_>) -> Result<(), SendError> {
        match packet {
            Packet::Publish {
                topic,
                payload,
                at_least_once,
            } => {
                let qos = if at_least_once {
                    QoS::AtLeastOnce
                } else {
                    QoS::AtMostOnce
                };
                let publication = Publication::bytes(topic, payload).qos(qos);
                match self.inner.publish(publication).await {
                    Ok(_) => Ok(()),
                    Err(PubError::Session(error)) => Err(not_sent(&error)),
                    // No room for the payload.
                    Err(PubError::Payload(())) => Err(SendError::Busy),
                }
            }
            Packet::Subscribe(filters) => {
                let options = SubscriptionOptions::default().maximum_qos(QoS::AtLeastOnce);
                let mut wanted = heapless::Vec::<_, FILTERS_MAX>::new();
                for filter in filters.iter() {
                    // As many as there can be.
                    let _ = wanted.push(TopicFilter::new(filter).options(options));
                }
                let subscribed = self.inner.subscribe(&wanted, &[]).await;
                self.subscribe = Some(subscribed.map_err(|error| not_sent(&error))?);
                self.refused = false;
                Ok(())
            }
        }
    }
}

/// Lost connections apart from those that go on.
fn not_sent<E>(error: &MqttError<E>) -> SendError {
    match error {
        MqttError::NotReady | MqttError::Resource(_) | MqttError::InvalidRequest => SendError::Busy,
        _ => SendError::Lost(fault(error)),
    }
}

fn fault<E>(error: &MqttError<E>) -> LinkError {
    match error {
        MqttError::Peer(PeerError::Rejected(code)) => LinkError::Refused((*code).into()),
        MqttError::Disconnected => LinkError::Ended,
        MqttError::Transport(_) | MqttError::WriteZero => LinkError::Stream,
        MqttError::Resource(_) => LinkError::TooSmall,
        _ => LinkError::Protocol,
    }
}
