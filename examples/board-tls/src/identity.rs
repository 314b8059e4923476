//! The device's own certificate and key.

use core::fmt;

use p256::{SecretKey, ecdsa::SigningKey, pkcs8::DecodePrivateKey};

use crate::{PublicKey, certificate::Certificate};

/// What the device shows to a server that asks for a certificate.
#[derive(Clone)]
pub struct Identity<'a> {
    pub(crate) certificate: &'a [u8],
    pub(crate) key: SigningKey,
}

/// Why a certificate and a key are no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityFault {
    /// The certificate cannot be read, or its key is not on P-256.
    Certificate,
    /// The key is not a P-256 key in PKCS#8 or SEC1 DER.
    Key,
    /// The certificate is for another key.
    Mismatch,
}

impl<'a> Identity<'a> {
    /// Takes a certificate in DER and its P-256 key in PKCS#8 or SEC1 DER.
    ///
    /// # Errors
    /// If they cannot be read or do not belong together.
    pub fn from_der(certificate: &'a [u8], key: &[u8]) -> Result<Self, IdentityFault> {
        let secret = SecretKey::from_pkcs8_der(key)
            .or_else(|_| SecretKey::from_sec1_der(key))
            .map_err(|_| IdentityFault::Key)?;
        let key = SigningKey::from(&secret);
        let read = Certificate::from_der(certificate).and_then(|certificate| certificate.key());
        match read {
            Ok(PublicKey::P256(public)) if public == *key.verifying_key() => {
                Ok(Self { certificate, key })
            }
            Ok(PublicKey::P256(_)) => Err(IdentityFault::Mismatch),
            #[cfg(feature = "p384")]
            Ok(PublicKey::P384(_)) => Err(IdentityFault::Certificate),
            Err(_) => Err(IdentityFault::Certificate),
        }
    }
}

/// Shows nothing of the key.
impl fmt::Debug for Identity<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl fmt::Display for IdentityFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Certificate => "no certificate with a P-256 key",
            Self::Key => "no P-256 key in PKCS#8 or SEC1 DER",
            Self::Mismatch => "the certificate is for another key",
        })
    }
}

impl core::error::Error for IdentityFault {}
