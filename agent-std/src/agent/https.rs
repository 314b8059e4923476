//! Where the HTTPS data plane is and how it knows us.

use std::path::PathBuf;

use jobs_agent_core::Config;

use super::Transport;
use crate::link::https::{HTTPS_PORT, HttpsLink, HttpsOptions, PollOptions};
use crate::link::{Alpn, ConfigError, Identity, Pem, Tls};

/// How long after its last word about a job the agent asks for the next one, milliseconds. Nobody
/// notifies it; a moment is left for what the service may have begun to change.
const SETTLE_MS: u32 = 1_000;

/// How long the agent waits for an answer, in milliseconds. The link tells it of every request what
/// became of it, so this is for answers that were too large to take; behind a queue of requests.
const REPLY_TIMEOUT_MS: u32 = 60_000;

/// Where the HTTPS data plane is and how it knows us: instead of an [`Endpoint`](super::Endpoint),
/// for a device without MQTT. A new job is noticed within [`PollOptions::idle_ms`].
///
/// ```no_run
/// use agent_std::{Agent, HttpsEndpoint, Outcome};
///
/// let aws = HttpsEndpoint::mtls(
///     "example-ats.iot.eu-west-1.amazonaws.com",
///     "/etc/agent/AmazonRootCA1.pem",
///     "/etc/agent/device.pem.crt",
///     "/etc/agent/device.pem.key",
/// );
/// let agent = Agent::new("pump-17", aws.port(443));
/// # let _ = agent;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsEndpoint {
    options: HttpsOptions,
}

impl HttpsEndpoint {
    /// A service without TLS: the local emulator (`--data-http`), never the real service.
    #[must_use]
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self {
            options: HttpsOptions::new(host, port, ""),
        }
    }

    /// AWS IoT Core: mutual TLS on port 8443, with the authorities to trust, the device certificate
    /// and its private key as PEM files. The host is that of `iot:Data-ATS`.
    #[must_use]
    pub fn mtls(
        host: impl Into<String>,
        ca: impl Into<PathBuf>,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let mut options = HttpsOptions::new(host, HTTPS_PORT, "");
        options.tls = Some(Tls {
            ca: Pem::File(ca.into()),
            identity: Some(Identity {
                certificate: Pem::File(certificate.into()),
                key: Pem::File(key.into()),
            }),
            alpn: Alpn::default(),
            server_name: None,
        });
        Self { options }
    }

    /// Another port. On 443 the ALPN name that AWS IoT asks for there is offered.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.options.port = port;
        self
    }

    /// How often the service is asked.
    #[must_use]
    pub fn poll(mut self, poll: PollOptions) -> Self {
        self.options.poll = poll;
        self
    }

    /// Changes what has no method of its own: back-off, time-outs, server name and so on.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut HttpsOptions)) -> Self {
        change(&mut self.options);
        self
    }
}

impl Transport for HttpsEndpoint {
    type Link = HttpsLink;

    fn open(self, thing: &str, seed: u64) -> Result<HttpsLink, ConfigError> {
        let mut options = self.options;
        thing.clone_into(&mut options.thing);
        if options.seed == 0 {
            options.seed = seed;
        }
        HttpsLink::open(options)
    }

    fn prepare(&self, config: &mut Config<'_>) {
        // A job in the list has no notification of its own to wait for.
        config.list_grace_ms = 0;
        config.settle_ms = SETTLE_MS;
        config.reply_timeout_ms = REPLY_TIMEOUT_MS;
    }
}
