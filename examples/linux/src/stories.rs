//! Every example at work, against the emulator.

use std::future::Future;
use std::time::Duration;

use jobs_emulator::{Direction, Emulator, Options, PacketKind};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{checkpoint, children, shared_connection, ten_lines};

/// Long enough that only a hang reaches it, however loaded the machine is.
const HANG: Duration = Duration::from_secs(60);

struct World {
    emulator: Emulator,
    folder: TempDir,
}

impl World {
    async fn of(things: &[&str]) -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        for thing in things {
            emulator
                .with_service(|service, now| service.create_thing(now, thing))
                .unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        Self { emulator, folder }
    }

    fn port(&self) -> u16 {
        self.emulator.mqtt_addr().port()
    }

    fn create(&self, thing: &str, job: &str, document: &Value) {
        self.emulator
            .with_service(|service, now| service.create_job(now, job, &[thing], document))
            .unwrap();
    }

    fn status(&self, thing: &str, job: &str) -> String {
        let execution = self.emulator.service().execution(thing, job, None);
        execution.unwrap().status.as_str().to_owned()
    }
}

/// Runs an example until something holds; the example must not end before.
async fn beside<T: std::fmt::Debug>(
    example: impl Future<Output = T>,
    mut holds: impl FnMut() -> bool,
) {
    let looked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = example => panic!("the example has ended: {ended:?}"),
        held = tokio::time::timeout(HANG, looked) => held.expect("the example hangs"),
    }
}

#[tokio::test]
async fn ten_lines_are_an_agent() {
    let world = World::of(&["pump-17"]).await;
    world.create(
        "pump-17",
        "job-1",
        &json!({"operation": "blink", "times": 3}),
    );
    world.create(
        "pump-17",
        "job-2",
        &json!({"operation": "blink", "times": "x"}),
    );
    let example = ten_lines::run(world.port(), world.folder.path());
    beside(example, || world.status("pump-17", "job-2") == "REJECTED").await;
    assert_eq!(world.status("pump-17", "job-1"), "SUCCEEDED");
    let text = include_str!("ten_lines.rs");
    let body = text.split_once("Agent::new").unwrap().1;
    assert!(body.lines().count() <= 10, "the ten lines have grown");
}

#[tokio::test]
async fn a_shared_connection_carries_telemetry_and_jobs() {
    let world = World::of(&["pump-17"]).await;
    let trace = world.emulator.trace();
    let flow = || {
        trace.count(|entry| {
            entry.direction == Direction::FromDevice
                && entry.topic.as_deref() == Some("pump-17/flow")
        })
    };
    let example = shared_connection::run(world.port(), world.folder.path());
    let (mut created, mut before) = (false, 0);
    beside(example, || {
        // A job in the middle of telemetry, and telemetry after it.
        if !created && flow() > 0 {
            world.create("pump-17", "job-1", &json!({"operation": "drain"}));
            created = true;
        }
        if !created || world.status("pump-17", "job-1") != "SUCCEEDED" {
            before = flow();
            return false;
        }
        flow() > before
    })
    .await;
    assert_eq!(trace.count(|entry| entry.kind == PacketKind::Connect), 1);
}

#[tokio::test]
async fn a_checkpoint_saves_what_was_done_before_the_crash() {
    let world = World::of(&["pump-17"]).await;
    let notes = world.folder.path();
    let note =
        |valve: u8| std::fs::read_to_string(notes.join(valve.to_string())).unwrap_or_default();
    world.create(
        "pump-17",
        "job-1",
        &json!({"operation": "calibrate", "valves": 5}),
    );
    world.create(
        "pump-17",
        "job-2",
        &json!({"operation": "calibrate", "valves": "all"}),
    );
    // Dropped in the middle, as a crash would.
    let example = checkpoint::run(world.port(), notes);
    beside(example, || !note(2).is_empty()).await;
    let example = checkpoint::run(world.port(), notes);
    beside(example, || world.status("pump-17", "job-2") == "REJECTED").await;
    assert_eq!(world.status("pump-17", "job-1"), "SUCCEEDED");
    for valve in [0, 1, 3, 4] {
        assert_eq!(note(valve), "calibrated\n", "valve {valve}");
    }
    // The crash was between its work and its checkpoint, or after it.
    assert!(note(2).lines().count() <= 2, "{}", note(2));
}

#[tokio::test]
async fn a_gateway_does_the_jobs_of_its_children_over_one_connection() {
    let things = ["child-0", "child-1", "child-2"];
    let world = World::of(&things).await;
    for thing in things {
        world.create(
            thing,
            &format!("job-{thing}"),
            &json!({"operation": "read-meter"}),
        );
    }
    let example = children::run(world.port(), world.folder.path(), 3);
    beside(example, || {
        let done = |thing: &&str| world.status(thing, &format!("job-{thing}")) == "SUCCEEDED";
        things.iter().all(done)
    })
    .await;
    let trace = world.emulator.trace();
    assert_eq!(trace.count(|entry| entry.kind == PacketKind::Connect), 1);
}
