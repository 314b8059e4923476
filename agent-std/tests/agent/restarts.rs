//! The agent against the emulator: what survives when it ends, in order or not.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::world::{THING, World, agent_of, soon, start, until};
use agent_std::boot::BootId;
use agent_std::store::{MemoryStore, RecordStore, StoreError};
use agent_std::{
    Agent, AgentError, Checkpoint, Details, Handlers, Job, Outcome, Reboot, RebootError,
};
use jobs_emulator::{Cut, Faults};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What the handlers of a test saw, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A handler that makes a checkpoint on its first run and stays there; the run after that
/// succeeds from the checkpoint.
fn two_halves(agent: Agent, seen: &Seen, half: &Arc<Notify>) -> Agent<Handlers> {
    let (seen, half) = (seen.clone(), Arc::clone(half));
    agent.on("work", move |document: Value, job: Job| {
        let (seen, half) = (seen.clone(), Arc::clone(&half));
        async move {
            let name = document["name"].as_str().unwrap_or_default().to_owned();
            match job.resumed_from().map(Checkpoint::bytes) {
                None => {
                    seen.note(format!("{name}: first half"));
                    job.checkpoint(b"half").await.map_err(|e| e.to_string())?;
                    half.notify_one();
                    std::future::pending::<()>().await;
                    Err("never".to_owned())
                }
                Some(bytes) => {
                    let from = String::from_utf8_lossy(bytes).into_owned();
                    seen.note(format!("{name}: second half from {from}"));
                    Ok(Outcome::succeeded())
                }
            }
        }
    })
}

#[tokio::test]
async fn a_job_goes_on_from_its_checkpoint_when_the_run_was_dropped() {
    let world = World::new().await;
    let (seen, half) = (Seen::default(), Arc::new(Notify::new()));
    let agent = start(two_halves(world.agent(), &seen, &half));
    world.create("job-1", &json!({"operation": "work", "name": "a"}));
    soon(half.notified()).await;
    agent.kill().await;
    assert_eq!(world.status("job-1"), "IN_PROGRESS");
    // The same directory at once: the killed agent lets go of it by itself.
    let agent = start(two_halves(world.agent(), &seen, &half));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(seen.all(), ["a: first half", "a: second half from half"]);
    agent.shut_down().await;
}

#[tokio::test]
async fn a_job_goes_on_from_its_checkpoint_after_an_orderly_end() {
    let world = World::new().await;
    let (seen, half) = (Seen::default(), Arc::new(Notify::new()));
    let agent = start(two_halves(world.agent(), &seen, &half));
    world.create("job-1", &json!({"operation": "work", "name": "a"}));
    soon(half.notified()).await;
    agent.shut_down().await;
    let gone = || world.emulator.connected().is_empty();
    until(gone, || "the broker was not told".into()).await;
    let agent = start(two_halves(world.agent(), &seen, &half));
    world.until("job-1", "SUCCEEDED").await;
    let erased = || !world.state.path().join("slot-0.rec").exists();
    until(erased, || "the record is still there".into()).await;
    agent.shut_down().await;
    assert_eq!(seen.all().len(), 2);
}

/// Tells that the machine is to be reset, once.
struct Tell(Mutex<Option<tokio::sync::oneshot::Sender<()>>>);

impl Reboot for Tell {
    fn reboot(&self) -> Result<(), RebootError> {
        match self.0.lock().unwrap().take() {
            Some(tell) => tell.send(()).map_err(|()| RebootError::NotConfigured),
            None => Err(RebootError::Other("asked twice".to_owned())),
        }
    }
}

fn updating(agent: Agent, seen: &Seen) -> Agent<Handlers> {
    let seen = seen.clone();
    agent.on("update", move |_: Value, job: Job| {
        let seen = seen.clone();
        async move {
            if job.resumed_from().is_none() {
                seen.note("switched");
                return Outcome::Reboot(Checkpoint::new(b"v2").unwrap());
            }
            seen.note("self-test");
            Outcome::Succeeded(Details::new().with("version", "2"))
        }
    })
}

#[tokio::test]
async fn success_after_a_reboot_is_told_from_the_next_boot_only() {
    let world = World::new().await;
    let seen = Seen::default();
    let (tell, told) = tokio::sync::oneshot::channel();
    let agent = updating(world.agent(), &seen).reboot_with(Tell(Mutex::new(Some(tell))));
    let agent = start(agent);
    world.create("job-1", &json!({"operation": "update"}));
    soon(told).await.unwrap();
    agent.kill().await;

    // A mere restart of the process asks for the reset again and does not go on.
    let (tell, told) = tokio::sync::oneshot::channel();
    let agent = updating(world.agent(), &seen).reboot_with(Tell(Mutex::new(Some(tell))));
    let agent = start(agent);
    soon(told).await.unwrap();
    agent.kill().await;
    assert_eq!(seen.all(), ["switched"]);
    assert_eq!(world.status("job-1"), "IN_PROGRESS");

    let agent = start(updating(world.agent(), &seen).boot(BootId::named("second")));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(seen.all(), ["switched", "self-test"]);
    assert_eq!(world.detail("job-1", "version"), "2");
    agent.shut_down().await;
}

