//! Mutual TLS, told against a scripted broker with certificates made for each test.

use std::sync::Arc;

use crate::support::{Broker, CONNECT, Peer, connected, disconnected, options, soon};
use agent_std::link::rumqtt::RumqttLink;
use agent_std::link::{Alpn, ConfigError, Identity, Link, LinkError, LinkOptions, Pem, Qos, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The name in the broker's certificate; nothing resolves it.
const NAME: &str = "example-ats.iot.test";

struct Authority {
    pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self {
            pem,
            der,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for this name, with its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        self.issue_from(name, 2020)
    }

    /// The same, valid from this year on.
    fn issue_from(&self, name: &str, year: i32) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(year, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A broker that demands a certificate of this authority.
    fn acceptor(&self, alpn: &[&str]) -> TlsAcceptor {
        self.acceptor_with(self.issue(NAME), alpn)
    }

    fn acceptor_with(&self, own: (rcgen::Certificate, KeyPair), alpn: &[&str]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let (certificate, key) = own;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Options of a client that trusts this authority and was certified by `by`.
    fn options(&self, port: u16, by: &Self) -> LinkOptions {
        let (certificate, key) = by.issue("gateway-1");
        let mut options = options(port);
        options.tls = Some(Tls {
            ca: Pem::Bytes(self.pem.clone().into_bytes()),
            identity: Some(Identity {
                certificate: Pem::Bytes(certificate.pem().into_bytes()),
                key: Pem::Bytes(key.serialize_pem().into_bytes()),
            }),
            alpn: Alpn::Always,
            server_name: Some(NAME.to_owned()),
        });
        options
    }
}

async fn accept(broker: &Broker, acceptor: &TlsAcceptor) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = broker.accept().await.stream;
    match soon(acceptor.accept(tcp).into_fallible()).await {
        Ok(stream) => Ok(stream),
        Err((error, mut tcp)) => {
            // Closing with unread bytes would reset the connection and could overtake the alert.
            let _ = tcp.shutdown().await;
            let _ = soon(tokio::io::copy(&mut tcp, &mut tokio::io::sink())).await;
            Err(error)
        }
    }
}

#[tokio::test]
async fn both_sides_prove_who_they_are_and_agree_on_the_aws_protocol_name() {
    let authority = Authority::new();
    let broker = Broker::start().await;
    let acceptor = authority.acceptor(&["x-amzn-mqtt-ca"]);
    let mut link = RumqttLink::open(authority.options(broker.port, &authority)).unwrap();
    let stream = accept(&broker, &acceptor).await.unwrap();
    assert_eq!(
        stream.get_ref().1.alpn_protocol(),
        Some(&b"x-amzn-mqtt-ca"[..])
    );
    assert_eq!(stream.get_ref().1.server_name(), Some(NAME));
    assert!(stream.get_ref().1.peer_certificates().is_some());
    let mut peer = Peer { stream };
    peer.expect(CONNECT).await;
    peer.connack(false, 0).await;
    connected(&mut link).await;
    link.publish("t", b"through the tunnel", Qos::AtLeastOnce)
        .unwrap();
    assert_eq!(peer.expect_publish().await.payload, b"through the tunnel");
}

#[tokio::test]
async fn on_another_port_than_443_no_protocol_name_is_offered_by_default() {
    let authority = Authority::new();
    let broker = Broker::start().await;
    let acceptor = authority.acceptor(&["x-amzn-mqtt-ca"]);
    let mut options = authority.options(broker.port, &authority);
    options.tls.as_mut().unwrap().alpn = Alpn::default();
    let _link = RumqttLink::open(options).unwrap();
    let stream = accept(&broker, &acceptor).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
}

#[tokio::test]
async fn a_certificate_the_broker_does_not_accept_is_a_permanent_fault_with_advice() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let broker = Broker::start().await;
    let acceptor = authority.acceptor(&["x-amzn-mqtt-ca"]);
    let mut link = RumqttLink::open(authority.options(broker.port, &stranger)).unwrap();
    let script = accept(&broker, &acceptor);
    let (refused, (why, permanent)) = tokio::join!(script, disconnected(&mut link));
    assert!(refused.is_err());
    assert!(matches!(why, LinkError::Identity { .. }), "{why:?}");
    assert!(
        permanent && why.to_string().contains("registered and active"),
        "{why}"
    );
}

#[tokio::test]
async fn a_broker_of_an_unknown_authority_is_not_talked_to() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let broker = Broker::start().await;
    let acceptor = stranger.acceptor(&["x-amzn-mqtt-ca"]);
    let mut link = RumqttLink::open(authority.options(broker.port, &authority)).unwrap();
    let script = accept(&broker, &acceptor);
    let (_, (why, permanent)) = tokio::join!(script, disconnected(&mut link));
    assert!(matches!(why, LinkError::Identity { .. }), "{why:?}");
    assert!(
        permanent && why.to_string().contains("check the CA file"),
        "{why}"
    );
}

