//! Everything the agent needs from MQTT, neutral of the client library that provides it.
//!
//! A [`Link`] keeps one connection to the broker alive and tells what happened, in order, through
//! [`Link::next`]. Three rules make it safe to build on:
//!
//! 1. **Nothing outlives its connection.** A send belongs to the connection it was made on. When
//!    that connection is lost, every send without an acknowledgement is reported as
//!    [`LinkEvent::Lost`], once, and is never sent again behind the caller's back. All of them are
//!    reported before the [`LinkEvent::Disconnected`] of that connection.
//! 2. **Nothing is queued while there is no connection.** [`Link::publish`] says
//!    [`SendError::Offline`] instead; the caller's own journal is the queue.
//! 3. **Subscriptions are the caller's.** They are not repeated after a reconnect. The caller
//!    subscribes after each [`LinkEvent::Connected`], waits for [`LinkEvent::SubAck`], and only
//!    then publishes the requests whose answers it wants to see.

mod backoff;
pub mod borrowed;
mod dial;
mod either;
mod error;
#[cfg(feature = "https")]
pub mod https;
pub mod hub;
mod kicks;
mod mailbox;
mod notices;
mod options;
pub mod rumqtt;
mod things;
mod tls;

use std::future::Future;

use bytes::Bytes;

pub use backoff::{Backoff, BackoffOptions};
pub use either::Either;
pub use error::{ConfigError, LinkError, RefusedReason, SendError};
pub use options::{
    ALPN_AWS_MQTT, ALPN_PORT, Alpn, CLOSE_TIMEOUT_MS, CONNECT_TIMEOUT_S, DEFAULT_KEEP_ALIVE_S,
    Identity, LinkOptions, MAX_INFLIGHT, MAX_OUTSTANDING, MAX_PACKET_BYTES, Pem, Tls,
};

/// Names one publish or subscribe for as long as the link lives; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId(pub(crate) u64);

/// How surely a publish has to arrive. AWS IoT Core has no QoS 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qos {
    /// QoS 0: [`LinkEvent::Acked`] means that the bytes were handed to the operating system.
    AtMostOnce,
    /// QoS 1: [`LinkEvent::Acked`] means that the broker sent PUBACK.
    AtLeastOnce,
}

/// What happened on the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The broker accepted a new connection.
    Connected {
        /// The broker kept the session: it may still deliver messages it held for us.
        ///
        /// Says nothing about our own unacknowledged sends: those were reported as lost.
        session_present: bool,
    },
    /// A message arrived. Messages keep the order in which the broker sent them.
    Message {
        /// The topic the broker delivered it on.
        topic: String,
        /// The payload, shared and not copied.
        payload: Bytes,
    },
    /// A publish is settled (see [`Qos`] for what that means).
    Acked(SendId),
    /// A publish or subscribe ended without an answer. It may or may not have reached the broker.
    Lost(SendId),
    /// The broker answered a subscribe.
    SubAck {
        /// The subscribe that is answered.
        id: SendId,
        /// For each filter, in the order given, whether the broker granted it. The usual reason
        /// for `false` on AWS IoT is a policy without `iot:Subscribe` for that filter.
        granted: Vec<bool>,
    },
    /// The connection was lost, or an attempt to connect failed. The link tries again by itself.
    Disconnected {
        /// What happened, and what to do about it.
        why: LinkError,
        /// The cause does not go away by itself (credentials, policy, configuration). The link
        /// still tries again, but only every few minutes.
        permanent: bool,
    },
}

/// One connection to the broker, kept alive.
///
/// Dropping a link closes the socket without DISCONNECT; use [`Link::close`] to leave politely.
pub trait Link: Send {
    /// Waits for the next event.
    ///
    /// After [`Link::close`], the remaining [`LinkEvent::Acked`] and [`LinkEvent::Lost`] are
    /// returned first and then, on every call, [`LinkEvent::Disconnected`] with
    /// [`LinkError::Closed`].
    ///
    /// Call it promptly: while nobody does, a bounded number of messages is held, then the link
    /// stops reading from the socket (and so from sending keep-alives).
    ///
    /// # Cancel safety
    /// Cancel safe: an event is returned or stays for the next call.
    fn next(&mut self) -> impl Future<Output = LinkEvent> + Send;

    /// Hands a message to the connection and returns at once.
    ///
    /// Publishes keep their order among themselves. A publish may overtake a subscribe that has no
    /// [`LinkEvent::SubAck`] yet; wait for that event where the order matters.
    ///
    /// # Errors
    /// [`SendError::Offline`] without a connection, [`SendError::Busy`] while too many sends have
    /// no answer yet, [`SendError::Invalid`] when no broker could accept it. In each case nothing
    /// was sent and there will be no event.
    fn publish(&mut self, topic: &str, payload: &[u8], qos: Qos) -> Result<SendId, SendError>;

    /// Asks for the messages of these topic filters at QoS 1, in one SUBSCRIBE.
    ///
    /// AWS IoT takes at most eight filters in one SUBSCRIBE ("AWS IoT Core message broker and
    /// protocol limits and quotas").
    ///
    /// # Errors
    /// As [`Link::publish`].
    fn subscribe(&mut self, filters: &[&str]) -> Result<SendId, SendError>;

    /// Waits for the answers to what was sent, sends DISCONNECT and closes the connection.
    ///
    /// Takes at most [`CLOSE_TIMEOUT_MS`]. Messages that arrive meanwhile are dropped.
    ///
    /// # Cancel safety
    /// May be called again after a cancelled call; dropping the link instead is always possible.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}
