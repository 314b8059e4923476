//! Who says that an update is one.
//!
//! A signature is over a short statement that names target, version and checksum, not over the file:
//! it is checked before anything is downloaded, costs no memory however long the file is, and cannot
//! be taken from one target or version to another. That an
//! old version with a good signature is not installed again is seen to by [`super::versions`].

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use crate::download::Sha256Digest;

/// What stands before the 32 bytes of an Ed25519 key (RFC 8410, 4).
const ED25519_HEAD: &[u8] = &[
    0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// What stands before the 65 bytes of an uncompressed P-256 point (RFC 5480, 2).
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A,
    0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// It cannot be read.
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
    /// It is of another kind.
    #[error("{0} is no public key of P-256 or Ed25519 in PEM form")]
    Kind(PathBuf),
}

/// Public keys of which one must have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The text that is signed: ECDSA with SHA-256 (ASN.1), or Ed25519.
///
/// ```
/// use jobs_agent::update::statement;
/// let digest = "00".repeat(32).parse().unwrap();
/// let text = statement("system", "1.1.0", digest);
/// assert!(text.starts_with("jobs-agent update\ntarget=system\nversion=1.1.0\nsha256=00"));
/// ```
#[must_use]
pub fn statement(target: &str, version: &str, digest: Sha256Digest) -> String {
    format!("jobs-agent update\ntarget={target}\nversion={version}\nsha256={digest}\n")
}

impl Keys {
    /// # Errors
    /// [`KeyFault`] names the file.
    pub fn read(paths: &[PathBuf]) -> Result<Self, KeyFault> {
        let keys = paths.iter().map(|path| read(path));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// # Errors
    /// Why the update is not believed. Without keys every one is.
    pub(super) fn check(
        &self,
        target: &str,
        version: &str,
        digest: Sha256Digest,
        signature: Option<&str>,
    ) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Some(signature) = signature else {
            return Err("`signature` is missing: this target takes signed updates only".to_owned());
        };
        self.verify(statement(target, version, digest).as_bytes(), signature)
            .map_err(|why| format!("`signature` {why} of this target"))
    }

    /// Whether there is any key.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// Why the Base64 `signature` is no signature of `message` by one of the keys, to be read
    /// behind its name and before that of the keys.
    pub(crate) fn verify(&self, message: &[u8], signature: &str) -> Result<(), &'static str> {
        let signature = STANDARD.decode(signature);
        let signature = signature.map_err(|_| "is no Base64 and so of no key")?;
        let good = |key: &Key| match key {
            Key::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
                .verify(message, &signature)
                .is_ok(),
            Key::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(message, &signature)
                .is_ok(),
        };
        if self.0.iter().any(good) {
            Ok(())
        } else {
            Err("is of no key")
        }
    }
}

fn read(path: &Path) -> Result<Key, KeyFault> {
    let pem = fs::read(path).map_err(|error| KeyFault::Io(path.to_owned(), error))?;
    let other = || KeyFault::Kind(path.to_owned());
    let key = SubjectPublicKeyInfoDer::from_pem_slice(&pem).map_err(|_| other())?;
    let bytes = key.as_ref();
    match (
        bytes.strip_prefix(P256_HEAD),
        bytes.strip_prefix(ED25519_HEAD),
    ) {
        (Some(point), _) if point.len() == 65 => Ok(Key::P256(point.to_vec())),
        (_, Some(key)) if key.len() == 32 => Ok(Key::Ed25519(key.to_vec())),
        _ => Err(other()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PublicKeyData,
        SigningKey,
    };

    use super::*;

    fn digest() -> Sha256Digest {
        Sha256Digest([7; 32])
    }

    fn written(dir: &Path, pair: &KeyPair) -> PathBuf {
        let path = dir.join("key.pub");
        fs::write(&path, pair.public_key_pem()).unwrap();
        path
    }

    #[test]
    fn signatures_of_both_kinds_are_believed_for_what_they_name_and_nothing_else() {
        for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            let dir = tempfile::tempdir().unwrap();
            let pair = KeyPair::generate_for(kind).unwrap();
            let keys = Keys::read(&[written(dir.path(), &pair)]).unwrap();
            let signed = pair.sign(statement("a", "1", digest()).as_bytes()).unwrap();
            let signature = STANDARD.encode(&signed);
            let signature = Some(signature.as_str());
            assert_eq!(keys.check("a", "1", digest(), signature), Ok(()));
            assert!(keys.check("b", "1", digest(), signature).is_err());
            assert!(keys.check("a", "2", digest(), signature).is_err());
            assert!(
                keys.check("a", "1", Sha256Digest([8; 32]), signature)
                    .is_err()
            );
            assert!(keys.check("a", "1", digest(), None).is_err());
            assert!(keys.check("a", "1", digest(), Some("")).is_err());
            assert!(keys.check("a", "1", digest(), Some("%")).is_err());
        }
    }

    #[test]
    fn a_key_of_another_kind_is_told_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(pair.subject_public_key_info().len() > 100);
        let path = written(dir.path(), &pair);
        assert!(matches!(Keys::read(&[path]), Err(KeyFault::Kind(_))));
        assert!(matches!(
            Keys::read(&["/nonexistent".into()]),
            Err(KeyFault::Io(..))
        ));
    }
}
