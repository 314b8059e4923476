//! Mutual TLS as AWS IoT does it: a client is known by its certificate, not by who signed it.

pub(crate) mod identity;
pub(crate) mod pki;