#[tokio::test]
async fn without_a_way_to_reboot_the_job_fails() {
    let world = World::new().await;
    let seen = Seen::default();
    let agent = start(updating(world.agent(), &seen));
    world.create("job-1", &json!({"operation": "update"}));
    world.until("job-1", "FAILED").await;
    assert_eq!(seen.all(), ["switched"]);
    agent.shut_down().await;
}

#[tokio::test]
async fn an_outcome_whose_answer_was_cut_off_is_sent_again_and_the_work_is_not_done_again() {
    let world = World::new().await;
    let seen = Seen::default();
    let done = seen.clone();
    let agent = world.agent().on("work", move |_: Value, _: Job| {
        done.note("done");
        async { Outcome::succeeded() }
    });
    let agent = start(agent);
    world.settled().await;
    // The start passes; the connection is cut when the outcome comes, before it counts.
    world.emulator.set_faults(Faults {
        cuts: vec![None, Some(Cut::BeforeTaken)],
        ..Faults::default()
    });
    world.create("job-1", &json!({"operation": "work"}));
    world.until("job-1", "SUCCEEDED").await;
    until(|| agent.counts().succeeded == 1, || "never answered".into()).await;
    assert_eq!(seen.all(), ["done"]);
    assert_eq!(agent.counts().connects, 2);
    agent.shut_down().await;
}

#[tokio::test]
async fn an_outcome_that_counted_without_an_answer_is_no_second_outcome() {
    let world = World::new().await;
    let agent = world
        .agent()
        .on("work", |_: Value, _: Job| async { Outcome::succeeded() });
    let agent = start(agent);
    world.settled().await;
    world.emulator.set_faults(Faults {
        cuts: vec![None, Some(Cut::AfterPuback)],
        ..Faults::default()
    });
    world.create("job-1", &json!({"operation": "work"}));
    world.until("job-1", "SUCCEEDED").await;
    // The repetition is answered: over already.
    until(
        || agent.counts().unreported == 1,
        || "never answered".into(),
    )
    .await;
    assert_eq!(world.status("job-1"), "SUCCEEDED");
    agent.shut_down().await;
}

/// A store whose first write waits until the test lets it pass, visible from outside.
struct Slow {
    inner: Arc<Mutex<MemoryStore>>,
    begun: Arc<Notify>,
    gate: mpsc::Receiver<()>,
    released: Arc<AtomicBool>,
}

impl RecordStore for Slow {
    fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
        self.inner.lock().unwrap().load_all()
    }

    fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), StoreError> {
        self.begun.notify_one();
        // After the test has dropped its end, writes pass.
        let _ = self.gate.recv();
        self.inner.lock().unwrap().save(slot, record)
    }

    fn erase(&mut self, slot: u8) -> Result<(), StoreError> {
        self.inner.lock().unwrap().erase(slot)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.released.store(true, Ordering::SeqCst);
    }
}

struct SlowWorld {
    inner: Arc<Mutex<MemoryStore>>,
    begun: Arc<Notify>,
    open: mpsc::Sender<()>,
    released: Arc<AtomicBool>,
}

fn slow() -> (Slow, SlowWorld) {
    let (open, gate) = mpsc::channel();
    let (inner, begun) = (Arc::default(), Arc::new(Notify::new()));
    let released = Arc::new(AtomicBool::new(false));
    let store = Slow {
        inner: Arc::clone(&inner),
        begun: Arc::clone(&begun),
        gate,
        released: Arc::clone(&released),
    };
    let world = SlowWorld {
        inner,
        begun,
        open,
        released,
    };
    (store, world)
}

fn readable(inner: &Mutex<MemoryStore>) -> usize {
    let records = inner.lock().unwrap().load_all().unwrap();
    for (_, record) in &records {
        jobs_agent_core::Record::decode(record).expect("a whole record");
    }
    records.len()
}

