//! The agent against the emulator over TLS, through bad connections, and what its log tells.

mod support;
mod world;

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use agent_std::link::LinkError;
use agent_std::{Agent, Endpoint, Happening, Job, Outcome};
use jobs_emulator::model::Fault;
use jobs_emulator::{Cut, Emulator, Faults, MessageFaults, Options};
use serde_json::{Value, json};
use support::Broker;
use tracing_subscriber::fmt::MakeWriter;
use world::{THING, World, agent, start, until};

/// Jobs of the storm; more than the slots, so that some wait in the queue meanwhile.
const JOBS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stormy_connection_costs_no_job_and_runs_none_twice() {
    let world = World::new().await;
    let runs: Arc<[AtomicU32; JOBS]> = Arc::default();
    let counted = Arc::clone(&runs);
    let agent = world
        .agent()
        .jobs::<3>()
        .on("work", move |document: Value, job: Job| {
            let runs = Arc::clone(&counted);
            async move {
                let number = usize::try_from(document["number"].as_u64().unwrap()).unwrap();
                runs[number].fetch_add(1, Ordering::Relaxed);
                for step in 0..3_u8 {
                    job.report_percent(step * 30);
                    job.checkpoint(&[step]).await.map_err(|e| e.to_string())?;
                }
                Ok::<_, String>(Outcome::succeeded())
            }
        });
    let agent = start(agent);
    world.settled().await;
    let cuts = [Cut::BeforeTaken, Cut::BeforePuback, Cut::AfterPuback];
    let some = MessageFaults {
        drop: 2,
        duplicate: 3,
        delay: 3,
        delay_ms: 120,
    };
    world.emulator.set_faults(Faults {
        replies: some,
        notifications: some,
        cuts: cuts
            .into_iter()
            .flat_map(|cut| [None, Some(cut), None])
            .collect(),
        lose_sessions: 1,
        ..Faults::default()
    });
    world.emulator.with_service(|service, _| {
        service.set_fault(Fault::Throttle { requests: 1 });
        service.set_fault(Fault::InternalError { requests: 2 });
    });
    for number in 0..JOBS {
        let document = json!({"operation": "work", "number": number});
        world.create(&format!("job-{number}"), &document);
    }
    for number in 0..JOBS {
        world.until(&format!("job-{number}"), "SUCCEEDED").await;
    }
    for (number, runs) in runs.iter().enumerate() {
        assert_eq!(runs.load(Ordering::Relaxed), 1, "runs of job-{number}");
    }
    assert!(agent.counts().connects >= 4, "{:?}", agent.counts());
    agent.shut_down().await;
}

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

async fn with_tls() -> World {
    let free = "127.0.0.1:0".parse().unwrap();
    let options = Options {
        mqtts: Some(free),
        ..Options::default()
    };
    World::on(Emulator::start(options).await.unwrap())
}

/// The files of a certificate that may act for one thing.
fn mtls(world: &World, thing: &str) -> Endpoint {
    let issued = world.emulator.issue_certificate(thing).unwrap();
    let (certificate, key) = issued.expect("TLS is on");
    let dir = world.state.path();
    let (certificate_file, key_file) = (dir.join("device.crt"), dir.join("device.key"));
    std::fs::write(&certificate_file, certificate).unwrap();
    std::fs::write(&key_file, key).unwrap();
    let ca = world.emulator.pki().unwrap().ca.clone();
    let port = world.emulator.mqtts_addr().unwrap().port();
    Endpoint::mtls("127.0.0.1", ca, certificate_file, key_file).port(port)
}

fn echoing(agent: Agent) -> Agent {
    agent.on("echo", |_: Value, _| async { Outcome::succeeded() })
}

#[tokio::test]
async fn a_job_is_done_over_mutual_tls() {
    let world = with_tls().await;
    let endpoint = mtls(&world, THING);
    let agent = start(echoing(agent(endpoint).state_dir(world.state.path())));
    world.create("job-1", &json!({"operation": "echo"}));
    world.until("job-1", "SUCCEEDED").await;
    agent.shut_down().await;
}

#[tokio::test]
async fn a_certificate_of_another_thing_gets_no_job_and_no_error_either() {
    let world = with_tls().await;
    let endpoint = mtls(&world, "pump-99").options(|options| {
        options.backoff.base_ms = 20;
        options.backoff.cap_ms = 50;
        options.backoff.permanent_ms = 100;
    });
    let agent = start(echoing(agent(endpoint).state_dir(world.state.path())));
    world.create("job-1", &json!({"operation": "echo"}));
    until(
        || {
            let trace = world.emulator.trace();
            trace.count(|entry| entry.kind == jobs_emulator::PacketKind::Connect) >= 2
                || trace.count(|entry| entry.kind == jobs_emulator::PacketKind::Subscribe) >= 2
        },
        || "the agent gave up".into(),
    )
    .await;
    assert_eq!(world.status("job-1"), "QUEUED");
    agent.shut_down().await;
}

/// Everything logged by the agent, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_at_any_level_tells_the_secret_of_a_presigned_url() {
    const SECRET: &str = "5ec2e7c0ffee";
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("agent_std=trace")
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    // One thread runs the test and the agent, so this is theirs alone.
    let _quiet = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let url = format!("https://b.s3.amazonaws.com/fw.bin?X-Amz-Signature={SECRET}");
    let failed = url.clone();
    let agent = world
        .agent()
        .on("number", |_: u64, _: Job| async { Outcome::succeeded() })
        .on("boom", panicking(url.clone()))
        .on("fail", move |_: Value, job: Job| {
            let text = format!("cannot read {failed}");
            async move {
                job.checkpoint(text.as_bytes())
                    .await
                    .map_err(|e| e.to_string())?;
                Err::<Outcome, _>(text)
            }
        });
    let agent = start(agent);
    for operation in ["number", "boom", "fail", "nobody"] {
        world.create(operation, &json!({"operation": operation, "url": url}));
    }
    world.until("number", "REJECTED").await;
    world.until("boom", "FAILED").await;
    world.until("fail", "FAILED").await;
    world.until("nobody", "REJECTED").await;
    agent.shut_down().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for told in [
        "job accepted",
        "job not taken",
        "handler panicked",
        "job ended",
    ] {
        assert!(text.contains(told), "{told:?} is not in the log:\n{text}");
    }
    assert!(
        text.contains("https://b.s3.amazonaws.com/fw.bin?[redacted]"),
        "{text}"
    );
    assert!(!text.contains(SECRET), "{text}");
}

/// Panics without the panic hook: that is the program's own, and prints to standard error.
fn panicking(url: String) -> impl Fn(Value, Job) -> std::future::Ready<Outcome> + Send + Sync {
    move |_, _| std::panic::resume_unwind(Box::new(format!("cannot read {url}")))
}
