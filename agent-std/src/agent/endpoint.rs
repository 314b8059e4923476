//! Where the broker is and how it knows us.

use std::path::PathBuf;

use crate::link::{Identity, LinkOptions, Pem, Tls};

/// The usual port of MQTT over TLS.
const MQTTS_PORT: u16 = 8883;

/// Where the broker is and how it knows us.
///
/// ```
/// use agent_std::Endpoint;
///
/// let local = Endpoint::plain("127.0.0.1", 1883);
/// let aws = Endpoint::mtls(
///     "example-ats.iot.eu-west-1.amazonaws.com",
///     "/etc/agent/AmazonRootCA1.pem",
///     "/etc/agent/device.pem.crt",
///     "/etc/agent/device.pem.key",
/// )
/// .port(443);
/// # let _ = (local, aws);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    options: LinkOptions,
    named: bool,
}

impl Endpoint {
    /// A broker without TLS: the local emulator, never the real service.
    #[must_use]
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self {
            options: LinkOptions::new(host, port, ""),
            named: false,
        }
    }

    /// AWS IoT Core, or a broker like it: mutual TLS on port 8883, with the authorities to trust,
    /// the device certificate and its private key as PEM files.
    #[must_use]
    pub fn mtls(
        host: impl Into<String>,
        ca: impl Into<PathBuf>,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let mut options = LinkOptions::new(host, MQTTS_PORT, "");
        options.tls = Some(Tls {
            ca: Pem::File(ca.into()),
            identity: Some(Identity {
                certificate: Pem::File(certificate.into()),
                key: Pem::File(key.into()),
            }),
            alpn: crate::link::Alpn::default(),
            server_name: None,
        });
        Self {
            options,
            named: false,
        }
    }

    /// Another port. On 443 the ALPN name that AWS IoT asks for there is offered.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.options.port = port;
        self
    }

    /// Another MQTT client id than the thing name, for example where a gateway program already
    /// uses that one. The IoT policy must allow `iot:Connect` for it.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.options.client_id = client_id.into();
        self.named = true;
        self
    }

    /// Changes what has no method of its own: keep-alive, back-off, server name and so on.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut LinkOptions)) -> Self {
        let before = self.options.client_id.clone();
        change(&mut self.options);
        self.named |= self.options.client_id != before;
        self
    }

    /// The options for the link of this thing.
    pub(crate) fn into_options(self, thing: &str, seed: u64) -> LinkOptions {
        let mut options = self.options;
        if !self.named {
            thing.clone_into(&mut options.client_id);
        }
        if options.seed == 0 {
            options.seed = seed;
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_id_is_the_thing_name_unless_given() {
        let plain = Endpoint::plain("localhost", 1883);
        assert_eq!(
            plain.clone().into_options("pump-17", 1).client_id,
            "pump-17"
        );
        let named = plain.client_id("other");
        assert_eq!(named.into_options("pump-17", 1).client_id, "other");
    }

    #[test]
    fn mutual_tls_goes_to_8883_and_to_443_when_asked() {
        let aws = Endpoint::mtls("host", "ca", "cert", "key");
        let options = aws.clone().into_options("pump-17", 1);
        assert_eq!(options.port, 8883);
        assert!(options.tls.is_some_and(|tls| tls.identity.is_some()));
        assert_eq!(aws.port(443).into_options("pump-17", 1).port, 443);
    }
}
