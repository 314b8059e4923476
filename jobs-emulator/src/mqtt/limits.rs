//! The limits of the AWS IoT message broker that the front enforces.
//!
//! Source unless said otherwise: AWS IoT Core endpoints and quotas, "message broker and protocol
//! limits and quotas".

/// Largest PUBLISH payload in bytes (128 KiB); a larger one ends the connection.
pub(crate) const PAYLOAD_MAX_BYTES: usize = 128 * 1024;

/// Largest MQTT packet in bytes: the payload, a topic and the headers, rounded up (146 KiB).
///
/// Told to MQTT 5 clients in CONNACK. A packet that announces more is refused before it is read.
pub(crate) const PACKET_MAX_BYTES: usize = 146 * 1024;

/// Longest topic or filter in bytes of UTF-8.
pub(crate) const TOPIC_MAX_BYTES: usize = 256;

/// Most slashes in a topic or filter that is not reserved (does not begin with `$`).
pub(crate) const TOPIC_MAX_SLASHES: usize = 7;

/// Most filters in one SUBSCRIBE; one more ends the connection.
pub(crate) const FILTERS_PER_SUBSCRIBE: usize = 8;

/// Most subscriptions of one session; one more is refused and ends the connection.
pub(crate) const SUBSCRIPTIONS_PER_SESSION: usize = 50;

/// Most QoS 1 messages sent to one client and not acknowledged yet.
pub(crate) const UNACKED_MAX: u16 = 100;

/// Longest client id in bytes.
pub(crate) const CLIENT_ID_MAX_BYTES: usize = 128;

/// Longest keep-alive in seconds; also used for a client that asks for none (0).
///
/// AWS also raises anything below 30 s to 30 s. A local service that took 45 s to notice a cut
/// cable would only make tests slow, so a short keep-alive is taken as asked.
pub(crate) const KEEP_ALIVE_MAX_S: u16 = 1200;

/// How long a session without a connection is kept in seconds, unless an MQTT 5 client asks for
/// less or more (1 h).
pub(crate) const SESSION_EXPIRY_S: u32 = 3600;

/// Most messages waiting in one session. Ours: AWS bounds the rate instead. The oldest are lost.
pub(crate) const QUEUE_MAX_MESSAGES: usize = 1000;

/// Most retained topics. Ours: it only keeps a runaway client from eating the memory.
pub(crate) const RETAINED_MAX: usize = 1000;

/// How long a new connection may take until its CONNECT is complete, in milliseconds. Ours.
pub(crate) const CONNECT_TIMEOUT_MS: u64 = 10_000;
