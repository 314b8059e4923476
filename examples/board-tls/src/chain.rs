//! From a server's certificate to the pinned CA.

use crate::{
    HostName, PublicKey, Refusal,
    certificate::{Certificate, Now},
};

/// Most certificates that a server may show; AWS shows four.
pub const CERTIFICATES_MAX: usize = 8;

/// Most certificates between the server's and the pinned CA; public CAs use one or two.
pub const INTERMEDIATES_MAX: u32 = 3;

/// Most signatures that are checked for one chain. Each costs a Cortex-M0+ about a second, and a
/// hostile server could otherwise make it check every pair.
pub const SIGNATURES_MAX: u32 = 8;

/// The one CA that is trusted.
#[derive(Debug, Clone)]
pub struct TrustAnchor<'a> {
    certificate: Certificate<'a>,
    key: PublicKey,
}

impl<'a> TrustAnchor<'a> {
    /// Takes a CA's certificate in DER: a root, or an intermediate to trust less.
    ///
    /// Its name, key and path length count; its dates and its own signature do not.
    ///
    /// # Errors
    /// If it is malformed, of an unsupported kind, or may not issue certificates.
    pub fn from_certificate(der: &'a [u8]) -> Result<Self, Refusal> {
        let certificate = Certificate::from_der(der)?;
        certificate.extensions.check_issuer(0)?;
        let key = certificate.key()?;
        Ok(Self { certificate, key })
    }
}

/// Checks that `chain`, the server's certificate first, proves `host` under `anchor`.
///
/// Returns the server's key, with which it must have signed the handshake. The order of the other
/// certificates does not matter, and those that the path does not need are ignored.
///
/// # Errors
/// The reason of the refusal. If several certificates could have continued the path, the reason
/// why the last of them could not.
pub fn verify_chain(
    anchor: &TrustAnchor<'_>,
    host: HostName<'_>,
    now: Now,
    chain: &[&[u8]],
) -> Result<PublicKey, Refusal> {
    let (server, others) = chain.split_first().ok_or(Refusal::NoCertificate)?;
    if chain.len() > CERTIFICATES_MAX {
        return Err(Refusal::TooMany);
    }
    let server = Certificate::from_der(server)?;
    server.check_dates(now)?;
    server.extensions.check_server(host)?;
    let key = server.key()?;
    let mut path = Path {
        anchor,
        now,
        others,
        signatures: 0,
    };
    path.follow(server)?;
    Ok(key)
}

struct Path<'p, 'a> {
    anchor: &'p TrustAnchor<'p>,
    now: Now,
    others: &'p [&'a [u8]],
    /// Signatures checked so far.
    signatures: u32,
}

impl<'a> Path<'_, 'a> {
    fn follow(&mut self, server: Certificate<'a>) -> Result<(), Refusal> {
        let mut subject = server;
        // Each round goes one certificate up, so a circle ends here too.
        for intermediates in 0..=INTERMEDIATES_MAX {
            let refusal = match self.ends(&subject, intermediates) {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            };
            if refusal == Refusal::TooLong || intermediates == INTERMEDIATES_MAX {
                return Err(Refusal::TooLong);
            }
            subject = self.issuer_of(&subject, intermediates, refusal)?;
        }
        Err(Refusal::TooLong)
    }

    /// Has the pinned CA signed this one?
    fn ends(&mut self, subject: &Certificate<'a>, intermediates: u32) -> Result<(), Refusal> {
        let anchor = self.anchor;
        if subject.issuer != anchor.certificate.subject {
            return Err(Refusal::Untrusted);
        }
        self.check_signature(subject, &anchor.key)?;
        anchor.certificate.extensions.check_issuer(intermediates)
    }

    /// Finds who has signed `subject`: first among those that the pinned CA claims to have issued,
    /// so that of several certificates for one issuer the useful one is taken.
    fn issuer_of(
        &mut self,
        subject: &Certificate<'a>,
        intermediates: u32,
        mut refusal: Refusal,
    ) -> Result<Certificate<'a>, Refusal> {
        for under_anchor in [true, false] {
            for other in self.others {
                // A certificate that cannot be read may be one that is not needed.
                let Ok(candidate) = Certificate::from_der(other) else {
                    continue;
                };
                let pinned = candidate.issuer == self.anchor.certificate.subject;
                if candidate.subject != subject.issuer || pinned != under_anchor {
                    continue;
                }
                match self.check_issuer(&candidate, subject, intermediates) {
                    Ok(()) => return Ok(candidate),
                    Err(Refusal::TooLong) => return Err(Refusal::TooLong),
                    Err(other) => refusal = other,
                }
            }
        }
        Err(refusal)
    }

    fn check_issuer(
        &mut self,
        candidate: &Certificate<'a>,
        subject: &Certificate<'a>,
        intermediates: u32,
    ) -> Result<(), Refusal> {
        candidate.extensions.check_issuer(intermediates)?;
        candidate.check_dates(self.now)?;
        let key = candidate.key()?;
        self.check_signature(subject, &key)
    }

    fn check_signature(
        &mut self,
        subject: &Certificate<'a>,
        key: &PublicKey,
    ) -> Result<(), Refusal> {
        if self.signatures == SIGNATURES_MAX {
            return Err(Refusal::TooLong);
        }
        self.signatures = self.signatures.saturating_add(1);
        subject.check_signed_by(key)
    }
}
