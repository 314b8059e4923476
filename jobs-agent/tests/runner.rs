//! The runner between two lives, at moments that no test of the program could hit.

mod support;

use std::sync::Mutex;

use jobs_agent::{policy::StepPolicy, runner::StepRunner};
use jobs_agent_core::{JobHandler, Offer, OperationTag, Outcome};
use support::{Port, Room, soon, steps};

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
