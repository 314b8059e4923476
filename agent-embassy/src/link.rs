//! Everything the agent needs from MQTT, neutral of the client that provides it: a library over a
//! stream ([`MqttLink`]), a modem with MQTT of its own, a bridge over a UART.
//!
//! Rules that a link keeps, and the agent relies on:
//!
//! 1. **A connection is a value.** [`Link::connect`] makes one; it is dropped when it fails, and
//!    the agent connects again after a jittered back-off. A link does not reconnect by itself.
//! 2. **Subscriptions are the caller's.** The agent subscribes on every connection.
//! 3. **Sending again does no harm.** A link may deliver a publish of an earlier connection again
//!    (MQTT's own replay): replies count by their tokens. It may also lose it: what must arrive is
//!    in a record.

mod mqtt;

pub use mqtt::{Connect, MqttConnection, MqttLink, MqttOptions, OptionsError};

pub use jobs_agent_core::Filters;

/// A way to the broker.
pub trait Link {
    /// One connection.
    type Connection<'a>: Connection
    where
        Self: 'a;

    /// Connects, up to the broker's word that the session is on (CONNACK).
    ///
    /// # Errors
    /// [`LinkError`]; the agent tries again.
    ///
    /// # Cancel safety
    /// May be dropped at any await; the next call begins anew. The agent drops it after
    /// 60 seconds.
    async fn connect(&mut self) -> Result<Self::Connection<'_>, LinkError>;
}

/// One connection to the broker. Dropping it closes it.
pub trait Connection {
    /// Waits for the next event. Keep-alives and acknowledgements are sent in here.
    ///
    /// # Errors
    /// [`LinkError`]: the connection is over.
    ///
    /// # Cancel safety
    /// Cancel safe: an event is returned or stays for the next call.
    async fn next(&mut self) -> Result<Event<'_>, LinkError>;

    /// Hands a packet to the broker. Returns when it is on its way, not when it is acknowledged:
    /// of a publish the reply of the service is what counts, of a SUBSCRIBE
    /// [`Event::Subscribed`].
    ///
    /// # Errors
    /// [`SendError::Busy`]: nothing was sent, the connection is well. [`SendError::Lost`]: the
    /// connection is over.
    ///
    /// # Cancel safety
    /// Dropped before its end, the connection must be dropped too.
    async fn send(&mut self, packet: Packet<'_>) -> Result<(), SendError>;
}

/// What the agent sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A message.
    Publish {
        /// The topic.
        topic: &'a str,
        /// The payload.
        payload: &'a [u8],
        /// At QoS 1; else at QoS 0.
        at_least_once: bool,
    },
    /// Asks for the messages of these filters at QoS 1, in one SUBSCRIBE.
    Subscribe(Filters<'a>),
}

/// What happened on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message arrived.
    Message {
        /// The topic the broker delivered it on.
        topic: &'a str,
        /// The payload, in the receive buffer.
        payload: &'a [u8],
    },
    /// The last SUBSCRIBE was answered.
    Subscribed {
        /// Every filter was granted. The usual reason for `false` on AWS IoT is a policy without
        /// `iot:Subscribe`.
        granted: bool,
    },
    /// Something that concerns the link alone.
    Housekeeping,
}

/// Why there is no connection (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkError {
    /// The stream could not be opened, or broke.
    Stream,
    /// The broker refused the session with this MQTT 5 reason code: credentials, policy, client
    /// id. Does not go away by itself; tried again every few minutes.
    Refused(u8),
    /// The broker ended the connection, or stopped answering.
    Ended,
    /// The broker did not answer in time.
    TimedOut,
    /// What came is no MQTT, or larger than the receive buffer although the broker was told.
    Protocol,
    /// A buffer is too small for what has to be sent.
    TooSmall,
}

impl core::fmt::Display for LinkError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Stream => "the stream to the broker failed",
            Self::Refused(_) => "the broker refused the connection: check certificate and policy",
            Self::Ended => "the broker ended the connection",
            Self::TimedOut => "the broker does not answer",
            Self::Protocol => "the broker sent what is no MQTT, or too large a packet",
            Self::TooSmall => "a buffer is too small",
        })
    }
}

impl core::error::Error for LinkError {}

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendError {
    /// No room, or too much in flight: later.
    Busy,
    /// The connection is over.
    Lost(LinkError),
}
