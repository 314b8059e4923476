//! A new certificate, from the request to the end of the old one, and every way in which it can
//! turn out to be bad.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use jobs_emulator::model::ExecutionStatus;
use rcgen::{CertificateParams, CertificateSigningRequestParams, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};
use serde_json::{Value, json};

use crate::{Gateway, THING, job, support::until, terminate};

const ROTATE: &str = "[certificates]\nrotate = true\ntrial_s = 2";

/// How often a moment is looked for that lasts some milliseconds.
const LOOKS_MAX: u32 = 8;

struct Issued {
    der: CertificateDer<'static>,
    pem: String,
}

impl Gateway {
    /// A gateway whose certificate may act for its thing only, as a real one's.
    async fn rotating() -> (Self, CertificateDer<'static>) {
        Self::new(ROTATE).await.with_own_certificate()
    }

    fn with_own_certificate(self) -> (Self, CertificateDer<'static>) {
        let gateway = self;
        let (cert, key) = gateway.emulator.issue_certificate(THING).unwrap().unwrap();
        let (cert_path, key_path) = (gateway.room.path("own.pem"), gateway.room.path("key.pem"));
        fs::write(&cert_path, &cert).unwrap();
        fs::write(&key_path, key).unwrap();
        let config = gateway.room.path("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        let lines = text.lines().map(|line| match line.starts_with("cert = ") {
            true => format!("cert = {cert_path:?}\n"),
            false => format!("{line}\n"),
        });
        fs::write(&config, lines.collect::<String>()).unwrap();
        let der = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
        (gateway, der)
    }

    fn identity(&self, name: &str) -> PathBuf {
        let state = self.room.path("state");
        state.join(THING).join("identity").join(name)
    }

    /// How far the rotation is.
    fn stage(&self) -> String {
        let json = fs::read(self.identity("trial.json")).unwrap_or_default();
        let trial: Value = serde_json::from_slice(&json).unwrap_or_default();
        // The one that counts something is an object of one member.
        let stage = &trial["stage"];
        let name = stage.as_object().and_then(|stage| stage.keys().next());
        name.cloned()
            .or_else(|| stage.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    fn detail(&self, id: &str, key: &str) -> String {
        let execution = self.emulator.service().execution(THING, id, None).unwrap();
        let details = json!(execution.status_details);
        details[key].as_str().unwrap_or_default().to_owned()
    }

    /// Has the agent ask for a certificate, and issues one, as the service would.
    async fn issue(&self, id: &str) -> Issued {
        self.create(id, &json!({"operation": "certificate_request"}));
        self.until(id, ExecutionStatus::Succeeded).await;
        let request = STANDARD.decode(self.detail(id, "csr")).unwrap();
        let request = CertificateSigningRequestDer::from(request);
        let request = CertificateSigningRequestParams::from_der(&request).unwrap();
        let authority = KeyPair::generate().unwrap();
        let issuer = Issuer::new(CertificateParams::new(Vec::new()).unwrap(), authority);
        let issued = request.signed_by(&issuer).unwrap();
        Issued {
            der: issued.der().clone(),
            pem: issued.pem(),
        }
    }

    fn register(&self, certificate: &CertificateDer<'_>, active: bool) -> String {
        let emulator = &self.emulator;
        emulator.register_certificate(certificate, THING, active)
    }

    fn rotate(&self, id: &str, certificate: &Issued) {
        let document = json!({"operation": "certificate_rotate", "certificate": certificate.pem});
        self.create(id, &document);
    }

    fn is_over(&self, id: &str) -> bool {
        let execution = self.emulator.service().execution(THING, id, None);
        execution.is_some_and(|execution| execution.status.is_terminal())
    }

    async fn still_works(&self, id: &str) {
        self.handler("good.sh", "exit 0");
        self.create(id, &job("good.sh"));
        self.until(id, ExecutionStatus::Succeeded).await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_and_reports_its_own_success() {
    let (gateway, old) = Gateway::rotating().await;
    let agent = gateway.agent();
    let issued = gateway.issue("request").await;
    let request = fs::read_to_string(gateway.identity("request.pem")).unwrap();
    assert!(request.contains("PRIVATE KEY"), "the key stays here");
    let id = gateway.register(&issued.der, true);
    gateway.rotate("rotate", &issued);
    // From the moment on at which the new one is known to work, the old one does nothing more.
    until("the switch", || !matches!(&*gateway.stage(), "" | "wanted")).await;
    gateway.register(&old, false);
    gateway.until("rotate", ExecutionStatus::Succeeded).await;
    assert_eq!(gateway.detail("rotate", "certificateId"), id);
    until("the end of the old pair", || {
        let left = fs::read_dir(gateway.identity("")).unwrap();
        let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
        left == ["current.pem"]
    })
    .await;
    gateway.still_works("after").await;
    terminate(agent).await;
    let said = gateway.says(&["doctor"]).await;
    assert!(said.contains(&id), "{said}");
    // A second one, of which the pair before is no longer that of the configuration.
    let agent = gateway.agent();
    let issued = gateway.issue("request-2").await;
    gateway.register(&issued.der, true);
    gateway.rotate("rotate-2", &issued);
    gateway.until("rotate-2", ExecutionStatus::Succeeded).await;
    // The same once more changes nothing.
    gateway.rotate("rotate-3", &issued);
    gateway.until("rotate-3", ExecutionStatus::Succeeded).await;
    terminate(agent).await;
}

#[tokio::test]
async fn over_https_a_certificate_is_rotated_all_the_same() {
    let gateway = Gateway::over_https(&format!("poll_interval_s = 1\n{ROTATE}")).await;
    let (gateway, _) = gateway.with_own_certificate();
    let agent = gateway.agent();
    let issued = gateway.issue("request").await;
    gateway.rotate("unknown", &issued);
    gateway.until("unknown", ExecutionStatus::Failed).await;
    let id = gateway.register(&issued.der, true);
    gateway.rotate("rotate", &issued);
    gateway.until("rotate", ExecutionStatus::Succeeded).await;
    assert_eq!(gateway.detail("rotate", "certificateId"), id);
    terminate(agent).await;
}

#[tokio::test]
async fn a_certificate_that_the_broker_refuses_is_never_used() {
    let (gateway, _) = Gateway::rotating().await;
    let agent = gateway.agent();
    let issued = gateway.issue("request").await;
    // Not known to the service.
    gateway.rotate("unknown", &issued);
    gateway.until("unknown", ExecutionStatus::Failed).await;
    let why = gateway.detail("unknown", "reason");
    assert!(why.contains("does not work: connection"), "{why}");
    // Of a key that never was on this device.
    let foreign = rcgen::generate_simple_self_signed(Vec::new()).unwrap().cert;
    let foreign = Issued {
        der: foreign.der().clone(),
        pem: foreign.pem(),
    };
    gateway.rotate("foreign", &foreign);
    gateway.until("foreign", ExecutionStatus::Failed).await;
    assert!(
        gateway
            .detail("foreign", "reason")
            .contains("no key of this device")
    );
    assert!(!gateway.identity("current.pem").exists());
    gateway.still_works("after").await;
    terminate(agent).await;
}

#[tokio::test]
#[ignore = "waits 20 s for an answer that is never given"]
async fn a_certificate_whose_policy_is_not_enough_is_never_used() {
    let (gateway, _) = Gateway::rotating().await;
    let agent = gateway.agent();
    let issued = gateway.issue("request").await;
    // Known, and of another thing: it connects, and nothing else.
    gateway
        .emulator
        .register_certificate(&issued.der, "pump-18", true);
    gateway.rotate("other", &issued);
    gateway.until("other", ExecutionStatus::Failed).await;
    let why = gateway.detail("other", "reason");
    assert!(why.contains("does not work: iot:"), "{why}");
    assert!(!gateway.identity("current.pem").exists());
    gateway.still_works("after").await;
    terminate(agent).await;
}

#[tokio::test]
async fn documents_that_cannot_be_meant_are_rejected() {
    let (gateway, _) = Gateway::rotating().await;
    let agent = gateway.agent();
    for (id, certificate, words) in [
        ("none", json!("no certificate"), "no certificate in PEM"),
        ("number", json!(7), "job document"),
        (
            "key",
            json!("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"),
            "private key",
        ),
    ] {
        let document = json!({"operation": "certificate_rotate", "certificate": certificate});
        gateway.create(id, &document);
        gateway.until(id, ExecutionStatus::Rejected).await;
        let why = gateway.detail(id, "reason");
        assert!(why.contains(words), "{why}");
    }
    terminate(agent).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_at_each_stage_finishes_the_rotation() {
    let (gateway, _) = Gateway::rotating().await;
    let mut agent = gateway.agent();
    let issued = gateway.issue("request").await;
    gateway.register(&issued.der, true);
    gateway.rotate("rotate", &issued);
    let over = || gateway.is_over("rotate");
    // One kill as soon as each stage shows, and none for the same stage again.
    let mut seen = vec![gateway.stage()];
    while !over() {
        let stage = gateway.stage();
        if seen.contains(&stage) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        seen.push(stage);
        agent.kill().await.unwrap();
        agent = gateway.agent();
    }
    assert!(seen.len() > 1, "killed at {seen:?}");
    gateway.until("rotate", ExecutionStatus::Succeeded).await;
    until("the end of the rotation", || gateway.stage().is_empty()).await;
    let current = fs::read_to_string(gateway.identity("current.pem")).unwrap();
    assert!(current.contains(issued.pem.trim()));
    gateway.still_works("after").await;
    terminate(agent).await;
}

#[tokio::test]
async fn a_certificate_that_stops_working_before_it_is_proven_is_taken_back() {
    let (gateway, _) = Gateway::rotating().await;
    let mut agent = gateway.agent();
    for look in 0..LOOKS_MAX {
        let issued = gateway.issue(&format!("request-{look}")).await;
        gateway.register(&issued.der, true);
        let id = format!("rotate-{look}");
        gateway.rotate(&id, &issued);
        let running = || gateway.stage() == "running";
        let over = || gateway.is_over(&id);
        while !running() && !over() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        agent.kill().await.unwrap();
        if running() {
            gateway.register(&issued.der, false);
            agent = gateway.agent();
            gateway.until(&id, ExecutionStatus::Failed).await;
            let why = gateway.detail(&id, "reason");
            assert!(
                why.contains("not proven in 2 s") && why.contains("the old certificate is in use"),
                "{why}"
            );
            gateway.still_works("after").await;
            return terminate(agent).await;
        }
        agent = gateway.agent();
        gateway.until(&id, ExecutionStatus::Succeeded).await;
    }
    panic!("never killed between the switch and the proof");
}
