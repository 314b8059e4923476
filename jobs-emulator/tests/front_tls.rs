//! Mutual TLS: who a certificate may act for.

mod front_support;

use std::sync::Arc;

use front_support::{Client, Hello, add_things, control, http, topic};
use jobs_emulator::{Emulator, Options};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

async fn secure() -> Emulator {
    let options = Options {
        mqtts: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    };
    let emulator = Emulator::start(options).await.unwrap();
    add_things(&emulator, &["t1", "t2"]);
    emulator
}

/// Connects with a certificate, offering some protocol names; `None` if it is not let in.
async fn connect(
    emulator: &Emulator,
    identity: Option<(&str, &str)>,
    alpn: &[&[u8]],
) -> Option<Client> {
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
    let stream = TcpStream::connect(emulator.mqtts_addr().unwrap())
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .ok()?;
    let client = Client::hello_over(Box::new(stream), &Hello::new("d1")).await;
    client.map(|(client, _)| client)
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
