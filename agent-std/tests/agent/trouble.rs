//! The agent among many jobs at once, slow answers, twins and packets that break off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use agent_std::link::LinkError;
use agent_std::{Happening, Job, Outcome};
use jobs_emulator::{Faults, MessageFaults};
use serde_json::{Value, json};

use crate::program::echoing;
use crate::support::{self, Broker};
use crate::world::{self, World, agent, start, until};

/// Most jobs of one thing that the service shows to it at a time (AWS IoT developer guide,
/// jobs-comm-notifications): more never run at once, however many slots there are.
const SHOWN: usize = 10;

/// As many jobs at once as there are slots: none ends before all have begun.
async fn side_by_side<const SLOTS: usize>() {
    let world = World::new().await;
    let (begun, _) = tokio::sync::watch::channel(0);
    let agent = world
        .agent()
        .jobs::<SLOTS>()
        .on("meet", move |_: Value, job: Job| {
            let begun = begun.clone();
            async move {
                job.checkpoint(b"here").await.map_err(|e| e.to_string())?;
                begun.send_modify(|begun| *begun += 1);
                let all = begun
                    .subscribe()
                    .wait_for(|begun| *begun >= SLOTS.min(SHOWN))
                    .await
                    .is_ok();
                assert!(all);
                Ok::<_, String>(Outcome::succeeded())
            }
        });
    let agent = start(agent);
    let jobs: Vec<String> = (0..SLOTS).map(|number| format!("job-{number}")).collect();
    for job in &jobs {
        world.create(job, &json!({"operation": "meet"}));
    }
    for job in &jobs {
        world.until(job, "SUCCEEDED").await;
    }
    let all = u64::try_from(SLOTS).unwrap();
    until(|| agent.counts().succeeded == all, || "not told".into()).await;
    agent.shut_down().await;
}

#[tokio::test]
async fn one_four_and_sixteen_jobs_run_at_once() {
    side_by_side::<1>().await;
    side_by_side::<4>().await;
    side_by_side::<16>().await;
}

#[tokio::test]
async fn answers_that_come_late_twice_and_out_of_order_do_a_job_once() {
    let world = World::new().await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    // An answer is given up long before a late one comes, so that it meets its repetition.
    let agent = world
        .agent()
        .configure(|config| config.reply_timeout_ms = 60)
        .on("work", move |_: Value, job: Job| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                job.checkpoint(b"half").await.map_err(|e| e.to_string())?;
                Ok::<_, String>(Outcome::succeeded())
            }
        });
    let agent = start(agent);
    world.settled().await;
    world.emulator.set_faults(Faults {
        replies: MessageFaults {
            drop: 0,
            duplicate: 2,
            delay: 4,
            delay_ms: 200,
        },
        notifications: MessageFaults {
            drop: 0,
            duplicate: 2,
            delay: 2,
            delay_ms: 200,
        },
        ..Faults::default()
    });
    for number in 0..4 {
        world.create(&format!("job-{number}"), &json!({"operation": "work"}));
    }
    for number in 0..4 {
        world.until(&format!("job-{number}"), "SUCCEEDED").await;
    }
    let ended = || agent.counts().succeeded + agent.counts().unreported;
    until(|| ended() == 4, || format!("{:?}", agent.counts())).await;
    assert_eq!(runs.load(Ordering::Relaxed), 4);
    assert_eq!(
        world.emulator.faults(),
        Faults {
            replies: MessageFaults {
                delay_ms: 200,
                ..MessageFaults::default()
            },
            notifications: MessageFaults {
                delay_ms: 200,
                ..MessageFaults::default()
            },
            ..Faults::default()
        },
        "every fault has happened"
    );
    agent.shut_down().await;
}

#[tokio::test]
async fn two_agents_with_one_client_id_are_told_what_is_the_matter() {
    let world = World::new().await;
    let endpoint = || {
        world.endpoint().client_id("twin").options(|options| {
            // The waits between attempts grow to this, so that the twins do not hammer the broker.
            options.backoff.cap_ms = 400;
        })
    };
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let twins = ["one", "two"].map(|state| {
        let told = told.clone();
        let agent = agent(endpoint()).state_dir(world.state.path().join(state));
        start(echoing(agent).observe(move |what| {
            if let Happening::Disconnected {
                why: why @ LinkError::Kicked { .. },
                ..
            } = what
            {
                let _ = told.send(why.to_string());
            }
        }))
    });
    let why = world::soon(heard.recv()).await.unwrap();
    assert!(
        why.contains("another client uses the same client id"),
        "{why}"
    );
    assert!(why.contains("DUPLICATE_CLIENTID"), "{why}");
    let kicked = || twins.iter().map(|twin| twin.counts().kicked).sum::<u64>();
    until(|| kicked() > 0, || "not counted".into()).await;
    // They go on, and so does the work, until somebody gives one of them another name.
    world.create("job-1", &json!({"operation": "echo"}));
    world.until("job-1", "SUCCEEDED").await;
    for twin in twins {
        twin.kill().await;
    }
}

#[tokio::test]
async fn a_broker_that_closes_in_the_middle_of_a_packet_is_asked_again() {
    let broker = Broker::start().await;
    let state = tempfile::tempdir().unwrap();
    let agent = start(echoing(
        agent(world::endpoint(broker.port)).state_dir(state.path()),
    ));
    let offer = json!({"timestamp": 1, "execution": {
        "jobId": "j", "status": "QUEUED", "queuedAt": 1, "lastUpdatedAt": 1, "versionNumber": 1,
        "executionNumber": 1, "jobDocument": {"operation": "echo"},
    }});
    let offer = offer.to_string();
    let topic = "$aws/things/pump-17/jobs/notify-next";
    let mut packet = support::publish_bytes(topic, 0, offer.as_bytes());
    let whole = packet.len();
    // In the length, in the topic, in the payload, before the last byte.
    for cut_at in [2, 9, whole / 2, whole - 1] {
        let mut peer = broker.welcome(true).await;
        let (id, _) = peer.expect_subscribe().await;
        peer.suback(id, &[1, 1]).await;
        peer.expect_publish().await;
        peer.raw(&packet[..cut_at]).await;
    }
    let mut peer = broker.welcome(true).await;
    let (id, _) = peer.expect_subscribe().await;
    peer.suback(id, &[1, 1]).await;
    peer.expect_publish().await;
    packet.extend_from_slice(&packet.clone());
    // Whole, in two pieces, and twice: taken once.
    peer.raw(&packet[..whole / 3]).await;
    peer.raw(&packet[whole / 3..]).await;
    let claimed = peer.expect_publish().await;
    assert_eq!(claimed.topic, "$aws/things/pump-17/jobs/j/update");
    assert_eq!(agent.counts().panics, 0);
    agent.kill().await;
}
