//! The agent as a fleet runs it: with a certificate, and without the demonstration around it.

use std::{fs, path::Path, process::Stdio, sync::Arc, time::Duration};

use jobs_emulator::{Emulator, Options, model::ExecutionStatus};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

const THING: &str = "pump-17";

/// How long what has to happen may take before the test counts as hanging.
const HANG: Duration = Duration::from_secs(60);

async fn status(emulator: &Emulator, job: &str, wanted: ExecutionStatus) {
    let reached = async {
        loop {
            let execution = emulator.service().execution(THING, job, None);
            if execution.is_some_and(|execution| execution.status == wanted) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(HANG, reached)
        .await
        .expect("the job hangs");
}

fn agent(endpoint: &str, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command
        .args(["agent", "--thing", THING, "--endpoint", endpoint, "--state"])
        .arg(dir.join("state"))
        .arg("--sandbox")
        .arg(dir.join("files"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn with_a_certificate_it_works_over_mutual_tls() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        mqtts: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    };
    let emulator = Emulator::start(options).await.unwrap();
    emulator
        .with_service(|service, now| service.create_thing(now, THING))
        .unwrap();
    let pki = emulator.pki().unwrap();
    let address = emulator.mqtts_addr().unwrap().to_string();
    let mut child = agent(&address, dir.path())
        .arg("--cert")
        .arg(&pki.cert)
        .arg("--key")
        .arg(&pki.key)
        .arg("--ca")
        .arg(&pki.ca)
        .args(["--jobs", "2"])
        .spawn()
        .unwrap();
    let document = json!({ "operation": "write_file", "path": "a/b.txt", "content": "over TLS" });
    emulator
        .with_service(|service, now| service.create_job(now, "write", &[THING], &document))
        .unwrap();
    status(&emulator, "write", ExecutionStatus::Succeeded).await;
    assert_eq!(
        fs::read_to_string(dir.path().join("files/a/b.txt")).unwrap(),
        "over TLS"
    );
    child.kill().await.unwrap();
}

#[tokio::test]
async fn without_a_supervisor_a_reboot_is_asked_for_in_words_and_by_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(Options::default()).await.unwrap();
    emulator
        .with_service(|service, now| service.create_thing(now, THING))
        .unwrap();
    let document = json!({ "operation": "reboot" });
    emulator
        .with_service(|service, now| service.create_job(now, "restart", &[THING], &document))
        .unwrap();
    let address = emulator.mqtt_addr().to_string();
    let first = agent(&address, dir.path())
        .args(["--boot-id", "one"])
        .output();
    let first = tokio::time::timeout(HANG, first)
        .await
        .expect("no reboot")
        .unwrap();
    assert_eq!(first.status.code(), Some(85));
    let said = String::from_utf8(first.stdout).unwrap();
    assert!(said.contains("start me with another --boot-id"), "{said}");
    status(&emulator, "restart", ExecutionStatus::InProgress).await;

    // The same boot again: still no success, and the same wish.
    let again = agent(&address, dir.path())
        .args(["--boot-id", "one"])
        .output();
    let again = tokio::time::timeout(HANG, again)
        .await
        .expect("no reboot")
        .unwrap();
    assert_eq!(again.status.code(), Some(85));
    status(&emulator, "restart", ExecutionStatus::InProgress).await;

    let mut second = agent(&address, dir.path())
        .args(["--boot-id", "two"])
        .spawn()
        .unwrap();
    status(&emulator, "restart", ExecutionStatus::Succeeded).await;
    second.kill().await.unwrap();
}

/// Serves one image to every request, over TLS with a certificate of its own; answers its URL and
/// writes the certificate to trust.
async fn https_server(image: &'static [u8], trust: &Path) -> String {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(trust, issued.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 2_048];
            let _ = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", image.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(image).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}/fw.bin")
}

#[tokio::test]
async fn an_image_is_downloaded_over_https_only_from_a_server_that_is_trusted() {
    const IMAGE: &[u8] = b"the new firmware";
    let dir = tempfile::tempdir().unwrap();
    let trust = dir.path().join("trust.pem");
    let url = https_server(IMAGE, &trust).await;
    let emulator = Emulator::start(Options::default()).await.unwrap();
    emulator
        .with_service(|service, now| service.create_thing(now, THING))
        .unwrap();
    let address = emulator.mqtt_addr().to_string();
    let digest: String = Sha256::digest(IMAGE)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let document = json!({
        "operation": "firmwareUpdate", "firmwareVersion": "2.0.0", "downloadUrl": url,
        "checksum": format!("sha256:{digest}"), "rebootRequired": false,
    });
    let create = |job: &'static str| {
        emulator
            .with_service(|service, now| service.create_job(now, job, &[THING], &document))
            .unwrap();
    };

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let stranger = dir.path().join("stranger.pem");
    fs::write(&stranger, other.cert.pem()).unwrap();
    create("stranger");
    let mut child = agent(&address, dir.path())
        .env("SSL_CERT_FILE", &stranger)
        .spawn()
        .unwrap();
    status(&emulator, "stranger", ExecutionStatus::Failed).await;
    let failed = emulator
        .service()
        .execution(THING, "stranger", None)
        .unwrap();
    let reason = failed.status_details.unwrap()["reason"].clone();
    assert!(reason.contains("certificate"), "{reason}");
    assert!(
        !reason.contains("fw.bin"),
        "a URL may be a secret: {reason}"
    );
    child.kill().await.unwrap();

    create("friend");
    let mut child = agent(&address, dir.path())
        .env("SSL_CERT_FILE", &trust)
        .spawn()
        .unwrap();
    status(&emulator, "friend", ExecutionStatus::Succeeded).await;
    assert_eq!(
        fs::read(dir.path().join("state/firmware/b.bin")).unwrap(),
        IMAGE
    );
    child.kill().await.unwrap();
}

