//! Public keys and the signatures they check.

use der::{Decode, Reader, SliceReader, asn1::AnyRef, asn1::BitStringRef, oid::ObjectIdentifier};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};

use crate::Refusal;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const CURVE_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
#[cfg(feature = "p384")]
const CURVE_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
#[cfg(feature = "p384")]
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// A key that has been checked to be a point of its curve.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PublicKey {
    /// NIST P-256, also called secp256r1.
    P256(p256::ecdsa::VerifyingKey),
    /// NIST P-384, also called secp384r1.
    #[cfg(feature = "p384")]
    P384(p384::ecdsa::VerifyingKey),
}

/// The digest that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    #[cfg(feature = "p384")]
    Sha384,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo.
    pub(crate) fn from_info(info: &[u8]) -> Result<Self, Refusal> {
        let mut outer = SliceReader::new(AnyRef::from_der(info)?.value())?;
        let mut algorithm = SliceReader::new(AnyRef::decode(&mut outer)?.value())?;
        if ObjectIdentifier::decode(&mut algorithm)? != EC_PUBLIC_KEY {
            return Err(Refusal::Unsupported);
        }
        let curve = ObjectIdentifier::decode(&mut algorithm).map_err(|_| Refusal::Unsupported)?;
        algorithm.finish(())?;
        let point = BitStringRef::decode(&mut outer)?;
        outer.finish(())?;
        let point = point.as_bytes().ok_or(Refusal::Malformed)?;
        match curve {
            CURVE_P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(point)
                .map(Self::P256)
                .map_err(|_| Refusal::Malformed),
            #[cfg(feature = "p384")]
            CURVE_P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(point)
                .map(Self::P384)
                .map_err(|_| Refusal::Malformed),
            _ => Err(Refusal::Unsupported),
        }
    }

    /// Checks an ECDSA signature in DER over `message`.
    pub(crate) fn check(
        &self,
        hash: Hash,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Refusal> {
        match hash {
            Hash::Sha256 => self.check_digest(&Sha256::digest(message), signature),
            #[cfg(feature = "p384")]
            Hash::Sha384 => self.check_digest(&sha2::Sha384::digest(message), signature),
        }
    }

    fn check_digest(&self, digest: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let verified = match self {
            Self::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .and_then(|signature| key.verify_prehash(digest, &signature)),
            #[cfg(feature = "p384")]
            Self::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .and_then(|signature| key.verify_prehash(digest, &signature)),
        };
        verified.map_err(|_| Refusal::WrongSignature)
    }
}

impl Hash {
    /// Reads the AlgorithmIdentifier of a signature; ECDSA has no parameters (RFC 5758, 3.2).
    pub(crate) fn from_algorithm(algorithm: &[u8]) -> Result<Self, Refusal> {
        let mut reader = SliceReader::new(AnyRef::from_der(algorithm)?.value())?;
        let hash = match ObjectIdentifier::decode(&mut reader)? {
            ECDSA_SHA256 => Self::Sha256,
            #[cfg(feature = "p384")]
            ECDSA_SHA384 => Self::Sha384,
            _ => return Err(Refusal::Unsupported),
        };
        reader.finish(hash).map_err(Refusal::from)
    }
}
