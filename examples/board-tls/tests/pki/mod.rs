//! Certificates made for one test each: real ones, so that OpenSSL and rustls would judge the
//! good ones as we do.
#![allow(dead_code)] // Each test program uses its part.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm, date_time_ymd,
};

/// The name of the broker in all tests.
pub(crate) const HOST: &str = "broker.iot.example.com";

/// A day on which everything is valid that says nothing else: 2026-06-01.
pub(crate) const TODAY_UNIX_S: u64 = 1_780_272_000;

/// A key with the certificate parameters of its owner.
pub(crate) struct Party {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
}

impl Party {
    pub(crate) fn new(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 12, 31);
        let key = KeyPair::generate_for(algorithm).unwrap();
        Self { params, key }
    }

    /// A CA, with a limit on the CAs below it or without.
    pub(crate) fn ca(name: &str, path_len: Option<u8>) -> Self {
        Self::ca_with(name, path_len, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn ca_with(
        name: &str,
        path_len: Option<u8>,
        algorithm: &'static SignatureAlgorithm,
    ) -> Self {
        let mut party = Self::new(name, algorithm);
        party.params.is_ca = IsCa::Ca(path_len.map_or(
            BasicConstraints::Unconstrained,
            BasicConstraints::Constrained,
        ));
        party.params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        party
    }

    /// A TLS server.
    pub(crate) fn server(names: &[&str]) -> Self {
        Self::server_with(names, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn server_with(names: &[&str], algorithm: &'static SignatureAlgorithm) -> Self {
        let mut party = Self::new("server", algorithm);
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        party.params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
        party.params.is_ca = IsCa::ExplicitNoCa;
        party.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        party.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        party
    }

    /// A device with a certificate for TLS clients.
    pub(crate) fn device(name: &str) -> Self {
        let mut party = Self::new(name, &PKCS_ECDSA_P256_SHA256);
        party.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        party.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        party
    }

    /// Its certificate, signed by `issuer`.
    pub(crate) fn signed_by(&self, issuer: &Self) -> Vec<u8> {
        let issuer = Issuer::from_params(&issuer.params, &issuer.key);
        let certificate = self.params.signed_by(&self.key, &issuer).unwrap();
        certificate.der().to_vec()
    }

    /// Its certificate, signed by itself.
    pub(crate) fn self_signed(&self) -> Vec<u8> {
        self.params.self_signed(&self.key).unwrap().der().to_vec()
    }

    /// Its key as the firmware wants it.
    pub(crate) fn sec1_key(&self) -> Vec<u8> {
        use p256::pkcs8::DecodePrivateKey as _;
        let secret = p256::SecretKey::from_pkcs8_der(self.key.serialized_der()).unwrap();
        secret.to_sec1_der().unwrap().to_vec()
    }
}
