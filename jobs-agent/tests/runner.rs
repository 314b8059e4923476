//! The runner between two lives, at moments that no test of the program could hit.

mod support;

use std::sync::Mutex;

use jobs_agent::{
    policy::{Builtin, DownloadPolicy, StepPolicy},
    runner::StepRunner,
};
use jobs_agent_core::{JobHandler, Offer, OperationTag, Outcome};
use support::{Port, Room, soon, steps};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const DOCUMENT: &[u8] = br#"{"version":"1.0","steps":[
    {"action":{"name":"one","type":"runCommand","input":{"command":"touch,one"}}},
    {"action":{"name":"two","type":"runCommand","input":{"command":"touch,two"}}}]}"#;

fn offer(resuming: bool) -> Offer<'static> {
    support::offer(DOCUMENT, resuming)
}

#[tokio::test]
async fn a_cut_between_a_checkpoint_and_the_removal_of_its_folder_loses_no_step() {
    let room = Room::new();
    let policy = StepPolicy {
        commands: vec!["touch".into()],
        users: vec!["root".into()],
        working_dir: room.dir.path().to_owned(),
        ..StepPolicy::default()
    };
    let runner = StepRunner::new(policy, steps(), room.path("steps"));
    let durable = Mutex::new(None);
    let (_, plan) = runner.plan(&offer(false)).unwrap();
    {
        let mut port = Port {
            durable: &durable,
            lives: 0,
        };
        let life = runner.run(plan, &mut port);
        tokio::select! {
            outcome = life => panic!("{outcome:?}"),
            () = support::until("the checkpoint", || durable.lock().unwrap().is_some()) => {}
        }
    }
    assert!(room.path("one").exists() && !room.path("two").exists());
    let from = durable.lock().unwrap().clone().unwrap();
    let (_, plan) = runner.plan(&offer(true)).unwrap();
    let mut port = Port {
        durable: &durable,
        lives: 9,
    };
    let tag = OperationTag::of("any");
    let outcome = soon(runner.resume(tag, &from, Some(plan), &mut port)).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert!(
        room.path("two").exists(),
        "the second step is done and not taken for the first"
    );
    assert_eq!(std::fs::read_dir(room.path("steps")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_download_that_never_ends_is_ended_by_the_time_limit_of_a_step() {
    let room = Room::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // Never silent for long, and never done.
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await;
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        let mut sent = stream.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            sent = stream.write_all(b"x").await;
        }
    });
    let policy = StepPolicy {
        builtin: vec![Builtin::DownloadFile],
        step_timeout_s: 1,
        download: DownloadPolicy {
            dirs: vec![room.dir.path().to_owned()],
            hosts: vec!["127.0.0.1".into()],
            private_addresses: true,
            plain_http: true,
            ..DownloadPolicy::default()
        },
        ..StepPolicy::default()
    };
    let document = format!(
        r#"{{"version":"1.0","steps":[{{"action":{{"name":"get","type":"runHandler","input":
        {{"handler":"download-file.sh","args":["http://{at}/f","{}"]}}}}}}]}}"#,
        room.path("f").display()
    );
    let runner = StepRunner::new(policy, steps(), room.path("steps"));
    let offer = support::offer(document.as_bytes(), false);
    let (_, plan) = runner.plan(&offer).unwrap();
    let durable = Mutex::new(None);
    let mut port = Port {
        durable: &durable,
        lives: 9,
    };
    let outcome = soon(runner.run(plan, &mut port)).await;
    let Outcome::Failed(details) = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        details
            .iter()
            .any(|(_, said)| said.contains("took too long"))
    );
}

#[tokio::test]
async fn a_step_that_is_called_by_a_presigned_url_does_not_tell_it() {
    let room = Room::new();
    let policy = StepPolicy {
        commands: vec!["false".into()],
        users: vec!["root".into()],
        ..StepPolicy::default()
    };
    let document = br#"{"version":"1.0","steps":[{"action":{"type":"runCommand",
        "name":"https://b.s3.amazonaws.com/f?X-Amz-Signature=secret",
        "input":{"command":"false"}}}]}"#;
    let runner = StepRunner::new(policy, steps(), room.path("steps"));
    let (_, plan) = runner.plan(&support::offer(document, false)).unwrap();
    let durable = Mutex::new(None);
    let mut port = Port {
        durable: &durable,
        lives: 9,
    };
    let outcome = soon(runner.run(plan, &mut port)).await;
    let Outcome::Failed(details) = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        details
            .iter()
            .any(|(_, said)| said.contains("exit status 1"))
    );
    assert!(details.iter().all(|(_, said)| !said.contains("secret")));
}
