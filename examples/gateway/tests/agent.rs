//! The agent as a fleet runs it: with a certificate, and without the demonstration around it.

use std::{fs, path::Path, process::Stdio, time::Duration};

use jobs_emulator::{Emulator, Options, model::ExecutionStatus};
use serde_json::json;
use tokio::{process::Command, time::sleep};

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
