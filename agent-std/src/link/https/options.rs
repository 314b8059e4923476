//! What a link over HTTPS has to know before it can connect.

use jobs_proto::ThingName;

use crate::link::{BackoffOptions, CONNECT_TIMEOUT_S, ConfigError, MAX_OUTSTANDING, Tls};

/// The port of the HTTPS data plane with client certificates ("Device communication protocols", AWS
/// IoT developer guide).
pub const HTTPS_PORT: u16 = 8443;
/// The ALPN name that selects it on port 443 (same source).
pub const ALPN_AWS_HTTP: &str = "x-amzn-http-ca";
/// Default wait between two looks while something goes on, in milliseconds: so long a cancel goes
/// unnoticed. A step of a job seldom takes less.
pub const BUSY_POLL_MS: u64 = 15_000;
/// Default wait between two looks while nothing goes on, in milliseconds: so long a new job waits.
/// With [jitter](PollOptions) 384 requests a day.
pub const IDLE_POLL_MS: u64 = 300_000;
/// Shortest wait that can be configured, in milliseconds: below, a long-lived MQTT connection is the
/// cheaper one for both sides. Tests go below by [`HttpsOptions::poll`] itself.
pub const POLL_MIN_MS: u64 = 1_000;
/// Time for one request and its answer, in milliseconds: 130 KB at 8 KB/s, and one retransmission.
pub const EXCHANGE_TIMEOUT_MS: u64 = 20_000;
/// Largest body taken, in bytes: a document of 128 KiB, each byte of it escaped, twice over.
pub const BODY_MAX_BYTES: usize = 512 * 1_024;
/// Largest head of an answer, in bytes; also what is read at once.
pub(super) const HEAD_MAX_BYTES: usize = 32 * 1_024;
/// How long an idle connection is kept for the next request, in milliseconds: longer than a job's
/// own pauses, shorter than any server waits. Between two looks it only costs memory on both sides.
pub(super) const KEEP_IDLE_MS: u64 = 10_000;
/// Longest pause that is granted to a service that asks for one, in seconds: a mistake in its
/// `Retry-After` must not switch a device off.
pub const PAUSE_MAX_S: u64 = 3_600;

/// How often the service is asked, in milliseconds. Each wait is drawn from its upper half, so that
/// devices that began together drift apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollOptions {
    /// While a job is in progress, and right after one.
    pub busy_ms: u64,
    /// The longest wait: each look that finds nothing doubles the wait up to here.
    pub idle_ms: u64,
}

impl Default for PollOptions {
    fn default() -> Self {
        Self {
            busy_ms: BUSY_POLL_MS,
            idle_ms: IDLE_POLL_MS,
        }
    }
}

/// What a link over HTTPS has to know before it can connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsOptions {
    /// Name or address of the service, without a scheme and without a port.
    pub host: String,
    /// TCP port: 8443, or 443 with ALPN.
    pub port: u16,
    /// The thing whose jobs are asked for.
    pub thing: String,
    /// TLS, or plain HTTP for a service on this machine.
    pub tls: Option<Tls>,
    /// How often the service is asked.
    pub poll: PollOptions,
    /// Time for one request and its answer, in milliseconds.
    pub exchange_timeout_ms: u64,
    /// Time for TCP and TLS together, in seconds.
    pub connect_timeout_s: u64,
    /// Requests without an answer before [`SendError::Busy`](crate::link::SendError::Busy).
    pub max_outstanding: usize,
    /// The waits between attempts to reach the service.
    pub backoff: BackoffOptions,
    /// Seed of the jitter; give each device its own.
    pub seed: u64,
}

impl HttpsOptions {
    /// Plain HTTP with the defaults of this crate; set [`HttpsOptions::tls`] for AWS IoT.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, thing: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            thing: thing.into(),
            tls: None,
            poll: PollOptions::default(),
            exchange_timeout_ms: EXCHANGE_TIMEOUT_MS,
            connect_timeout_s: CONNECT_TIMEOUT_S,
            max_outstanding: MAX_OUTSTANDING,
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
        if ThingName::new(&self.thing).is_err() {
            return bad("the thing name must have 1 to 128 of a-z A-Z 0-9 : _ -");
        }
        if self.poll.busy_ms == 0 || self.poll.idle_ms < self.poll.busy_ms {
            return bad("the poll interval must not be 0, nor shorter when idle than when busy");
        }
        if self.max_outstanding == 0 || self.exchange_timeout_ms == 0 || self.connect_timeout_s == 0
        {
            return bad("max_outstanding and the time-outs must be at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_a_url_or_an_endless_loop_is_not() {
        let options = HttpsOptions::new("localhost", 80, "pump-17");
        assert_eq!(options.check(), Ok(()));
        for spoil in [
            |options: &mut HttpsOptions| options.host = "https://localhost".into(),
            |options: &mut HttpsOptions| options.thing = "a/b".into(),
            |options: &mut HttpsOptions| options.poll.busy_ms = 0,
            |options: &mut HttpsOptions| options.poll.idle_ms = 1,
        ] {
            let mut options = options.clone();
            spoil(&mut options);
            assert!(options.check().is_err(), "{options:?}");
        }
    }

    #[test]
    fn the_bound_of_a_body_takes_the_largest_document_however_it_is_escaped() {
        const { assert!(BODY_MAX_BYTES >= 2 * 2 * jobs_proto::limits::MQTT_PAYLOAD_LEN_MAX) };
    }
}
