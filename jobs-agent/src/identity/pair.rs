//! A certificate and the key it belongs to.

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};

use crate::download::Sha256Digest;

/// A certificate chain with its key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    pem: Vec<u8>,
    /// SHA-256 of the certificate's DER form: its id at AWS IoT.
    pub(super) id: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pair").field(&self.id).finish()
    }
}

impl Pair {
    /// Puts certificate and key together.
    ///
    /// # Errors
    /// One of them is none, or they do not belong together.
    pub fn new(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(chain_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("no certificate: {error}"))?;
        let first = chain.first().ok_or("there is no certificate in it")?;
        let id = Sha256Digest(Sha256::digest(first).into()).to_string();
        let key = PrivateKeyDer::from_pem_slice(key_pem);
        let key = key.map_err(|error| format!("no private key: {error}"))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|error| error.to_string())?;
        let pem = if chain_pem == key_pem {
            key_pem.to_vec()
        } else {
            [key_pem, b"\n", chain_pem].concat()
        };
        Ok(Self { pem, id })
    }

    /// Both as one PEM text.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// SHA-256 of the certificate, as AWS IoT calls it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}