#[tokio::test]
async fn an_orderly_end_waits_for_a_write_that_has_begun() {
    let world = World::new().await;
    let (store, slow) = slow();
    let agent = world.agent().store(store);
    let agent = start(agent.on("work", |_: Value, _: Job| async { Outcome::succeeded() }));
    world.create("job-1", &json!({"operation": "work"}));
    soon(slow.begun.notified()).await;
    let ending = tokio::spawn(agent.shut_down());
    until(
        || world.emulator.connected().is_empty(),
        || "still connected".into(),
    )
    .await;
    assert!(!ending.is_finished());
    assert!(!slow.released.load(Ordering::SeqCst));
    drop(slow.open);
    soon(ending).await.unwrap();
    assert!(slow.released.load(Ordering::SeqCst));
    assert_eq!(readable(&slow.inner), 1);
}

#[tokio::test]
async fn dropping_the_run_does_not_tear_a_write_that_has_begun() {
    let world = World::new().await;
    let (store, slow) = slow();
    let agent = world.agent().store(store);
    let agent = start(agent.on("work", |_: Value, _: Job| async { Outcome::succeeded() }));
    world.create("job-1", &json!({"operation": "work"}));
    soon(slow.begun.notified()).await;
    agent.kill().await;
    drop(slow.open);
    let released = || slow.released.load(Ordering::SeqCst);
    until(released, || "the store is never let go".into()).await;
    assert_eq!(readable(&slow.inner), 1);
}

#[tokio::test]
async fn a_second_agent_on_the_same_records_is_refused() {
    let world = World::new().await;
    let first = start(world.agent());
    world.settled().await;
    let second = start(world.agent()).ended().await;
    let refused = matches!(second, Err(AgentError::Store(StoreError::InUse { .. })));
    assert!(refused, "{second:?}");
    first.shut_down().await;
}

/// A job for a fleet has one id on all its things, and is queued for all in the same second: the
/// record of one thing's execution looks like that of another's, which a copied disk image brings
/// along.
#[tokio::test]
async fn unfinished_jobs_of_another_thing_are_neither_done_nor_reported() {
    let world = World::new().await;
    world.thing("pump-18");
    let (seen, half) = (Seen::default(), Arc::new(Notify::new()));
    let agent = start(two_halves(world.agent(), &seen, &half));
    let document = json!({"operation": "work", "name": "a"});
    let things = [THING, "pump-18"];
    world
        .emulator
        .with_service(|service, now_ms| service.create_job(now_ms, "fleet", &things, &document))
        .unwrap();
    soon(half.notified()).await;
    agent.kill().await;

    let copy = || agent_of("pump-18", world.endpoint()).state_dir(world.state.path());
    let copied = start(two_halves(copy(), &seen, &half)).ended().await;
    match copied {
        Err(AgentError::Store(StoreError::OtherThing { owner, .. })) => assert_eq!(owner, THING),
        other => panic!("expected a refusal, got {other:?}"),
    }
    let other = world.execution_of("pump-18", "fleet").status;
    assert_eq!(other.as_str(), "QUEUED");

    // Its own agent goes on, and the directory is free when nothing is left in it.
    let agent = start(two_halves(world.agent(), &seen, &half));
    world.until("fleet", "SUCCEEDED").await;
    let file = world.state.path().join("slot-0.rec");
    until(|| !file.exists(), || "a record is left".into()).await;
    agent.shut_down().await;
    assert_eq!(seen.all(), ["a: first half", "a: second half from half"]);
    let agent = start(two_halves(copy(), &seen, &half));
    soon(half.notified()).await;
    agent.shut_down().await;
}

#[tokio::test]
async fn a_record_that_is_none_is_erased_and_the_agent_works() {
    let world = World::new().await;
    let file = world.state.path().join("slot-0.rec");
    fs::write(&file, b"torn").unwrap();
    let agent = start(
        world
            .agent()
            .on("work", |_: Value, _: Job| async { Outcome::succeeded() }),
    );
    world.create("job-1", &json!({"operation": "work"}));
    world.until("job-1", "SUCCEEDED").await;
    until(|| !file.exists(), || "a record is left".into()).await;
    agent.shut_down().await;
}

#[tokio::test]
async fn with_fewer_slots_than_before_the_records_move_and_too_many_are_refused() {
    let world = World::new().await;
    let (seen, half) = (Seen::default(), Arc::new(Notify::new()));
    let agent = start(two_halves(world.agent(), &seen, &half).jobs::<2>());
    for name in ["a", "b"] {
        world.create(name, &json!({"operation": "work", "name": name}));
        soon(half.notified()).await;
    }
    agent.shut_down().await;

    let refused = start(two_halves(world.agent(), &seen, &half)).ended().await;
    let too_few = matches!(
        refused,
        Err(AgentError::TooFewSlots {
            records: 2,
            jobs: 1
        })
    );
    assert!(too_few, "{refused:?}");

    // The job of the first slot is over by other means; that of the second has to move.
    fs::remove_file(world.state.path().join("slot-0.rec")).unwrap();
    world.cancel("a");
    let agent = start(two_halves(world.agent(), &seen, &half));
    world.until("b", "SUCCEEDED").await;
    agent.shut_down().await;
    assert!(seen.all().contains(&"b: second half from half".to_owned()));
    assert!(!world.state.path().join("slot-1.rec").exists());
}

