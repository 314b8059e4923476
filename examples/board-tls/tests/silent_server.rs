//! A server that shows no certificate at all: RFC 8446 allows that only with a pre-shared key,
//! and `embedded-tls` 0.19 goes on without one. rustls cannot be made to do it, so the server is
//! written here: the few messages of TLS 1.3 up to its Finished.

mod pki;

use aes_gcm::{
    Aes128Gcm,
    aead::{AeadInPlace as _, KeyInit as _},
};
use board_tls::{
    Client, HostName, Now, OpenError, RECORD_LEN_MAX, Records, Refusal, TlsStream, TrustAnchor,
};
use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::ErrorKind;
use embedded_tls::{
    Aes128GcmSha256, CertificateRef, CertificateVerifyRef, CryptoProvider, CryptoRngCore, Sha256,
    TlsCipherSuite, TlsConfig, TlsConnection, TlsContext, TlsError, TlsVerifier,
};
use hkdf::{
    Hkdf,
    hmac::{Hmac, Mac as _},
};
use p256::{PublicKey, ecdh::EphemeralSecret};
use pki::{HOST, Party};
use rand_core::OsRng;
use sha2::Digest as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

fn expand(secret: &[u8], label: &str, context: &[u8], len: u16) -> Vec<u8> {
    let mut info = len.to_be_bytes().to_vec();
    let label = format!("tls13 {label}");
    info.push(u8::try_from(label.len()).unwrap());
    info.extend_from_slice(label.as_bytes());
    info.push(u8::try_from(context.len()).unwrap());
    info.extend_from_slice(context);
    let mut out = vec![0; usize::from(len)];
    Hkdf::<Sha256>::from_prk(secret)
        .unwrap()
        .expand(&info, &mut out)
        .unwrap();
    out
}

/// A message of the handshake with its type and length.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 0, len[0], len[1]], body].concat()
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3, len[0], len[1]], content].concat()
}

/// Reads a ClientHello and returns it with the client's point on P-256.
async fn client_hello(stream: &mut DuplexStream) -> (Vec<u8>, PublicKey) {
    let mut header = [0; 5];
    stream.read_exact(&mut header).await.unwrap();
    let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    stream.read_exact(&mut hello).await.unwrap();
    // A key share: group 0x0017, 65 bytes, uncompressed.
    let share = [0, 0x17, 0, 65, 4];
    let at = hello
        .windows(share.len())
        .position(|window| window == share)
        .unwrap()
        + 4;
    let point = PublicKey::from_sec1_bytes(&hello[at..at + 65]).unwrap();
    (hello, point)
}

/// A handshake in which the server proves nothing: ServerHello, EncryptedExtensions, and a
/// Finished whose MAC is right, for it depends on the key exchange only.
async fn silent_server(stream: DuplexStream) {
    server(stream, None).await;
}

/// The same, or with another encrypted flight after ServerHello.
async fn server(mut stream: DuplexStream, other_flight: Option<Vec<u8>>) {
    let (client_hello, point) = client_hello(&mut stream).await;
    let secret = EphemeralSecret::random(&mut OsRng);
    let share = p256::EncodedPoint::from(secret.public_key());
    let mut extensions = vec![0, 0x2b, 0, 2, 3, 4, 0, 0x33, 0, 69, 0, 0x17, 0, 65];
    extensions.extend_from_slice(share.as_bytes());
    let mut body = [[3, 3].as_slice(), &[7; 32], &[0, 0x13, 1, 0]].concat();
    body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&extensions);
    let server_hello = message(2, &body);
    stream.write_all(&record(22, &server_hello)).await.unwrap();

    // RFC 8446, 7.1.
    let empty = Sha256::digest([]);
    let (early, _) = Hkdf::<Sha256>::extract(Some(&[0; 32]), &[0; 32]);
    let derived = expand(&early, "derived", &empty, 32);
    let shared = secret.diffie_hellman(&point);
    let (handshake, _) = Hkdf::<Sha256>::extract(Some(&derived), shared.raw_secret_bytes());
    let mut transcript = Sha256::new()
        .chain_update(&client_hello)
        .chain_update(&server_hello);
    let traffic = expand(
        &handshake,
        "s hs traffic",
        &transcript.clone().finalize(),
        32,
    );

    let mut flight = message(8, &[0, 0]);
    transcript.update(&flight);
    let finished_key = expand(&traffic, "finished", &[], 32);
    let mut mac = <Hmac<Sha256> as hkdf::hmac::Mac>::new_from_slice(&finished_key).unwrap();
    mac.update(&transcript.finalize());
    flight.extend(message(20, &mac.finalize().into_bytes()));
    flight.push(22);
    let waits = other_flight.is_none();
    let sealed = seal(&traffic, other_flight.unwrap_or(flight));
    stream.write_all(&record(23, &sealed)).await.unwrap();
    if waits {
        // The client's Finished.
        let _ = stream.read(&mut [0; 256]).await;
    }
}

