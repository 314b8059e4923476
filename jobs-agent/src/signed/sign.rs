//! The other side: makes a signed document.

use std::{fs, io, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};

use super::{Envelope, Statement, marked, url::complete};

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignFault {
    /// The key cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is of another kind.
    #[error("no private key of P-256 or Ed25519 in PKCS #8 form (openssl genpkey makes one)")]
    Kind,
    /// There is no JSON, no randomness, or a URL that would have to be signed.
    #[error("cannot be signed: {0}")]
    Sign(String),
}

/// Signs documents; for a workstation, not for a device.
#[derive(Debug)]
pub struct Signer(Key);

#[derive(Debug)]
enum Key {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// Reads a private key in PEM form.
    ///
    /// # Errors
    /// [`SignFault`]
    pub fn read(path: &Path) -> Result<Self, SignFault> {
        let pem = fs::read(path)?;
        let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| SignFault::Kind)?;
        let der = der.secret_der();
        let random = SystemRandom::new();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random) {
            return Ok(Self(Key::P256(pair)));
        }
        // The usual form has no public key in it; one that is there is compared.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| SignFault::Kind)?;
        Ok(Self(Key::Ed25519(pair)))
    }

    /// The document for the service. `url` is where the file of an update is: it is not signed, so
    /// that the service can fill in a placeholder.
    ///
    /// # Errors
    /// [`SignFault::Sign`]
    pub fn sign(&self, statement: &Statement, url: Option<&str>) -> Result<String, SignFault> {
        let wrong = |error: serde_json::Error| SignFault::Sign(error.to_string());
        if let Some(url) = url {
            complete(statement.document.as_bytes(), url).map_err(SignFault::Sign)?;
        }
        let statement = statement.to_json().map_err(wrong)?;
        let message = marked(&statement);
        let signature = match &self.0 {
            Key::Ed25519(pair) => pair.sign(&message).as_ref().to_vec(),
            Key::P256(pair) => pair
                .sign(&SystemRandom::new(), &message)
                .map_err(|_| SignFault::Sign("no randomness".to_owned()))?
                .as_ref()
                .to_vec(),
        };
        let envelope = Envelope {
            signed: STANDARD.encode(&statement),
            signature: STANDARD.encode(&signature),
            url: url.map(str::to_owned),
        };
        serde_json::to_string(&envelope).map_err(wrong)
    }
}
