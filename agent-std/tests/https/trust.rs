//! Who may ask for what: mutual TLS, and what a refusal looks like.

use std::path::PathBuf;

use agent_std::link::https::{HttpsLink, HttpsOptions};
use agent_std::link::{Alpn, Identity, Link, LinkError, LinkEvent, Pem, Qos, Tls};
use agent_std::{Agent, HttpsEndpoint, Job, Outcome};
use serde_json::{Value, json};

use crate::jobs::{https, poll, secure};
use crate::service::{disconnected, options};
use crate::world::{THING, World, quick, soon, start, until};

fn tls_options(world: &World, thing: &str, identity: Option<(&str, &str)>) -> HttpsOptions {
    let mut options = options(world.emulator.data_https_addr().unwrap().port());
    options.thing = thing.to_owned();
    let pem = |text: &str| Pem::Bytes(text.as_bytes().to_vec());
    options.tls = Some(Tls {
        ca: Pem::File(world.emulator.pki().unwrap().ca.clone()),
        identity: identity.map(|(certificate, key)| Identity {
            certificate: pem(certificate),
            key: pem(key),
        }),
        alpn: Alpn::Always,
        server_name: Some("localhost".into()),
    });
    options
}

#[tokio::test]
async fn two_devices_with_certificates_of_their_own_do_their_own_jobs() {
    let world = World::on(secure().await);
    let mut agents = Vec::new();
    for thing in ["pump-a", "pump-b"] {
        let make = |service: &mut jobs_emulator::model::Service, now_ms| {
            service.create_thing(now_ms, thing)
        };
        world.emulator.with_service(make).unwrap();
        let (certificate, key) = world.emulator.issue_certificate(thing).unwrap().unwrap();
        let dir = world.state.path().join(thing);
        std::fs::create_dir(&dir).unwrap();
        let file = |name: &str, text: &str| -> PathBuf {
            let path = dir.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let at = world.emulator.data_https_addr().unwrap();
        let ca = world.emulator.pki().unwrap().ca.clone();
        let own = (file("cert.pem", &certificate), file("key.pem", &key));
        let endpoint = HttpsEndpoint::mtls(at.ip().to_string(), ca, own.0, own.1);
        let endpoint = endpoint.port(at.port()).poll(poll(50));
        let agent = quick(Agent::new(thing, endpoint)).state_dir(dir.join("state"));
        agents.push(start(agent.on("who", move |_: Value, _: Job| async move {
            Outcome::Succeeded(agent_std::Details::new().with("by", thing))
        })));
        let document = json!({"operation": "who"});
        let both = ["pump-a", "pump-b"];
        if thing == "pump-b" {
            let create = |service: &mut jobs_emulator::model::Service, now_ms| {
                service.create_job(now_ms, "both", &both, &document)
            };
            world.emulator.with_service(create).unwrap();
        }
    }
    for thing in ["pump-a", "pump-b"] {
        let by = || {
            let service = world.emulator.service();
            let execution = service.execution(thing, "both", None);
            json!(execution.unwrap().status_details)["by"].clone()
        };
        until(|| by() == thing, || format!("{thing}: {}", by())).await;
    }
    for agent in agents {
        agent.shut_down().await;
    }
}

#[tokio::test]
async fn another_things_jobs_are_denied_for_good_and_in_words() {
    let world = World::on(secure().await);
    let (certificate, key) = world.emulator.issue_certificate("pump-a").unwrap().unwrap();
    let options = tls_options(&world, THING, Some((&certificate, &key)));
    let mut link = HttpsLink::open(options).unwrap();
    let (why, permanent) = disconnected(&mut link).await;
    let action = "iotjobsdata:GetPendingJobExecutions";
    assert!(
        matches!(&why, LinkError::Denied { action: of, .. } if *of == action),
        "{why}"
    );
    assert!(
        permanent && why.to_string().contains("policy allows"),
        "{why}"
    );
}

#[tokio::test]
async fn a_certificate_that_is_taken_back_ends_the_connection_with_its_reason() {
    let world = World::on(secure().await);
    let (certificate, key) = world.emulator.issue_certificate(THING).unwrap().unwrap();
    let mut link = HttpsLink::open(tls_options(&world, THING, Some((&certificate, &key)))).unwrap();
    assert!(matches!(
        soon(link.next()).await,
        LinkEvent::Connected { .. }
    ));
    // Over the control plane, as an operator does it.
    let http = world.emulator.http_addr();
    let list = request(http.port(), "GET /certificates").await;
    let certificates = list["certificates"].as_array().unwrap();
    for known in certificates {
        let id = known["certificateId"].as_str().unwrap();
        request(
            http.port(),
            &format!("PUT /certificates/{id}?newStatus=INACTIVE"),
        )
        .await;
    }
    let topic = format!("$aws/things/{THING}/jobs/j/update");
    let id = link.publish(&topic, b"{\"status\":\"FAILED\"}", Qos::AtLeastOnce);
    assert_eq!(soon(link.next()).await, LinkEvent::Lost(id.unwrap()));
    let (why, permanent) = disconnected(&mut link).await;
    let action = "iotjobsdata:UpdateJobExecution";
    assert!(
        matches!(&why, LinkError::Denied { action: of, .. } if *of == action),
        "{why}"
    );
    assert!(permanent);
}

#[tokio::test]
async fn without_a_certificate_or_towards_a_stranger_nothing_is_asked() {
    let world = World::on(secure().await);
    let mut link = HttpsLink::open(tls_options(&world, THING, None)).unwrap();
    let (why, permanent) = disconnected(&mut link).await;
    assert!(
        matches!(why, LinkError::Identity { .. }) && permanent,
        "{why}"
    );

    let other = World::on(secure().await);
    let (certificate, key) = world.emulator.issue_certificate(THING).unwrap().unwrap();
    let mut options = tls_options(&world, THING, Some((&certificate, &key)));
    let trusted = Pem::File(other.emulator.pki().unwrap().ca.clone());
    options.tls.as_mut().unwrap().ca = trusted;
    let mut link = HttpsLink::open(options).unwrap();
    let (why, permanent) = disconnected(&mut link).await;
    assert!(
        matches!(why, LinkError::Identity { .. }) && permanent,
        "{why}"
    );
    assert!(world.emulator.trace().data_requests().is_empty());
}

#[tokio::test]
async fn a_service_that_is_away_is_found_when_it_comes() {
    let world = World::on(https().await);
    let at = world.emulator.data_http_addr().unwrap();
    world.emulator.shutdown().await.unwrap();
    let mut link = HttpsLink::open(options(at.port())).unwrap();
    let (why, permanent) = disconnected(&mut link).await;
    assert!(
        matches!(why, LinkError::Unreachable { .. }) && !permanent,
        "{why}"
    );
    let back = jobs_emulator::Options {
        data_http: Some(at),
        ..jobs_emulator::Options::default()
    };
    let back = jobs_emulator::Emulator::start(back).await.unwrap();
    loop {
        match soon(link.next()).await {
            LinkEvent::Disconnected { permanent, .. } => assert!(!permanent),
            LinkEvent::Connected { .. } => break,
            other => panic!("{other:?}"),
        }
        // There is no such thing yet: told, and tried again.
        let _ = back.with_service(|service, now_ms| service.create_thing(now_ms, THING));
    }
}

/// One request to the control plane, and the body of its answer.
async fn request(port: u16, line: &str) -> Value {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let text = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
