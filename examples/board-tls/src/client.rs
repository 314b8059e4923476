//! The handshake: what `embedded-tls` asks of us, and what it does not ask.

use core::fmt;

use embedded_io_async::{Read, Write};
use embedded_tls::{
    Aes128GcmSha256, Certificate as Shown, CertificateEntryRef, CertificateRef,
    CertificateVerifyRef, CryptoProvider, CryptoRngCore, Sha256, SignatureScheme, TlsCipherSuite,
    TlsConfig, TlsConnection, TlsContext, TlsError, TlsVerifier,
};
use p256::ecdsa::DerSignature;
use sha2::Digest;
use signature::SignerMut;

use crate::{
    CERTIFICATES_MAX, HostName, Identity, Now, PublicKey, Refusal, TrustAnchor, key::Hash,
    verify_chain,
};

/// What precedes the hash of the handshake in what a server signs (RFC 8446, 4.4.3).
const PADDING: [u8; 64] = [b' '; 64];
const CONTEXT: &[u8; 34] = b"TLS 1.3, server CertificateVerify\0";
const HASH_LEN: usize = 32;
const SIGNED_LEN: usize = PADDING.len() + CONTEXT.len() + HASH_LEN;

/// One side of mutual TLS: whom to believe and what to show.
#[derive(Debug)]
pub struct Client<'a, R> {
    /// The CA to which the server's chain must lead.
    pub anchor: TrustAnchor<'a>,
    /// The name that the server must prove.
    pub host: HostName<'a>,
    /// The time at which dates are judged.
    pub now: Now,
    /// What to show if the server asks; with `None`, an empty certificate.
    pub identity: Option<Identity<'a>>,
    /// A cryptographically secure source of randomness.
    pub rng: R,
}

/// Why a connection was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// The server is not who it should be.
    Refused(Refusal),
    /// The stream or the protocol failed.
    Tls(TlsError),
    /// The buffers for records do not fit each other.
    Buffers,
}

/// Performs the handshake and returns once the server has proven who it is.
///
/// `embedded-tls` 0.19 goes on if a server leaves out its certificate or its signature (it verifies
/// both *if they come*): only the check at the end keeps out a server that shows nothing at all.
pub(crate) async fn handshake<S, R>(
    connection: &mut TlsConnection<'_, S, Aes128GcmSha256>,
    config: &TlsConfig<'_>,
    client: &mut Client<'_, R>,
) -> Result<(), OpenError>
where
    S: Read + Write,
    R: CryptoRngCore,
{
    let mut session = Session {
        client,
        proof: Proof::Nothing,
    };
    let opened = connection.open(TlsContext::new(config, &mut session)).await;
    match (session.proof, opened) {
        (Proof::Refused(refusal), _) => Err(OpenError::Refused(refusal)),
        (_, Err(error)) => Err(OpenError::Tls(error)),
        (Proof::Given, Ok(())) => Ok(()),
        (Proof::Nothing | Proof::Chain { .. }, Ok(())) => {
            Err(OpenError::Refused(Refusal::NotProven))
        }
    }
}

/// How far the server has proven its name in one handshake.
enum Proof {
    Nothing,
    /// The chain is good; the handshake up to it must be signed with this key.
    Chain {
        key: PublicKey,
        transcript: [u8; HASH_LEN],
    },
    Given,
    Refused(Refusal),
}

/// One handshake of a client.
struct Session<'c, 'a, R> {
    client: &'c mut Client<'a, R>,
    proof: Proof,
}

impl<R> Session<'_, '_, R> {
    fn keep(&mut self, step: Result<Proof, Refusal>) -> Result<(), TlsError> {
        match step {
            Ok(proof) => {
                self.proof = proof;
                Ok(())
            }
            Err(refusal) => {
                self.proof = Proof::Refused(refusal);
                Err(TlsError::InvalidCertificate)
            }
        }
    }

    fn chain(&self, transcript: &Sha256, shown: &CertificateRef<'_>) -> Result<Proof, Refusal> {
        if !matches!(self.proof, Proof::Nothing) {
            return Err(Refusal::WrongOrder);
        }
        let mut chain = [[].as_slice(); CERTIFICATES_MAX];
        let places = chain
            .get_mut(..shown.entries.len())
            .ok_or(Refusal::TooMany)?;
        for (place, entry) in places.iter_mut().zip(&shown.entries) {
            match entry {
                CertificateEntryRef::X509(bytes) => *place = bytes,
                CertificateEntryRef::RawPublicKey(_) => return Err(Refusal::Unsupported),
            }
        }
        let Client {
            anchor, host, now, ..
        } = &*self.client;
        let key = verify_chain(anchor, *host, *now, places)?;
        let transcript = transcript.clone().finalize().into();
        Ok(Proof::Chain { key, transcript })
    }

    fn signature(&self, verify: &CertificateVerifyRef<'_>) -> Result<Proof, Refusal> {
        let Proof::Chain { key, transcript } = &self.proof else {
            return Err(Refusal::WrongOrder);
        };
        // TLS 1.3 binds the digest to the curve.
        let hash = match (verify.signature_scheme, key) {
            (SignatureScheme::EcdsaSecp256r1Sha256, PublicKey::P256(_)) => Hash::Sha256,
            #[cfg(feature = "p384")]
            (SignatureScheme::EcdsaSecp384r1Sha384, PublicKey::P384(_)) => Hash::Sha384,
            _ => return Err(Refusal::Unsupported),
        };
        let mut message = [0; SIGNED_LEN];
        let parts = PADDING.iter().chain(CONTEXT).chain(transcript);
        for (place, byte) in message.iter_mut().zip(parts) {
            *place = *byte;
        }
        key.check(hash, &message, verify.signature)?;
        Ok(Proof::Given)
    }
}

impl<C, R> TlsVerifier<C> for Session<'_, '_, R>
where
    C: TlsCipherSuite<Hash = Sha256>,
{
    /// The name to prove is the client's; what goes into the ClientHello changes nothing.
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &Sha256,
        shown: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        let step = self.chain(transcript, &shown);
        self.keep(step)
    }

    fn verify_signature(&mut self, verify: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        let step = self.signature(&verify);
        self.keep(step)
    }
}

impl<R: CryptoRngCore> CryptoProvider for Session<'_, '_, R> {
    type CipherSuite = Aes128GcmSha256;
    type Signature = DerSignature;

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.client.rng
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(self)
    }

    /// Signs only for a server that has proven its name.
    fn signer(&mut self) -> Result<(impl SignerMut<DerSignature>, SignatureScheme), TlsError> {
        match (&self.proof, &self.client.identity) {
            (Proof::Given, Some(identity)) => {
                Ok((identity.key.clone(), SignatureScheme::EcdsaSecp256r1Sha256))
            }
            _ => Err(TlsError::InvalidPrivateKey),
        }
    }

    /// Shows the device's name only to a server that has proven its own.
    fn client_cert(&mut self) -> Option<Shown<impl AsRef<[u8]>>> {
        let identity = self.client.identity.as_ref();
        identity
            .filter(|_| matches!(self.proof, Proof::Given))
            .map(|identity| Shown::X509(identity.certificate))
    }
}

impl From<Refusal> for OpenError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(formatter, "server refused: {refusal}"),
            Self::Tls(error) => write!(formatter, "TLS: {error:?}"),
            Self::Buffers => formatter.write_str("buffers for records do not fit each other"),
        }
    }
}

impl core::error::Error for OpenError {}
