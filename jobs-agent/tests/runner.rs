//! The runner between two lives, at moments that no test of the program could hit.

mod support;

use std::{future::pending, sync::Mutex};

use jobs_agent::{policy::StepPolicy, runner::StepRunner};
use jobs_agent_core::{
    Attempt, Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Progress, StopReason,
    Stopped,
};
use jobs_proto::{JobId, JobStatus, document::Document};
use support::{Room, soon, steps};

/// A port that makes checkpoints durable; after `lives` of them the power is cut right then.
struct Port<'t> {
    durable: &'t Mutex<Option<Checkpoint>>,
    lives: u32,
}

impl JobPort for Port<'_> {
    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Stopped> {
        *self.durable.lock().unwrap() = Some(checkpoint);
        match self.lives.checked_sub(1) {
            Some(left) => {
                self.lives = left;
                Ok(())
            }
            None => pending().await,
        }
    }

    fn report(&mut self, _: Progress) {}

    fn stop_requested(&self) -> Option<StopReason> {
        None
    }

    async fn stopped(&mut self) -> StopReason {
        pending().await
    }

    fn deadline_ms(&self) -> Option<u64> {
        None
    }

    fn attempt(&self) -> Attempt {
        Attempt { number: 1, last: 3 }
    }

    fn job_id(&self) -> &str {
        "job-1"
    }
}

const DOCUMENT: &[u8] = br#"{"version":"1.0","steps":[
    {"action":{"name":"one","type":"runCommand","input":{"command":"touch,one"}}},
    {"action":{"name":"two","type":"runCommand","input":{"command":"touch,two"}}}]}"#;

fn offer(resuming: bool) -> Offer<'static> {
    Offer {
        job_id: JobId::new("job-1").unwrap(),
        execution_number: Some(1),
        status: Some(JobStatus::Queued),
        status_details: None,
        document: Document(DOCUMENT),
        resuming,
    }
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