#[tokio::test]
async fn a_clock_that_is_behind_is_named_and_not_waited_for_in_minutes() {
    let authority = Authority::new();
    let broker = Broker::start().await;
    // To us it is as if our clock stood before the certificate was made.
    let own = authority.issue_from(NAME, 4000);
    let acceptor = authority.acceptor_with(own, &["x-amzn-mqtt-ca"]);
    let mut link = RumqttLink::open(authority.options(broker.port, &authority)).unwrap();
    let script = accept(&broker, &acceptor);
    let (_, (why, permanent)) = tokio::join!(script, disconnected(&mut link));
    assert!(matches!(why, LinkError::Untimely { .. }), "{why:?}");
    assert!(
        !permanent && why.to_string().contains("its clock is set"),
        "{why}"
    );
}

#[tokio::test]
async fn a_broker_with_another_name_is_not_talked_to() {
    let authority = Authority::new();
    let broker = Broker::start().await;
    let acceptor = authority.acceptor(&["x-amzn-mqtt-ca"]);
    let mut options = authority.options(broker.port, &authority);
    options.tls.as_mut().unwrap().server_name = Some("elsewhere.test".to_owned());
    let mut link = RumqttLink::open(options).unwrap();
    let (_, (why, _)) = tokio::join!(accept(&broker, &acceptor), disconnected(&mut link));
    assert!(matches!(why, LinkError::Identity { .. }), "{why:?}");
}

#[tokio::test]
async fn a_key_that_does_not_belong_to_the_certificate_is_found_before_connecting() {
    let authority = Authority::new();
    let mut options = authority.options(1, &authority);
    let identity = options.tls.as_mut().unwrap().identity.as_mut().unwrap();
    identity.key = Pem::Bytes(KeyPair::generate().unwrap().serialize_pem().into_bytes());
    let error = RumqttLink::open(options).unwrap_err();
    assert!(matches!(error, ConfigError::BadPem { .. }), "{error:?}");
}

#[tokio::test]
async fn certificates_and_keys_can_be_read_from_files() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let mut options = authority.options(1, &authority);
    let tls = options.tls.as_mut().unwrap();
    let identity = tls.identity.as_mut().unwrap();
    for (pem, name) in [
        (&mut tls.ca, "ca"),
        (&mut identity.certificate, "crt"),
        (&mut identity.key, "key"),
    ] {
        let Pem::Bytes(bytes) = &*pem else {
            panic!("not bytes")
        };
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        *pem = Pem::File(path);
    }
    RumqttLink::open(options.clone()).unwrap();
    std::fs::remove_file(dir.path().join("key")).unwrap();
    let error = RumqttLink::open(options).unwrap_err().to_string();
    assert!(
        error.contains("private key") && error.contains("check the path"),
        "{error}"
    );
}
