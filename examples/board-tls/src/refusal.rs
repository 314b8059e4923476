//! Why a server is not believed.

use core::fmt;

/// Why a chain of certificates, a name or a handshake was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No certificate was shown.
    NoCertificate,
    /// A certificate is not DER, not X.509, or has bytes left over.
    Malformed,
    /// More certificates than [`CERTIFICATES_MAX`](crate::CERTIFICATES_MAX), or more extensions
    /// or names in one than their limits.
    TooMany,
    /// No path leads to the pinned CA.
    Untrusted,
    /// The path is longer than [`INTERMEDIATES_MAX`](crate::INTERMEDIATES_MAX), or more than
    /// [`SIGNATURES_MAX`](crate::SIGNATURES_MAX) signatures would have to be checked.
    TooLong,
    /// A certificate that is no CA, or may not sign certificates, stands as an issuer.
    NotAnIssuer,
    /// An issuer's path length does not allow the certificates below it.
    PathLength,
    /// A signature does not fit its certificate or the handshake.
    WrongSignature,
    /// A key or a signature of a kind that is not supported.
    Unsupported,
    /// An extension is critical and not understood, or constrains names.
    UnknownExtension,
    /// An extension is there twice.
    RepeatedExtension,
    /// The certificate is not meant for a TLS server.
    WrongUsage,
    /// The server shows a CA's certificate as its own.
    ServerIsCa,
    /// The certificate names no host.
    NoHostName,
    /// The certificate is for other hosts.
    WrongHost,
    /// A certificate is not valid yet.
    NotYetValid,
    /// A certificate is valid no more.
    Expired,
    /// The expected host name is no DNS name, or is longer than
    /// [`HOST_NAME_LEN_MAX`](crate::HOST_NAME_LEN_MAX).
    NotAHostName,
    /// Messages of the handshake came twice or in the wrong order.
    WrongOrder,
    /// The server finished the handshake without showing who it is.
    NotProven,
}

impl Refusal {
    /// The reason as an English phrase.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no certificate",
            Self::Malformed => "malformed certificate",
            Self::TooMany => "more certificates, extensions or names than supported",
            Self::Untrusted => "no path to the pinned CA",
            Self::TooLong => "path to the pinned CA too long",
            Self::NotAnIssuer => "issued by a certificate that is no CA",
            Self::PathLength => "path length constraint exceeded",
            Self::WrongSignature => "wrong signature",
            Self::Unsupported => "unsupported key or signature",
            Self::UnknownExtension => "unknown critical extension",
            Self::RepeatedExtension => "repeated extension",
            Self::WrongUsage => "not for a TLS server",
            Self::ServerIsCa => "a CA's certificate shown as a server's",
            Self::NoHostName => "certificate without host name",
            Self::WrongHost => "certificate for another host",
            Self::NotYetValid => "certificate not valid yet",
            Self::Expired => "certificate expired",
            Self::NotAHostName => "not a host name",
            Self::WrongOrder => "handshake messages out of order",
            Self::NotProven => "handshake finished without proof of identity",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl core::error::Error for Refusal {}

impl From<der::Error> for Refusal {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}
