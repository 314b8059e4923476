//! Mutual TLS: who a certificate may act for.

mod front_support;

use std::net::SocketAddr;
use std::sync::Arc;

use front_support::{Client, Hello, add_things, control, create_job, http, http_over, topic};
use jobs_emulator::{Cut, Emulator, Faults, Options};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

async fn secure() -> Emulator {
    let options = Options {
        mqtts: Some(([127, 0, 0, 1], 0).into()),
        data_http: Some(([127, 0, 0, 1], 0).into()),
        data_https: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    };
    let emulator = Emulator::start(options).await.unwrap();
    add_things(&emulator, &["t1", "t2"]);
    emulator
}

/// A TLS connection to one of the fronts.
async fn shake(
    emulator: &Emulator,
    address: SocketAddr,
    identity: Option<(&str, &str)>,
    alpn: &[&[u8]],
) -> Option<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    let files = emulator.pki().unwrap();
    roots
        .add(CertificateDer::from_pem_file(&files.ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.ok()
}

/// Connects with a certificate, offering some protocol names; `None` if it is not let in.
async fn connect(
    emulator: &Emulator,
    identity: Option<(&str, &str)>,
    alpn: &[&[u8]],
) -> Option<Client> {
    let address = emulator.mqtts_addr().unwrap();
    let stream = shake(emulator, address, identity, alpn).await?;
    let client = Client::hello_over(Box::new(stream), &Hello::new("d1")).await;
    client.map(|(client, _)| client)
}

/// Status and error type of a request to the data plane that this certificate makes.
async fn ask(emulator: &Emulator, identity: (&str, &str), request: &str) -> (u16, String) {
    let address = emulator.data_https_addr().unwrap();
    let offer: [&[u8]; 1] = [b"x-amzn-http-ca"];
    let stream = shake(emulator, address, Some(identity), &offer).await;
    let answer = http_over(stream.unwrap(), request, "", "").await;
    let kind = answer.header("x-amzn-errortype").unwrap_or_default();
    (answer.status, kind.to_owned())
}

fn ready_made(emulator: &Emulator) -> (String, String) {
    let files = emulator.pki().unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap();
    (read(&files.cert), read(&files.key))
}

#[tokio::test]
async fn the_ready_made_certificate_may_act_for_any_thing() {
    let emulator = secure().await;
    let (certificate, key) = ready_made(&emulator);
    let mut device = connect(&emulator, Some((&certificate, &key)), &[])
        .await
        .unwrap();
    for thing in ["t1", "t2"] {
        device.request(&topic(thing, "get"), json!({})).await;
    }
}

#[tokio::test]
async fn clients_may_offer_either_protocol_name_or_none() {
    let emulator = secure().await;
    let (certificate, key) = ready_made(&emulator);
    let offers: [&[&[u8]]; 4] = [
        &[],
        &[b"x-amzn-mqtt-ca"],
        &[b"mqtt"],
        &[b"h2", b"x-amzn-mqtt-ca"],
    ];
    for offer in offers {
        assert!(
            connect(&emulator, Some((&certificate, &key)), offer)
                .await
                .is_some()
        );
    }
    assert!(
        connect(&emulator, Some((&certificate, &key)), &[b"h2"])
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_client_without_certificate_is_not_let_in() {
    let emulator = secure().await;
    assert!(connect(&emulator, None, &[]).await.is_none());
}

#[tokio::test]
async fn a_certificate_of_another_thing_is_refused() {
    let emulator = secure().await;
    let (certificate, key) = emulator.issue_certificate("t1").unwrap().unwrap();
    let mut device = connect(&emulator, Some((&certificate, &key)), &[])
        .await
        .unwrap();
    let filters = [
        topic("t1", "notify"),
        topic("t2", "notify"),
        topic("+", "notify"),
        "$aws/#".to_owned(),
    ];
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    assert_eq!(
        device.subscribe(&filters, 1).await,
        Some(vec![1, 0x80, 0x80, 0x80])
    );
    device.request(&topic("t1", "get"), json!({})).await;
    device.publish_qos1(&topic("t2", "get"), b"{}").await;
    device.expect_closed().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_registered_is_refused_although_we_signed_it() {
    let emulator = secure().await;
    let other = secure().await;
    let (certificate, key) = other.issue_certificate("t1").unwrap().unwrap();
    assert!(
        connect(&emulator, Some((&certificate, &key)), &[])
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_device_is_set_up_by_http_as_in_the_cloud() {
    let emulator = secure().await;
    let address = emulator.http_addr();
    let path = "/keys-and-certificate?setAsActive=true";
    let made = control(address, "POST", path, json!({})).await.body;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (certificate, key) = (
        text(&made["certificatePem"]),
        text(&made["keyPair"]["PrivateKey"]),
    );
    let mut device = connect(&emulator, Some((&certificate, &key)), &[])
        .await
        .unwrap();
    assert_eq!(
        device.subscribe(&[&topic("t1", "notify")], 1).await,
        Some(vec![0x80])
    );

    let header = format!("x-amzn-principal: {}\r\n", text(&made["certificateArn"]));
    let attach = |method: &'static str, thing: &'static str| {
        let (header, path) = (header.clone(), format!("/things/{thing}/principals"));
        async move { http(address, method, &path, "iot", &header, "{}").await }
    };
    assert_eq!(attach("PUT", "nobody").await.status, 404);
    assert_eq!(attach("PUT", "t1").await.status, 200);
    assert_eq!(
        device.subscribe(&[&topic("t1", "notify")], 1).await,
        Some(vec![1])
    );
    let list = control(address, "GET", "/things/t1/principals", Value::Null).await;
    assert_eq!(list.body["principals"], json!([made["certificateArn"]]));

    let path = format!("/certificates/{}", text(&made["certificateId"]));
    let inactive = format!("{path}?newStatus=INACTIVE");
    assert_eq!(
        control(address, "DELETE", &path, Value::Null).await.status,
        406
    );
    assert_eq!(
        control(address, "PUT", &inactive, json!({})).await.status,
        200
    );
    assert!(
        connect(&emulator, Some((&certificate, &key)), &[])
            .await
            .is_none()
    );
    assert_eq!(
        control(address, "DELETE", &path, Value::Null).await.status,
        409
    );
    assert_eq!(attach("DELETE", "t1").await.status, 200);
    assert_eq!(
        control(address, "DELETE", &path, Value::Null).await.status,
        200
    );
    assert_eq!(
        control(address, "GET", &path, Value::Null).await.status,
        404
    );
}

#[tokio::test]
async fn over_https_too_a_certificate_may_act_for_its_own_thing_only() {
    let emulator = secure().await;
    create_job(&emulator, "j1", &["t1"]);
    let (certificate, key) = emulator.issue_certificate("t1").unwrap().unwrap();
    let own = (certificate.as_str(), key.as_str());
    let good = (200, String::new());
    assert_eq!(ask(&emulator, own, "GET /things/t1/jobs").await, good);
    assert_eq!(ask(&emulator, own, "PUT /things/t1/jobs/$next").await, good);
    let denied = (403, "ForbiddenException".to_owned());
    for request in ["GET /things/t2/jobs", "PUT /things/t2/jobs/$next"] {
        assert_eq!(ask(&emulator, own, request).await, denied, "{request}");
    }
    // The control plane is not for devices.
    let foreign = (400, "UnsupportedOperationException".to_owned());
    assert_eq!(ask(&emulator, own, "GET /jobs").await, foreign);

    let other = secure().await;
    let (certificate, key) = other.issue_certificate("t1").unwrap().unwrap();
    let unknown = ask(&emulator, (&certificate, &key), "GET /things/t1/jobs").await;
    assert_eq!(unknown, denied);
}

#[tokio::test]
async fn the_plain_data_plane_needs_no_signature_and_its_requests_are_recorded() {
    let emulator = secure().await;
    let address = emulator.data_http_addr().unwrap();
    let connect = || TcpStream::connect(address);
    let stream = connect().await.unwrap();
    let answer = http_over(stream, "GET /things/t2/jobs", "", "").await;
    assert_eq!(answer.body, json!({"inProgressJobs": [], "queuedJobs": []}));
    emulator.set_faults(Faults {
        cuts: vec![Some(Cut::AfterPuback)],
        ..Faults::default()
    });
    create_job(&emulator, "j1", &["t1"]);
    let mut stream = connect().await.unwrap();
    let request = "PUT /things/t1/jobs/$next HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"", "cut before the answer");
    let execution = emulator.service().execution("t1", "j1", None).unwrap();
    assert_eq!(execution.status.as_str(), "IN_PROGRESS", "yet it acted");
    let recorded: Vec<_> = emulator
        .trace()
        .data_requests()
        .into_iter()
        .map(|request| (request.method, request.target, request.status))
        .collect();
    let list = ("GET".into(), "/things/t2/jobs".into(), 200);
    assert_eq!(
        recorded,
        [list, ("PUT".into(), "/things/t1/jobs/$next".into(), 0)]
    );
}

#[cfg(unix)]
#[tokio::test]
async fn keys_can_be_read_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let emulator = secure().await;
    let files = emulator.pki().unwrap();
    for key in [files.key.clone(), files.key.with_file_name("ca.key")] {
        assert_eq!(
            std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
