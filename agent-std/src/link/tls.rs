//! Turns PEM files into a rustls configuration; knows no MQTT client.

use std::error::Error;
use std::sync::Arc;
use std::{fs, io};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::options::{ALPN_PORT, Alpn, Pem, Tls};
use super::{ConfigError, LinkError, LinkOptions};

/// TLS sessions to be resumed that are remembered: what rustls keeps of one server, and there is
/// one. For its own 256 it takes 14 KiB.
const SESSIONS: usize = 8;

/// Builds the configuration for these options; `alpn` is the protocol's name where one is offered.
///
/// The crypto provider is named here (ring), so that a program with two providers in its tree does
/// not fail at run time for want of a process-wide default.
pub(super) fn client_config(
    tls: &Tls,
    port: u16,
    alpn: &str,
) -> Result<Arc<ClientConfig>, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad_pem("TLS configuration", &error))?
        .with_root_certificates(roots(&tls.ca)?);
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(&identity.certificate, "device certificate")?;
            let key = PrivateKeyDer::from_pem_slice(&read(&identity.key, "private key")?)
                .map_err(|error| bad_pem("private key", &error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| bad_pem("device certificate with its key", &error))?
        }
    };
    let offer = match tls.alpn {
        Alpn::OnPort443 => port == ALPN_PORT,
        Alpn::Always => true,
        Alpn::Never => false,
    };
    if offer {
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    }
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

/// The name the broker's certificate must carry.
pub(super) fn server_name(options: &LinkOptions) -> &str {
    options
        .tls
        .as_ref()
        .and_then(|tls| tls.server_name.as_deref())
        .unwrap_or(&options.host)
}

fn roots(ca: &Pem) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, "CA certificate")? {
        roots
            .add(certificate)
            .map_err(|error| bad_pem("CA certificate", &error))?;
    }
    Ok(roots)
}

fn certificates(
    pem: &Pem,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = read(pem, what)?;
    let all = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad_pem(what, &error))?;
    if all.is_empty() {
        return Err(bad_pem(what, &"no certificate in it"));
    }
    Ok(all)
}

fn read(pem: &Pem, what: &'static str) -> Result<Vec<u8>, ConfigError> {
    match pem {
        Pem::Bytes(bytes) => Ok(bytes.clone()),
        Pem::File(path) => fs::read(path).map_err(|error| ConfigError::Unreadable {
            what,
            path: path.clone(),
            cause: error.to_string(),
        }),
    }
}

fn bad_pem(what: &'static str, cause: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::BadPem {
        what,
        cause: cause.to_string(),
    }
}

/// What an error means if it is one of rustls, whoever's client carried it here.
pub(super) fn fault(error: &(dyn Error + 'static)) -> Option<LinkError> {
    let tls = as_rustls(error)?;
    let cause = tls.to_string();
    Some(if is_damage(tls) {
        LinkError::Protocol { cause }
    } else if is_untimely(tls) {
        LinkError::Untimely { cause }
    } else {
        LinkError::Identity { cause }
    })
}

/// Whether bytes were damaged on their way, here or there: that says nothing of who anybody is, and
/// passes by itself.
fn is_damage(error: &rustls::Error) -> bool {
    use rustls::{AlertDescription as Alert, Error};
    match error {
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidMessage(_)
        | Error::DecryptError
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord => true,
        Error::AlertReceived(alert) => matches!(
            alert,
            Alert::UnexpectedMessage
                | Alert::BadRecordMac
                | Alert::RecordOverflow
                | Alert::DecodeError
                | Alert::InternalError
        ),
        _ => false,
    }
}

/// Whether the other side's certificate is only out of its time. Machines without a battery for their
/// clock begin in the past, and the time comes over the network soon after: no reason to wait for
/// minutes.
fn is_untimely(error: &rustls::Error) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
        )
    )
}

fn as_rustls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    // An io::Error hides what it wraps from `source`.
    error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(ca: Pem) -> Tls {
        Tls {
            ca,
            identity: None,
            alpn: Alpn::default(),
            server_name: None,
        }
    }

    #[test]
    fn a_missing_file_is_named_in_the_error() {
        let path = "/nonexistent/root.pem";
        let error = client_config(&tls(Pem::File(path.into())), 8883, "a").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(path) && text.contains("CA certificate"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_ca_file_is_refused_before_connecting() {
        let error = client_config(&tls(Pem::Bytes(b"not pem".to_vec())), 8883, "a").unwrap_err();
        assert!(matches!(
            error,
            ConfigError::BadPem {
                what: "CA certificate",
                ..
            }
        ));
    }
}
