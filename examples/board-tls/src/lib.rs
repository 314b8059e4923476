#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        clippy::cast_possible_truncation
    )
)]
//! TLS for boards: [`embedded_tls`] with the two things that it leaves to its user, without `std`
//! or allocation.
//!
//! **Who is the broker?** The device trusts one CA, whose certificate is linked into the firmware.
//! [`TlsStream::open`] succeeds only if the server has shown a chain to that CA for the expected
//! host name *and* has signed this very handshake with the key of its certificate. The device's own
//! certificate is shown only after that.
//!
//! **What if a future is dropped?** A [`TlsStream`] is cancel safe. `embedded-tls` itself is not:
//! it forgets the part of a record that it has read or written; [`Records`] below it does not.
//!
//! ```no_run
//! use board_tls::{Client, HostName, Identity, Now, Records, TlsStream, TrustAnchor};
//! use embedded_tls::TlsConfig;
//! # async fn connect<S, R>(
//! #     socket: S, rng: R, ca_der: &[u8], certificate_der: &[u8], key_der: &[u8],
//! #     unix_seconds: u64,
//! # ) -> Result<(), Box<dyn std::error::Error>>
//! # where S: embedded_io_async::Read + embedded_io_async::Write, R: embedded_tls::CryptoRngCore {
//! let host = HostName::new("abc-ats.iot.eu-central-1.amazonaws.com")?;
//! let mut client = Client {
//!     anchor: TrustAnchor::from_certificate(ca_der)?,
//!     host,
//!     now: Now::UnixSeconds(unix_seconds), // or Now::NoClock, and dates are not checked
//!     identity: Some(Identity::from_der(certificate_der, key_der)?),
//!     rng,
//! };
//! let (mut inbound, mut read) = ([0; 4096], [0; 4096]);
//! let (mut outbound, mut write) = ([0; 1536], [0; 1536]);
//! let records = Records::new(socket, &mut inbound, &mut outbound);
//! let config = TlsConfig::new().with_server_name(host.as_str());
//! let stream =
//!     TlsStream::open(&records, &mut read, &mut write, &config, &mut client).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked
//!
//! | rule | source |
//! |---|---|
//! | the path ends at the first certificate that the pinned key has signed; what the server sends beyond that is ignored (a root cross-signed by another CA) | RFC 5280, 6.1 |
//! | every issuer on the path has basicConstraints `CA:TRUE`, keyUsage `keyCertSign` and a path length that allows its place | RFC 5280, 6.1.4 |
//! | the server's certificate names the host in a `dNSName`; a wildcard is a whole left-most label and stands for one label | RFC 6125, 6.4 |
//! | dates, if there is a clock | RFC 5280, 6.1.3 |
//! | keyUsage and extended key usage, where present, allow a TLS server | RFC 5280, 4.2.1 |
//! | a critical extension that is not understood, and name constraints of any kind, refuse the certificate | RFC 5280, 4.2 |
//! | ECDSA on P-256 with SHA-256; feature `p384` adds P-384 and SHA-384 | |
//! | the server has signed the handshake, before its Finished | RFC 8446, 4.4.3 |
//!
//! Not done: revocation (no CRL, no OCSP), RSA, IP addresses instead of names, internationalized
//! names other than in their ASCII form. The dates of the pinned CA itself are not checked: it is
//! trusted because it is linked in.
//!
//! The limits are constants: [`CERTIFICATES_MAX`], [`INTERMEDIATES_MAX`], [`SIGNATURES_MAX`],
//! [`EXTENSIONS_MAX`], [`ALT_NAMES_MAX`], [`HOST_NAME_LEN_MAX`].

#[cfg(test)]
extern crate std;

mod certificate;
mod chain;
mod client;
mod extensions;
mod host;
mod identity;
mod key;
mod records;
mod refusal;
mod stream;

pub use certificate::Now;
pub use chain::{CERTIFICATES_MAX, INTERMEDIATES_MAX, SIGNATURES_MAX, TrustAnchor, verify_chain};
pub use client::{Client, OpenError};
pub use extensions::{ALT_NAMES_MAX, EXTENSIONS_MAX};
pub use host::{HOST_NAME_LEN_MAX, HostName, LABEL_LEN_MAX};
pub use identity::{Identity, IdentityFault};
pub use key::PublicKey;
pub use records::{RECORD_LEN_MAX, Records, RecordsError};
pub use refusal::Refusal;
pub use stream::TlsStream;
