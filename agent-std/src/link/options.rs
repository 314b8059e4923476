//! What a link has to know before it can connect.

use std::path::PathBuf;

use super::{BackoffOptions, ConfigError};

/// Largest packet taken or sent, in bytes.
///
/// AWS IoT allows a payload of 128 KiB ("AWS IoT Core message broker and protocol limits and
/// quotas"); topic and header come on top.
pub const MAX_PACKET_BYTES: usize = 160 * 1024;
/// QoS 1 publishes on the wire without PUBACK.
///
/// AWS IoT allows 100 unacknowledged messages per client; an agent needs a handful, and fewer are
/// lost with a connection.
pub const MAX_INFLIGHT: u16 = 20;
/// Sends taken by the link without an answer, on the wire or waiting for it, before
/// [`SendError::Busy`](super::SendError::Busy).
pub const MAX_OUTSTANDING: usize = 64;
/// Default keep-alive, in seconds. AWS IoT treats less than 30 as 30 and more than 1200 as 1200.
pub const DEFAULT_KEEP_ALIVE_S: u16 = 60;
/// Time for TCP, TLS and CONNACK together, in seconds: generous, for cellular networks.
pub const CONNECT_TIMEOUT_S: u64 = 30;
/// Longest time [`Link::close`](super::Link::close) takes, in milliseconds: under the ten seconds
/// that most service managers grant.
pub const CLOSE_TIMEOUT_MS: u64 = 5_000;
/// The ALPN name that selects MQTT with client certificates on port 443 ("Device communication
/// protocols", AWS IoT developer guide).
pub const ALPN_AWS_MQTT: &str = "x-amzn-mqtt-ca";
/// The port where [`ALPN_AWS_MQTT`] is needed.
pub const ALPN_PORT: u16 = 443;
/// Connections closed by the other side sooner than this after CONNACK, in milliseconds, count
/// towards [`LinkError::Kicked`](super::LinkError::Kicked).
pub(crate) const SHORT_LIFE_MS: u64 = 5_000;
/// So many short lives in a row are called a kick loop.
pub(crate) const KICK_LOOP_AFTER: u32 = 3;
/// A connection that lived this long, in milliseconds, makes the next failure a first failure.
pub(crate) const STABLE_AFTER_MS: u64 = 10_000;

/// A certificate or key in PEM form.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// Read from this file when the link is made.
    File(PathBuf),
    /// Given directly.
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            // Bytes may be a private key and must not reach a log.
            Self::Bytes(_) => f.write_str("Bytes(..)"),
        }
    }
}

/// Who we are, for mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The device certificate, followed by intermediate ones if any.
    pub certificate: Pem,
    /// Its private key (PKCS #8, PKCS #1 or SEC 1).
    pub key: Pem,
}

/// Whether to offer [`ALPN_AWS_MQTT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpn {
    /// Only on port 443, where AWS IoT needs it.
    #[default]
    OnPort443,
    /// Always, for example behind a forwarded port.
    Always,
    /// Never.
    Never,
}

/// TLS towards the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate authorities we trust, and no others.
    pub ca: Pem,
    /// Who we are. Without it the broker must know us in another way.
    pub identity: Option<Identity>,
    /// Whether to offer the ALPN name of AWS IoT.
    pub alpn: Alpn,
    /// The name in the broker's certificate, where it is not the host we connect to.
    pub server_name: Option<String>,
}

/// What a link has to know before it can connect.
///
/// ```
/// use agent_std::link::{Identity, LinkOptions, Pem, Tls};
///
/// let mut options = LinkOptions::new("example-ats.iot.eu-west-1.amazonaws.com", 443, "gateway-1");
/// options.tls = Some(Tls {
///     ca: Pem::File("/etc/jobs-agent/AmazonRootCA1.pem".into()),
///     identity: Some(Identity {
///         certificate: Pem::File("/etc/jobs-agent/device.pem.crt".into()),
///         key: Pem::File("/etc/jobs-agent/device.pem.key".into()),
///     }),
///     alpn: Default::default(),
///     server_name: None,
/// });
/// assert!(options.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkOptions {
    /// Name or address of the broker, without a scheme and without a port.
    pub host: String,
    /// TCP port: 8883, or 443 with ALPN.
    pub port: u16,
    /// The MQTT client id; unique in the account, by convention the thing name.
    pub client_id: String,
    /// TLS, or plain TCP for a broker on this machine.
    pub tls: Option<Tls>,
    /// Keep-alive in seconds. A silent peer is noticed within twice this time.
    pub keep_alive_s: u16,
    /// Start without a session, and so lose what the broker holds for us while we are away.
    pub clean_session: bool,
    /// Sends without an answer before [`SendError::Busy`](super::SendError::Busy).
    pub max_outstanding: usize,
    /// Time for TCP, TLS and CONNACK together, in seconds.
    pub connect_timeout_s: u64,
    /// The waits between attempts.
    pub backoff: BackoffOptions,
    /// Seed of the jitter; give each device its own, for example from the operating system.
    pub seed: u64,
}

impl LinkOptions {
    /// Plain TCP with the defaults of this crate; set [`LinkOptions::tls`] for AWS IoT.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, client_id: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            client_id: client_id.into(),
            tls: None,
            keep_alive_s: DEFAULT_KEEP_ALIVE_S,
            clean_session: false,
            max_outstanding: MAX_OUTSTANDING,
            connect_timeout_s: CONNECT_TIMEOUT_S,
            backoff: BackoffOptions::default(),
            seed: 0,
        }
    }

    /// Finds the mistakes that can be found without connecting.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] names the value and what is allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |what| Err(ConfigError::BadValue { what });
        if self.host.is_empty() || self.host.contains(['/', ' ']) {
            return bad("the host must be a bare name or address, without a scheme or path");
        }
        // AWS IoT Core message broker and protocol limits and quotas: client id of 128 bytes.
        if self.client_id.is_empty() || self.client_id.len() > 128 {
            return bad("the client id must have 1 to 128 bytes");
        }
        if self.keep_alive_s == 0 {
            return bad("a keep-alive of 0 s would never notice a dead peer: use 30 to 1200");
        }
        if self.max_outstanding == 0 {
            return bad("max_outstanding must be at least 1");
        }
        if self.connect_timeout_s == 0 {
            return bad("connect_timeout_s must be at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_not_a_host() {
        assert!(
            LinkOptions::new("mqtts://example.org", 8883, "a")
                .check()
                .is_err()
        );
    }

    #[test]
    fn a_private_key_does_not_show_in_debug_output() {
        let shown = format!("{:?}", Pem::Bytes(b"-----BEGIN SECRET".to_vec()));
        assert_eq!(shown, "Bytes(..)");
    }

    #[test]
    fn the_defaults_satisfy_the_limits_of_aws_iot() {
        let options = LinkOptions::new("localhost", 1883, "thing");
        assert_eq!(options.check(), Ok(()));
        assert!(!options.clean_session);
        assert!((30..=1200).contains(&options.keep_alive_s));
        const { assert!(MAX_PACKET_BYTES >= 150 * 1024 && MAX_INFLIGHT <= 20) };
    }
}
