//! Documents that the device cannot take: the job is answered all the same (P6).

use agent_std::link::https::BODY_MAX_BYTES;
use agent_std::{Agent, HttpsEndpoint, Job, Outcome};
use serde_json::{Value, json};

use crate::jobs::poll;
use crate::service::{IDLE, Peer, Service};
use crate::world::{THING, quick, start};

/// Serves a queue with one job until the agent has reported about it; the report.
async fn serve(service: &Service, document: &str) -> Value {
    let mut peer = service.accept().await;
    loop {
        let Some(asked) = peer.maybe_asked().await else {
            // What was too large to take cost the connection.
            peer = service.accept().await;
            continue;
        };
        let words: Vec<&str> = asked.line.split([' ', '?']).collect();
        match (
            words[0],
            words[1].trim_start_matches("/things/pump-17/jobs"),
            words[2],
        ) {
            ("GET", "", _) => peer.answer(200, "", IDLE).await,
            ("GET", _, query) => describe(&mut peer, query, document).await,
            ("POST", "/job-1", _) => {
                peer.answer(200, "", "{}").await;
                return serde_json::from_str(&asked.body).unwrap();
            }
            _ => panic!("{asked:?}"),
        }
    }
}

async fn describe(peer: &mut Peer, query: &str, document: &str) {
    let mut execution = json!({"jobId": "job-1", "status": "QUEUED", "queuedAt": 1_719_940_994,
        "lastUpdatedAt": 1_719_940_994, "versionNumber": 1, "executionNumber": 1});
    if query.contains("includeJobDocument=true") {
        execution["jobDocument"] = document.into();
    }
    peer.answer(200, "", &json!({"execution": execution}).to_string())
        .await;
}

/// What an agent reports about a job with this document.
async fn report(document: &str) -> Value {
    let service = Service::start().await;
    let state = tempfile::tempdir().unwrap();
    let endpoint = HttpsEndpoint::plain("127.0.0.1", service.port).poll(poll(600_000));
    let agent = quick(Agent::new(THING, endpoint)).state_dir(state.path());
    let agent = agent.configure(|config| config.reply_timeout_ms = 200);
    let agent = start(agent.on("any", |_: Value, _: Job| async { Outcome::succeeded() }));
    let report = serve(&service, document).await;
    agent.kill().await;
    report
}

#[tokio::test]
async fn a_document_beyond_all_bounds_is_rejected_instead_of_asked_for_for_ever() {
    let text = "x".repeat(BODY_MAX_BYTES);
    let report = report(&json!({"operation": "any", "text": text}).to_string()).await;
    assert_eq!(report["status"], "REJECTED");
    let reason = report["statusDetails"]["reason"].as_str().unwrap();
    assert!(reason.contains("does not fit"), "{reason}");
}

#[tokio::test]
async fn a_document_that_is_no_json_is_rejected_and_cannot_speak_for_the_job() {
    for document in [
        "not json",
        "",
        r#"{},"status":"CANCELED","x":{}"#,
        "{\"operation\":",
    ] {
        let report = report(document).await;
        assert_eq!(report["status"], "REJECTED", "{document}");
        assert_eq!(report["executionNumber"], 1);
    }
}
