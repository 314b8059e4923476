//! How the service is reached, out of the configuration.

use agent_std::{
    Choice, Endpoint, HttpsEndpoint,
    link::{
        Alpn, BackoffOptions, Identity, LinkOptions, Pem, Tls,
        https::{BUSY_POLL_MS, HTTPS_PORT, HttpsOptions, IDLE_POLL_MS, POLL_MIN_MS, PollOptions},
    },
};
use serde::Deserialize;

use super::{Config, ConfigFault};

/// How the service is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// A connection that is kept; jobs are told at once.
    #[default]
    Mqtt,
    /// For networks and devices without MQTT: the service is asked from time to time.
    Https,
}

impl Config {
    /// How the broker is reached, over MQTT.
    #[must_use]
    pub fn link(&self) -> LinkOptions {
        let client_id = self.client_id.as_ref().unwrap_or(&self.thing);
        let mut options = LinkOptions::new(&self.endpoint, self.port(), client_id);
        options.tls = self.tls();
        options.keep_alive_s = self.keep_alive_s.unwrap_or(options.keep_alive_s);
        self.limit_waits(&mut options.backoff);
        options
    }

    fn limit_waits(&self, backoff: &mut BackoffOptions) {
        if let Some(longest_s) = self.reconnect_max_s {
            let longest_ms = u64::from(longest_s) * 1_000;
            backoff.cap_ms = longest_ms;
            backoff.permanent_ms = longest_ms;
        }
    }

    /// How the service is reached, over HTTPS.
    #[must_use]
    pub fn https(&self) -> HttpsOptions {
        let mut options = HttpsOptions::new(&self.endpoint, self.port(), &self.thing);
        options.tls = self.tls();
        self.limit_waits(&mut options.backoff);
        let ms = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
        let idle_ms = self.poll_interval_s.map_or(IDLE_POLL_MS, ms);
        options.poll = PollOptions {
            busy_ms: self
                .busy_poll_interval_s
                .map_or_else(|| BUSY_POLL_MS.min(idle_ms), ms),
            idle_ms,
        };
        options
    }

    /// The same for [`agent_std::Agent`], with the transport that is configured.
    #[must_use]
    pub fn endpoint(&self) -> Choice<Endpoint, HttpsEndpoint> {
        match self.transport {
            TransportKind::Mqtt => {
                let link = self.link();
                let endpoint = Endpoint::plain(&self.endpoint, link.port);
                Choice::This(endpoint.options(|options| *options = link))
            }
            TransportKind::Https => {
                let https = self.https();
                let endpoint = HttpsEndpoint::plain(&self.endpoint, https.port);
                Choice::That(endpoint.options(|options| *options = https))
            }
        }
    }

    /// The port of the endpoint.
    #[must_use]
    pub fn port(&self) -> u16 {
        let usual = match (self.transport, self.ca.is_some()) {
            (TransportKind::Mqtt, true) => 8883,
            (TransportKind::Mqtt, false) => 1883,
            (TransportKind::Https, _) => HTTPS_PORT,
        };
        self.port.unwrap_or(usual)
    }

    fn tls(&self) -> Option<Tls> {
        let ca = self.ca.clone()?;
        Some(Tls {
            ca: Pem::File(ca),
            identity: self.identity(),
            alpn: Alpn::default(),
            server_name: None,
        })
    }

    /// The pair of the last rotation, or that of the configuration.
    fn identity(&self) -> Option<Identity> {
        let (certificate, key) = self.cert.clone().zip(self.key.clone())?;
        let same = |pem: Pem| (pem.clone(), pem);
        let identities = self.identities();
        let current = match &self.pair {
            Some(pair) => Ok(Some(pair.clone())),
            None => identities.current(),
        };
        let (certificate, key) = match current {
            Ok(None) => (Pem::File(certificate), Pem::File(key)),
            // One look, so that both are of one pair.
            Ok(Some(pair)) => same(Pem::Bytes(pair.pem().to_vec())),
            // Perhaps the service still knows the first one; without any, nobody could help.
            Err(error) => {
                tracing::error!(path = %identities.path().display(), %error, "is no pair");
                (Pem::File(certificate), Pem::File(key))
            }
        };
        Some(Identity { certificate, key })
    }

    pub(super) fn check_transport(&self) -> Result<(), ConfigFault> {
        let wrong = |text: String| Err(ConfigFault::Value(text));
        let polls = [
            ("poll_interval_s", self.poll_interval_s),
            ("busy_poll_interval_s", self.busy_poll_interval_s),
        ];
        let checked = match self.transport {
            TransportKind::Mqtt => {
                for (name, value) in polls {
                    if value.is_some() {
                        return wrong(format!("`{name}` needs `transport = \"https\"`"));
                    }
                }
                self.link().check()
            }
            TransportKind::Https => {
                if self.ca.is_none() && self.port.is_none() {
                    return wrong("`port` must be given where HTTP has no TLS".to_owned());
                }
                let least_s = POLL_MIN_MS.div_ceil(1_000);
                for (name, value) in polls {
                    if value.is_some_and(|value| u64::from(value) < least_s) {
                        return wrong(format!("`{name}` must be at least {least_s}"));
                    }
                }
                let poll = self.https().poll;
                if poll.busy_ms > poll.idle_ms {
                    return wrong(
                        "`busy_poll_interval_s` must not be longer than `poll_interval_s`".into(),
                    );
                }
                self.https().check()
            }
        };
        checked.map_err(|error| ConfigFault::Value(error.to_string()))
    }
}
