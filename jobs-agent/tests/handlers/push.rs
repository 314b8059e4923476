//! Configuration files: replaced, checked, and taken back.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::support::{Room, alive, offer, soon, steps, until};
use jobs_agent::{
    push::{ConfigPush, OPERATION, PushPlan, PushPolicy, PushedFile},
    turns::Turns,
};
use jobs_agent_core::{
    Attempt, Checkpoint, JobHandler, JobPort, OperationTag, Outcome, Progress, StopReason, Stopped,
};
use tempfile::TempDir;

/// The first byte of a checkpoint.
const FORMAT: u8 = 1;

/// A port whose power is cut at the first checkpoint, if that is wanted.
struct Port {
    job_id: &'static str,
    stop: Option<StopReason>,
    reports: Arc<AtomicU32>,
    checkpoints: u32,
    attempt: u8,
}

impl JobPort for Port {
    async fn checkpoint(&mut self, _: Checkpoint) -> Result<(), Stopped> {
        self.checkpoints += 1;
        Ok(())
    }

    fn report(&mut self, _: Progress) {
        self.reports.fetch_add(1, Ordering::SeqCst);
    }

    fn stop_requested(&self) -> Option<StopReason> {
        self.stop
    }

    async fn stopped(&mut self) -> StopReason {
        match self.stop {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    fn deadline_ms(&self) -> Option<u64> {
        None
    }

    fn attempt(&self) -> Attempt {
        Attempt {
            number: self.attempt,
            last: 3,
        }
    }

    fn job_id(&self) -> &str {
        self.job_id
    }
}

fn port() -> Port {
    port_of("push")
}

fn port_of(job_id: &'static str) -> Port {
    Port {
        job_id,
        stop: None,
        reports: Arc::default(),
        checkpoints: 0,
        attempt: 1,
    }
}

struct Push {
    handler: ConfigPush,
    plan: PushPlan,
    folders: TempDir,
}

/// A push of "new" to `path`.
fn push(path: &Path, check: &[&str], check_timeout_s: u64) -> Push {
    let file = PushedFile {
        path: path.to_owned(),
        check: check.iter().map(|&word| word.to_owned()).collect(),
        check_timeout_s,
    };
    let policy = PushPolicy {
        files: BTreeMap::from([("c".to_owned(), file)]),
    };
    let folders = tempfile::tempdir().unwrap();
    let handler = ConfigPush::new(policy, steps(), folders.path());
    let document = br#"{"operation":"config_push","name":"c","content":"new"}"#;
    let (_, plan) = handler.plan(&offer(document, false)).unwrap();
    Push {
        handler,
        plan,
        folders,
    }
}

impl Push {
    async fn run(&self, port: &mut Port) -> Outcome {
        let outcome = soon(self.handler.run(self.plan.clone(), port)).await;
        let left = fs::read_dir(self.folders.path()).unwrap().count();
        assert_eq!(left, 0, "nothing is left of the check");
        outcome
    }

    async fn resume(&self, port: &mut Port) -> Outcome {
        let from = Checkpoint::new(&[FORMAT]).unwrap();
        let tag = OperationTag::of(OPERATION);
        let plan = Some(self.plan.clone());
        soon(self.handler.resume(tag, &from, plan, port)).await
    }
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed(details) => details.iter().next().unwrap().1,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_passes_its_check_is_replaced_and_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let outcome = push(&path, &["/bin/grep", "-q", "new"], 5)
        .run(&mut port())
        .await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[tokio::test]
async fn a_file_that_fails_its_check_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    fs::write(&path, "old").unwrap();
    let outcome = push(&path, &["/bin/grep", "-q", "old"], 5)
        .run(&mut port())
        .await;
    assert!(
        reason(&outcome).contains("the old file is back"),
        "{outcome:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}

#[tokio::test]
async fn a_file_that_was_not_there_is_gone_again_after_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    push(&path, &["/bin/false"], 5).run(&mut port()).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_job_that_is_canceled_during_the_check_takes_the_file_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    fs::write(&path, "old").unwrap();
    let mut port = port();
    port.stop = Some(StopReason::Canceled);
    let outcome = push(&path, &["/bin/sleep", "60"], 30).run(&mut port).await;
    assert!(reason(&outcome).contains("Canceled"), "{outcome:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}

#[tokio::test]
async fn a_cut_after_the_roll_back_does_not_lose_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    fs::write(&path, "old").unwrap();
    let push = push(&path, &["/bin/false"], 5);
    push.run(&mut port()).await;
    // Rolled back, and the outcome was not yet durable: the job is resumed.
    for _ in 0..2 {
        push.resume(&mut port()).await;
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, dir.path().join("c")).unwrap();
    let mut port = port();
    let outcome = push(&dir.path().join("c"), &[], 5).run(&mut port).await;
    assert!(reason(&outcome).contains("links are not followed"));
    assert_eq!(
        (
            fs::read_to_string(&victim).unwrap().as_str(),
            port.checkpoints
        ),
        ("mine", 0)
    );
}

#[tokio::test]
async fn a_file_whose_check_brings_the_device_down_each_time_is_taken_back_on_the_last_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    fs::write(&path, "new").unwrap();
    fs::write(dir.path().join("c.before"), "old").unwrap();
    let mut port = port();
    port.attempt = 3;
    let seen = dir.path().join("seen");
    let text = format!("touch {}", seen.display());
    let outcome = push(&path, &["/bin/sh", "-c", &text], 5)
        .resume(&mut port)
        .await;
    assert!(reason(&outcome).contains("cut off 2 times"), "{outcome:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert!(!seen.exists(), "the check did not run again");
}

#[tokio::test]
async fn a_link_that_took_the_place_of_the_kept_file_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    fs::write(&path, "old").unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "of root").unwrap();
    let kept = dir.path().join("c.before");
    // What the user to whom the folder belongs can do while the check runs.
    let swap = dir.path().join("swap");
    fs::write(
        &swap,
        format!(
            "rm {0}; ln -s {1} {0}; exit 1\n",
            kept.display(),
            secret.display()
        ),
    )
    .unwrap();
    let outcome = push(&path, &["/bin/sh", swap.to_str().unwrap()], 5)
        .run(&mut port())
        .await;
    assert!(
        reason(&outcome).contains("could not be put back"),
        "{outcome:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "new", "not the secret");
}

#[tokio::test]
async fn a_check_that_takes_too_long_is_ended_with_everything_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    fs::write(&path, "old").unwrap();
    // One that ignores what its group is told, and one that left the group.
    let text = format!(
        "cd {}; (trap '' TERM; sleep 1000) & echo $! > deaf; setsid sleep 1000 & \
         echo $! > away; wait",
        dir.path().display()
    );
    let outcome = push(&path, &["/bin/sh", "-c", &text], 1)
        .run(&mut port())
        .await;
    assert!(reason(&outcome).contains("longer than 1 s"), "{outcome:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    for name in ["deaf", "away"] {
        let pid = fs::read_to_string(dir.path().join(name)).unwrap();
        until("its end", || !alive(&pid)).await;
    }
}

/// A folder with a file, and pushes of it by turns: content "bad" is refused when there is a file
/// `go`, everything else is taken.
struct Busy {
    room: Room,
    handler: ConfigPush,
    turns: Turns,
}

impl Busy {
    fn new() -> Self {
        let room = Room::new();
        fs::write(room.path("c"), "old").unwrap();
        let here = room.dir.path().display();
        let check = format!(
            "grep -q bad \"$1\" || exit 0; touch {here}/begun\n\
             while ! [ -e {here}/go ]; do sleep 0.02; done; exit 1"
        );
        let check = room.script("check.sh", &check);
        // Two names of one file.
        let file = |path: String| PushedFile {
            path: path.into(),
            check: vec![check.to_str().unwrap().to_owned()],
            check_timeout_s: 50,
        };
        fs::create_dir(room.path("d")).unwrap();
        let files = BTreeMap::from([
            ("a".to_owned(), file(format!("{here}/c"))),
            ("b".to_owned(), file(format!("{here}/d/../c"))),
        ]);
        let turns = Turns::default();
        let handler = ConfigPush::new(PushPolicy { files }, steps(), room.path("steps"))
            .taking_turns(turns.clone());
        Self {
            room,
            handler,
            turns,
        }
    }

    fn plan(&self, name: &str, content: &str) -> PushPlan {
        let document =
            format!(r#"{{"operation":"config_push","name":"{name}","content":"{content}"}}"#);
        let plan = self.handler.plan(&offer(document.as_bytes(), false));
        plan.unwrap().1
    }

    async fn succeeds(&self, job_id: &'static str, name: &str, content: &str) {
        let mut port = port_of(job_id);
        let outcome = soon(self.handler.run(self.plan(name, content), &mut port)).await;
        assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn two_pushes_of_one_file_go_one_after_the_other() {
    let busy = Busy::new();
    let (mut first, mut second) = (port_of("first"), port_of("second"));
    let waits = Arc::clone(&second.reports);
    let (bad, good) = (busy.plan("a", "bad"), busy.plan("b", "good"));
    let first = busy.handler.run(bad, &mut first);
    let second = async {
        until("the first check", || busy.room.path("begun").exists()).await;
        busy.handler.run(good, &mut second).await
    };
    let going = async {
        until("the second to wait", || waits.load(Ordering::SeqCst) > 0).await;
        fs::write(busy.room.path("go"), "").unwrap();
    };
    tokio::pin!(second);
    let first = async {
        tokio::select! {
            (outcome, ()) = async { tokio::join!(first, going) } => outcome,
            outcome = &mut second => panic!("the second did not wait: {outcome:?}"),
        }
    };
    assert!(reason(&soon(first).await).contains("the old file is back"));
    assert_eq!(busy.room.read("c"), "old");
    // Not before the first is reported: until then it could come back after a cut.
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(50), &mut second)
            .await
            .is_err()
    );
    busy.turns.over("first");
    let outcome = soon(second).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(busy.room.read("c"), "good");
    assert_eq!(busy.room.read("c.before"), "old");
}

#[tokio::test]
async fn a_push_that_is_canceled_while_it_waits_for_its_turn_ends_without_it() {
    let busy = Busy::new();
    busy.succeeds("1", "a", "good").await;
    let mut canceled = port_of("2");
    canceled.stop = Some(StopReason::TimedOut);
    let outcome = soon(busy.handler.run(busy.plan("a", "new"), &mut canceled)).await;
    assert!(reason(&outcome).contains("stopped (TimedOut) before the file was touched"));
    assert_eq!(busy.room.read("c"), "good");
    // And nobody waits for it.
    busy.turns.over("1");
    busy.succeeds("3", "b", "next").await;
}

#[tokio::test]
async fn a_push_that_a_cut_interrupted_goes_before_one_that_has_not_begun() {
    let busy = Busy::new();
    fs::write(busy.room.path("c.before"), "old").unwrap();
    fs::write(busy.room.path("c"), "bad").unwrap();
    fs::write(busy.room.path("go"), "").unwrap();
    busy.turns.expect(["cut".to_owned()]);
    let (mut cut, mut fresh) = (port_of("cut"), port_of("fresh"));
    let waits = Arc::clone(&fresh.reports);
    let from = Checkpoint::new(&[FORMAT]).unwrap();
    let tag = OperationTag::of(OPERATION);
    let again = async {
        until("the fresh one to wait", || waits.load(Ordering::SeqCst) > 0).await;
        let plan = Some(busy.plan("a", "bad"));
        let outcome = busy.handler.resume(tag, &from, plan, &mut cut).await;
        assert_eq!(busy.room.read("c"), "old");
        busy.turns.over("cut");
        outcome
    };
    let fresh = busy.handler.run(busy.plan("b", "good"), &mut fresh);
    let (cut, fresh) = soon(async { tokio::join!(again, fresh) }).await;
    assert!(reason(&cut).contains("the old file is back"));
    assert!(matches!(fresh, Outcome::Succeeded(_)), "{fresh:?}");
    assert_eq!(busy.room.read("c"), "good");
}

#[tokio::test]
async fn a_push_that_a_cut_interrupted_and_that_is_over_keeps_nobody_waiting() {
    let busy = Busy::new();
    busy.turns.expect(["cut".to_owned()]);
    busy.turns.over("cut");
    busy.succeeds("1", "a", "good").await;
}
