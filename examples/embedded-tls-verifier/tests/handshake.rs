//! Real handshakes over the loopback interface against rustls, with client certificates.

mod pki;

use std::sync::Arc;

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_tls::{Aes128GcmSha256, TlsConfig, TlsConnection};
use embedded_tls_verifier::{
    Client, HostName, Identity, IdentityFault, Now, OpenError, Refusal, TrustAnchor, open,
};
use pki::{HOST, Party};
use rand_core::OsRng;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// Room for one record of the largest size, with its overhead.
const RECORD_LEN: usize = 16_640;

/// Shows the same chain to everyone, whether or not its key fits.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A broker that demands a certificate of `devices_ca` and shows `chain`.
fn broker(devices_ca: &Party, chain: &[Vec<u8>], key: &Party) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(devices_ca.self_signed()))
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let key = PrivateKeyDer::Pkcs8(key.key.serialized_der().to_vec().into());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone()));
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_cert_resolver(Arc::new(Always(
            CertifiedKey::new(chain.collect(), key).into(),
        )))
}

/// What the two sides saw of one connection.
struct Story {
    opened: Result<(), OpenError>,
    /// The first four bytes from the broker, if the device's identity was accepted.
    read: Option<[u8; 4]>,
    /// The certificate that the broker accepted.
    accepted: Option<Vec<u8>>,
}

/// Connects, sends `ping` and waits for `pong`.
async fn play(config: ServerConfig, ca: &[u8], identity: Option<Identity<'_>>) -> Story {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config))
            .accept(socket)
            .await
            .ok()?;
        let mut ping = [0; 4];
        stream.read_exact(&mut ping).await.ok()?;
        assert_eq!(&ping, b"ping");
        stream.write_all(b"pong").await.ok()?;
        stream.flush().await.ok()?;
        let shown = stream.get_ref().1.peer_certificates()?;
        Some(shown[0].to_vec())
    };
    let device = async {
        let socket = FromTokio::new(TcpStream::connect(address).await.unwrap());
        let (mut read, mut write) = (vec![0; RECORD_LEN], vec![0; RECORD_LEN]);
        let mut tls = TlsConnection::<_, Aes128GcmSha256>::new(socket, &mut read, &mut write);
        let config = TlsConfig::new().with_server_name(HOST);
        let mut client = Client {
            anchor: TrustAnchor::from_certificate(ca).unwrap(),
            host: HostName::new(HOST).unwrap(),
            now: Now::UnixSeconds(pki::TODAY_UNIX_S),
            identity,
            rng: OsRng,
        };
        if let Err(refused) = open(&mut tls, &config, &mut client).await {
            return (Err(refused), None);
        }
        let pong = async {
            tls.write(b"ping").await.ok()?;
            tls.flush().await.ok()?;
            let mut pong = [0; 4];
            let len = tls.read(&mut pong).await.ok()?;
            (len == pong.len()).then_some(pong)
        };
        (Ok(()), pong.await)
    };
    let (accepted, (opened, read)) = tokio::join!(server, device);
    Story {
        opened,
        read,
        accepted,
    }
}

fn refusal(story: &Story) -> Option<Refusal> {
    match story.opened {
        Err(OpenError::Refused(refusal)) => Some(refusal),
        Ok(()) | Err(OpenError::Tls(_)) => None,
    }
}

/// Broker and device under one root, as a test starts from it.
struct World {
    root: Party,
    server: Party,
    device: Party,
    device_certificate: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let (root, device) = (Party::ca("root", None), Party::device("pump-17"));
        Self {
            server: Party::server(&[HOST]),
            device_certificate: device.signed_by(&root),
            root,
            device,
        }
    }

    fn identity(&self) -> Identity<'_> {
        Identity::from_der(&self.device_certificate, &self.device.sec1_key()).unwrap()
    }

    async fn play(&self, chain: &[Vec<u8>]) -> Story {
        let config = broker(&self.root, chain, &self.server);
        play(config, &self.root.self_signed(), Some(self.identity())).await
    }
}

