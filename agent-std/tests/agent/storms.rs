//! The agent against the emulator over TLS, through bad connections, and what its log tells.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::world::{THING, World, agent, start, until};
use agent_std::{Agent, Endpoint, Job, Outcome};
use jobs_emulator::model::Fault;
use jobs_emulator::{Cut, Emulator, Faults, MessageFaults, Options};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

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