#[tokio::test]
async fn unknown_operations_are_left_alone_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(Options::default()).await.unwrap();
    emulator
        .with_service(|service, now| service.create_thing(now, THING))
        .unwrap();
    let create = |job: &'static str, document: serde_json::Value| {
        emulator
            .with_service(|service, now| service.create_job(now, job, &[THING], &document))
            .unwrap();
    };
    create("foreign", json!({ "operation": "brewCoffee" }));
    create(
        "ours",
        json!({ "operation": "write_file", "path": "x", "content": "y" }),
    );
    let address = emulator.mqtt_addr().to_string();
    let mut child = agent(&address, dir.path())
        .arg("--leave-unknown")
        .spawn()
        .unwrap();
    // Behind the foreign job at the head of the queue.
    status(&emulator, "ours", ExecutionStatus::Succeeded).await;
    let foreign = emulator
        .service()
        .execution(THING, "foreign", None)
        .unwrap();
    assert_eq!(foreign.status, ExecutionStatus::Queued);
    child.kill().await.unwrap();
}

#[tokio::test]
async fn half_a_set_of_certificates_is_refused_before_anything_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let output = agent("host", dir.path())
        .args(["--cert", "c.pem"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("--key") && errors.contains("--ca"),
        "{errors}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_second_agent_on_the_same_state_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(Options::default()).await.unwrap();
    emulator
        .with_service(|service, now| service.create_thing(now, THING))
        .unwrap();
    let address = emulator.mqtt_addr().to_string();
    let mut first = agent(&address, dir.path()).spawn().unwrap();
    let document = json!({ "operation": "diagnostics", "seconds": 600 });
    emulator
        .with_service(|service, now| service.create_job(now, "watch", &[THING], &document))
        .unwrap();
    status(&emulator, "watch", ExecutionStatus::InProgress).await;
    let second = agent(&address, dir.path()).output();
    let second = tokio::time::timeout(HANG, second)
        .await
        .expect("it runs")
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let errors = String::from_utf8(second.stderr).unwrap();
    assert!(errors.contains("job records cannot be kept"), "{errors}");
    first.kill().await.unwrap();
}