#[tokio::test]
async fn both_sides_prove_who_they_are_and_talk() {
    let world = World::new();
    let story = world.play(&[world.server.signed_by(&world.root)]).await;
    assert!(story.opened.is_ok(), "{:?}", story.opened);
    assert_eq!(story.read, Some(*b"pong"));
    assert_eq!(
        story.accepted.as_deref(),
        Some(world.device_certificate.as_slice())
    );
}

#[tokio::test]
async fn a_chain_with_a_cross_signed_root_is_no_obstacle() {
    let world = World::new();
    let old = Party::ca_with("old root", None, &rcgen::PKCS_ED25519);
    let middle = Party::ca("middle", Some(0));
    let chain = [
        world.server.signed_by(&middle),
        middle.signed_by(&world.root),
        world.root.signed_by(&old),
    ];
    let story = world.play(&chain).await;
    assert_eq!(story.read, Some(*b"pong"), "{:?}", story.opened);
}

#[tokio::test]
async fn a_server_below_a_leaf_certificate_is_refused_and_learns_nothing_of_the_device() {
    let world = World::new();
    let thief = Party::server(&["thief.example.com"]);
    let chain = [world.server.signed_by(&thief), thief.signed_by(&world.root)];
    let story = world.play(&chain).await;
    assert_eq!(refusal(&story), Some(Refusal::NotAnIssuer));
    assert_eq!(story.accepted, None);
}

#[tokio::test]
async fn a_server_of_another_ca_or_host_is_refused() {
    let world = World::new();
    let other = Party::ca("other", None);
    let story = world.play(&[world.server.signed_by(&other)]).await;
    assert_eq!(refusal(&story), Some(Refusal::Untrusted));
    let elsewhere = Party::server(&["elsewhere.example.com"]).signed_by(&world.root);
    let story = world.play(&[elsewhere]).await;
    assert_eq!(refusal(&story), Some(Refusal::WrongHost));
}

#[tokio::test]
async fn a_server_that_does_not_hold_its_certificates_key_is_refused() {
    let world = World::new();
    let copied = Party::server(&[HOST]).signed_by(&world.root);
    let story = world.play(&[copied]).await;
    assert_eq!(refusal(&story), Some(Refusal::WrongSignature));
    assert_eq!(story.accepted, None);
}

#[tokio::test]
async fn without_a_client_certificate_the_first_read_fails() {
    let world = World::new();
    let chain = [world.server.signed_by(&world.root)];
    let config = broker(&world.root, &chain, &world.server);
    let story = play(config, &world.root.self_signed(), None).await;
    assert!(
        story.opened.is_ok(),
        "TLS 1.3: the server's word comes after the handshake"
    );
    assert_eq!((story.read, story.accepted), (None, None));
}

#[tokio::test]
async fn with_a_client_certificate_of_another_ca_the_first_read_fails() {
    let world = World::new();
    let foreign = world.device.signed_by(&Party::ca("other", None));
    let identity = Identity::from_der(&foreign, &world.device.sec1_key()).unwrap();
    let chain = [world.server.signed_by(&world.root)];
    let config = broker(&world.root, &chain, &world.server);
    let story = play(config, &world.root.self_signed(), Some(identity)).await;
    assert!(story.opened.is_ok(), "{:?}", story.opened);
    assert_eq!((story.read, story.accepted), (None, None));
}

#[test]
fn a_certificate_with_another_devices_key_is_no_identity() {
    let world = World::new();
    let other = Party::device("pump-18").sec1_key();
    let fault = Identity::from_der(&world.device_certificate, &other).err();
    assert_eq!(fault, Some(IdentityFault::Mismatch));
    let fault = Identity::from_der(&world.device_certificate, b"no key").err();
    assert_eq!(fault, Some(IdentityFault::Key));
    let fault = Identity::from_der(b"no certificate", &other).err();
    assert_eq!(fault, Some(IdentityFault::Certificate));
}
