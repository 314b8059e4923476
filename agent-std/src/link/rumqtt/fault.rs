//! Sorts the errors of the client library by fault.

use std::error::Error;
use std::io;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError};

use crate::link::{LinkError, RefusedReason, tls};

/// Before CONNACK.
pub(in crate::link) fn while_connecting(error: &ConnectionError, limit_s: u64) -> LinkError {
    match error {
        ConnectionError::NetworkTimeout => LinkError::ConnectTimeout { limit_s },
        ConnectionError::ConnectionRefused(code) => match refused(*code) {
            Some(reason) => LinkError::Refused { reason },
            None => LinkError::Protocol {
                cause: error.to_string(),
            },
        },
        ConnectionError::Io(io) => tls_fault(error).unwrap_or_else(|| LinkError::Unreachable {
            cause: io.to_string(),
        }),
        ConnectionError::Tls(_) => tls_fault(error).unwrap_or_else(|| match io_cause(error) {
            // The connection ended in the middle of the handshake, for a reason not told.
            Some(cause) => LinkError::PeerClosed { cause },
            None => LinkError::Identity {
                cause: error.to_string(),
            },
        }),
        other => while_connected(other),
    }
}

/// After CONNACK. With TLS 1.3 a broker that refuses our certificate says so only here or while
/// waiting for CONNACK, because the client's side of the handshake is over by then.
pub(in crate::link) fn while_connected(error: &ConnectionError) -> LinkError {
    if let Some(fault) = tls_fault(error) {
        return fault;
    }
    match error {
        ConnectionError::MqttState(StateError::AwaitPingResp) | ConnectionError::FlushTimeout => {
            LinkError::PeerSilent
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => LinkError::PeerClosed {
            cause: "end of stream".to_owned(),
        },
        _ => match io_cause(error) {
            Some(cause) => LinkError::PeerClosed { cause },
            None => LinkError::Protocol {
                cause: error.to_string(),
            },
        },
    }
}

fn refused(code: ConnectReturnCode) -> Option<RefusedReason> {
    match code {
        ConnectReturnCode::Success => None,
        ConnectReturnCode::RefusedProtocolVersion => Some(RefusedReason::ProtocolVersion),
        ConnectReturnCode::BadClientId => Some(RefusedReason::ClientId),
        ConnectReturnCode::ServiceUnavailable => Some(RefusedReason::Unavailable),
        ConnectReturnCode::BadUserNamePassword => Some(RefusedReason::Credentials),
        ConnectReturnCode::NotAuthorized => Some(RefusedReason::NotAuthorized),
    }
}

/// What the rustls error somewhere below means, if there is one.
fn tls_fault(error: &ConnectionError) -> Option<LinkError> {
    chain(error).find_map(tls::fault)
}

fn io_cause(error: &ConnectionError) -> Option<String> {
    chain(error)
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .map(ToString::to_string)
}

fn chain<'e>(error: &'e ConnectionError) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next: Option<&'e (dyn Error + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, Error as Tls};

    use super::*;

    fn connected(tls: Tls) -> LinkError {
        let error = io::Error::new(io::ErrorKind::InvalidData, tls);
        while_connected(&ConnectionError::Io(error))
    }

    #[test]
    fn bytes_damaged_on_their_way_pass_by_themselves() {
        for tls in [
            Tls::DecryptError,
            Tls::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            Tls::AlertReceived(AlertDescription::BadRecordMac),
        ] {
            let why = connected(tls);
            assert!(!why.is_permanent(), "{why}");
        }
    }

    #[test]
    fn who_is_not_who_they_should_be_stays_so() {
        for tls in [
            Tls::InvalidCertificate(CertificateError::UnknownIssuer),
            Tls::AlertReceived(AlertDescription::CertificateRevoked),
            Tls::AlertReceived(AlertDescription::DecryptError),
        ] {
            let why = connected(tls);
            assert!(why.is_permanent(), "{why}");
        }
    }
}