/// A store whose next writes fail, as on a full disk, or break down altogether.
struct Faulty {
    inner: MemoryStore,
    failing: u32,
    broken: bool,
}

impl RecordStore for Faulty {
    fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
        self.inner.load_all()
    }

    fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), StoreError> {
        assert!(!self.broken, "the disk is gone");
        if self.failing > 0 {
            self.failing -= 1;
            return Err(StoreError::Full {
                doing: "write",
                path: "slot".into(),
                source: std::io::ErrorKind::StorageFull.into(),
            });
        }
        self.inner.save(slot, record)
    }

    fn erase(&mut self, slot: u8) -> Result<(), StoreError> {
        self.inner.erase(slot)
    }
}

#[tokio::test]
async fn a_record_that_could_not_be_written_is_written_again_and_work_waits_for_it() {
    let world = World::new().await;
    let seen = Seen::default();
    let done = seen.clone();
    let store = Faulty {
        inner: MemoryStore::default(),
        failing: 2,
        broken: false,
    };
    let agent = world
        .agent()
        .store(store)
        .on("work", move |_: Value, _: Job| {
            done.note("done");
            async { Outcome::succeeded() }
        });
    let agent = start(agent);
    world.create("job-1", &json!({"operation": "work"}));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(agent.counts().store_errors, 2);
    assert_eq!(seen.all(), ["done"]);
    agent.shut_down().await;
}

#[tokio::test]
async fn an_agent_whose_store_broke_down_ends_instead_of_promising_anything() {
    let world = World::new().await;
    let store = Faulty {
        inner: MemoryStore::default(),
        failing: 0,
        broken: true,
    };
    let seen = Seen::default();
    let done = seen.clone();
    let agent = world
        .agent()
        .store(store)
        .on("work", move |_: Value, _: Job| {
            done.note("done");
            async { Outcome::succeeded() }
        });
    let agent = start(agent);
    world.create("job-1", &json!({"operation": "work"}));
    let ended = agent.ended().await;
    let closed = matches!(ended, Err(AgentError::Store(StoreError::Closed)));
    assert!(closed, "{ended:?}");
    assert_eq!(seen.all(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_it_is_killed_no_checkpoint_is_forgotten_and_every_job_ends() {
    /// Checkpoints of a job; enough that no single run gets through between two kills.
    const STEPS: u8 = 12;
    /// Longest life of a run in the storm, in milliseconds; the kills hit all phases of a job.
    const LIFE_MAX_MS: u64 = 45;
    let world = World::new().await;
    // For each job, the last checkpoint that the agent called durable.
    let durable: Arc<Mutex<BTreeMap<String, u8>>> = Arc::default();
    let forgotten = Seen::default();
    let build = || {
        let (durable, forgotten) = (Arc::clone(&durable), forgotten.clone());
        let agent = world.agent().jobs::<2>().configure(|config| {
            config.attempts_max = u8::MAX;
            config.runs_max = u16::MAX;
        });
        agent.on("work", move |_: Value, job: Job| {
            let (durable, forgotten) = (Arc::clone(&durable), forgotten.clone());
            async move {
                let from = job.resumed_from().map_or(0, |kept| kept.bytes()[0]);
                let known = durable.lock().unwrap().get(job.id()).copied().unwrap_or(0);
                if from < known {
                    forgotten.note(format!("{}: {from} after {known}", job.id()));
                }
                // A kill can hit between the write and the word that it is done.
                let kept = from.max(known);
                durable.lock().unwrap().insert(job.id().to_owned(), kept);
                for step in from + 1..=STEPS {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    job.checkpoint(&[step]).await.map_err(|e| e.to_string())?;
                    durable.lock().unwrap().insert(job.id().to_owned(), step);
                }
                Ok::<_, String>(Outcome::succeeded())
            }
        })
    };
    let jobs = ["job-1", "job-2", "job-3"];
    for job in jobs {
        world.create(job, &json!({"operation": "work"}));
    }
    for round in 0..20_u64 {
        let agent = start(build());
        tokio::time::sleep(Duration::from_millis(5 + round * 7 % LIFE_MAX_MS)).await;
        agent.kill().await;
    }
    let agent = start(build());
    for job in jobs {
        world.until(job, "SUCCEEDED").await;
    }
    assert_eq!(forgotten.all(), [""; 0]);
    assert!(durable.lock().unwrap().values().all(|&step| step == STEPS));
    agent.shut_down().await;
}
