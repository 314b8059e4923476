//! Real handshakes over the loopback interface against rustls, with client certificates.

mod pki;

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use board_tls::{
    Client, HostName, Identity, IdentityFault, Now, OpenError, RECORD_LEN_MAX, Records, Refusal,
    TlsStream, TrustAnchor,
};
use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{Read as _, Write as _};
use embedded_tls::TlsConfig;
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
        let [mut inbound, mut outbound, mut read, mut write] =
            [(); 4].map(|()| vec![0; RECORD_LEN_MAX]);
        let records = Records::new(socket, &mut inbound, &mut outbound);
        let config = TlsConfig::new().with_server_name(HOST);
        let mut client = Client {
            anchor: TrustAnchor::from_certificate(ca).unwrap(),
            host: HostName::new(HOST).unwrap(),
            now: Now::UnixSeconds(pki::TODAY_UNIX_S),
            identity,
            rng: OsRng,
        };
        let opened = TlsStream::open(&records, &mut read, &mut write, &config, &mut client).await;
        let mut tls = match opened {
            Ok(tls) => tls,
            Err(refused) => return (Err(refused), None),
        };
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
        Ok(()) | Err(OpenError::Tls(_) | OpenError::Buffers) => None,
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
fn a_key_may_come_as_pkcs8_or_sec1() {
    let world = World::new();
    for key in [world.device.sec1_key(), world.device.key.serialize_der()] {
        assert!(Identity::from_der(&world.device_certificate, &key).is_ok());
    }
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

/// Polls a future once and drops it: the harshest way to use a stream.
async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let polled = poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await;
    tokio::task::yield_now().await;
    polled
}

#[tokio::test]
async fn a_stream_whose_every_future_is_dropped_loses_and_repeats_nothing() {
    /// Bytes in the pipe between the two: records come and go in pieces.
    const PIPE_LEN: usize = 61;
    let world = World::new();
    let chain = [world.server.signed_by(&world.root)];
    let acceptor = TlsAcceptor::from(Arc::new(broker(&world.root, &chain, &world.server)));
    let (near, far) = tokio::io::duplex(PIPE_LEN);
    let echo = async {
        let stream = acceptor.accept(far).await.unwrap();
        let (mut from, mut to) = tokio::io::split(stream);
        // Ends when the device has gone, without a word.
        let _ = tokio::io::copy(&mut from, &mut to).await;
    };
    let sent: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
    let device = async {
        let mut inbound = vec![0; RECORD_LEN_MAX];
        let [mut outbound, mut write] = [(); 2].map(|()| vec![0; 700]);
        let mut read = vec![0; RECORD_LEN_MAX];
        let records = Records::new(FromTokio::new(near), &mut inbound, &mut outbound);
        let config = TlsConfig::new().with_server_name(HOST);
        let ca = world.root.self_signed();
        let mut client = Client {
            anchor: TrustAnchor::from_certificate(&ca).unwrap(),
            host: HostName::new(HOST).unwrap(),
            now: Now::NoClock,
            identity: Some(world.identity()),
            rng: OsRng,
        };
        let open = TlsStream::open(&records, &mut read, &mut write, &config, &mut client);
        let mut tls = open.await.unwrap();
        let (mut rest, mut flushed, mut back) = (sent.as_slice(), false, Vec::new());
        while back.len() < sent.len() {
            if !rest.is_empty() {
                if let Some(written) = once(tls.write(&rest[..rest.len().min(997)])).await {
                    rest = &rest[written.unwrap()..];
                }
            } else if !flushed {
                flushed = once(tls.flush()).await.is_some();
            }
            let mut piece = [0; 333];
            if let Some(read) = once(tls.read(&mut piece)).await {
                back.extend_from_slice(&piece[..read.unwrap()]);
            }
        }
        back
    };
    let back = tokio::select! {
        back = device => back,
        () = echo => panic!("the server has ended"),
    };
    assert!(back == sent);
}