/// Encrypts the first record under a traffic secret; its header is authenticated with it.
fn seal(traffic: &[u8], mut content: Vec<u8>) -> Vec<u8> {
    let key = expand(traffic, "key", &[], 16);
    let nonce = expand(traffic, "iv", &[], 12);
    let header = record(23, &vec![0; content.len() + 16]);
    let cipher = Aes128Gcm::new_from_slice(&key).unwrap();
    let tag = cipher
        .encrypt_in_place_detached(nonce.as_slice().into(), &header[..5], &mut content)
        .unwrap();
    content.extend_from_slice(&tag);
    content
}

/// A verifier that believes nobody, to show that it is not even asked.
struct RefuseAll;

impl<C: TlsCipherSuite> TlsVerifier<C> for RefuseAll {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }
    fn verify_certificate(&mut self, _: &C::Hash, _: CertificateRef<'_>) -> Result<(), TlsError> {
        Err(TlsError::InvalidCertificate)
    }
    fn verify_signature(&mut self, _: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        Err(TlsError::InvalidSignature)
    }
}

struct Provider(RefuseAll);

impl CryptoProvider for Provider {
    type CipherSuite = Aes128GcmSha256;
    type Signature = p256::ecdsa::DerSignature;
    fn rng(&mut self) -> impl CryptoRngCore {
        OsRng
    }
    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.0)
    }
}

/// Why a `TlsStream` checks once more after the handshake. If this test fails after an update of `embedded-tls`,
/// the hole has been closed there: `handshake` can say so.
#[tokio::test]
async fn embedded_tls_alone_opens_to_a_server_that_shows_no_certificate() {
    let (near, far) = tokio::io::duplex(RECORD_LEN_MAX);
    let (mut read, mut write) = (vec![0; RECORD_LEN_MAX], vec![0; RECORD_LEN_MAX]);
    let mut tls = TlsConnection::new(FromTokio::new(near), &mut read, &mut write);
    let config = TlsConfig::new().with_server_name(HOST);
    let context = TlsContext::new(&config, Provider(RefuseAll));
    let (opened, ()) = tokio::join!(tls.open(context), silent_server(far));
    assert!(opened.is_ok(), "{opened:?}");
}

/// Opens a stream to a server that does `far`'s part.
async fn opened_to<F: Future<Output = ()>>(far: impl FnOnce(DuplexStream) -> F) -> OpenError {
    let (near, distant) = tokio::io::duplex(RECORD_LEN_MAX);
    let [mut inbound, mut outbound, mut read, mut write] =
        [(); 4].map(|()| vec![0; RECORD_LEN_MAX]);
    let records = Records::new(FromTokio::new(near), &mut inbound, &mut outbound);
    let config = TlsConfig::new().with_server_name(HOST);
    let ca = Party::ca("root", None).self_signed();
    let mut client = Client {
        anchor: TrustAnchor::from_certificate(&ca).unwrap(),
        host: HostName::new(HOST).unwrap(),
        now: Now::NoClock,
        identity: None,
        rng: OsRng,
    };
    let open = TlsStream::open(&records, &mut read, &mut write, &config, &mut client);
    let (opened, ()) = tokio::join!(open, far(distant));
    opened.err().unwrap()
}

#[tokio::test]
async fn a_server_that_shows_no_certificate_is_refused() {
    let refused = opened_to(silent_server).await;
    assert!(
        matches!(refused, OpenError::Refused(Refusal::NotProven)),
        "{refused:?}"
    );
}

/// Why `Records` looks into the headers. If this test fails after an update of `embedded-tls`,
/// it need not any more.
#[tokio::test]
async fn embedded_tls_alone_panics_on_an_encrypted_record_of_nothing() {
    let (near, far) = tokio::io::duplex(RECORD_LEN_MAX);
    let tasks = tokio::task::LocalSet::new();
    let client = tasks.run_until(async {
        let client = tokio::task::spawn_local(async {
            let (mut read, mut write) = (vec![0; RECORD_LEN_MAX], vec![0; RECORD_LEN_MAX]);
            let mut tls = TlsConnection::new(FromTokio::new(near), &mut read, &mut write);
            let config = TlsConfig::new().with_server_name(HOST);
            tls.open(TlsContext::new(&config, Provider(RefuseAll)))
                .await
                .is_ok()
        });
        client.await
    });
    let (ended, ()) = tokio::join!(client, server(far, Some(Vec::new())));
    assert!(ended.is_err_and(|error| error.is_panic()));
}

/// Anyone in the network can send such a record.
#[tokio::test]
async fn an_encrypted_record_of_nothing_ends_the_connection_without_a_panic() {
    let refused = opened_to(|stream| server(stream, Some(Vec::new()))).await;
    assert!(
        matches!(
            refused,
            OpenError::Tls(TlsError::Io(ErrorKind::InvalidData))
        ),
        "{refused:?}"
    );
}
