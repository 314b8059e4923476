//! What becomes of a job over HTTPS.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use agent_std::link::BackoffOptions;
use agent_std::link::https::PollOptions;
use agent_std::{Agent, Checkpoint, Details, Handlers, HttpsEndpoint, Job, Outcome};
use jobs_emulator::model::Fault;
use jobs_emulator::{Cut, Emulator, Faults, Options};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::world::{THING, World, quick, soon, start, until};

/// Looks so often that a test need not wait.
pub(crate) fn poll(ms: u64) -> PollOptions {
    PollOptions {
        busy_ms: ms,
        idle_ms: ms,
    }
}

/// An emulator with the plain data plane.
pub(crate) async fn https() -> Emulator {
    let options = Options {
        data_http: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    };
    Emulator::start(options).await.unwrap()
}

/// An emulator with the data plane over mutual TLS.
pub(crate) async fn secure() -> Emulator {
    let options = Options {
        data_https: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    };
    Emulator::start(options).await.unwrap()
}

type Device = Agent<Handlers, 1, HttpsEndpoint>;

/// An agent that looks every 50 ms.
fn agent(world: &World) -> Device {
    let port = world.emulator.data_http_addr().unwrap().port();
    let endpoint = HttpsEndpoint::plain("127.0.0.1", port)
        .poll(poll(50))
        .options(|options| {
            options.backoff = BackoffOptions {
                base_ms: 20,
                cap_ms: 50,
                permanent_ms: 100,
            };
        });
    quick(Agent::new(THING, endpoint)).state_dir(world.state.path())
}

/// Method, path and status of all requests so far.
fn asked(world: &World) -> Vec<String> {
    let asked = world.emulator.trace().data_requests();
    let line = |request: jobs_emulator::DataRequest| {
        let path = request.target.split('?').next().unwrap().to_owned();
        let path = path.trim_start_matches("/things/pump-17/").to_owned();
        format!("{} {path} {}", request.method, request.status)
    };
    asked.into_iter().map(line).collect()
}

#[tokio::test]
async fn a_happy_job_costs_four_requests_on_one_connection() {
    let world = World::on(secure().await);
    let (at, pki) = (
        world.emulator.data_https_addr().unwrap(),
        world.emulator.pki().unwrap(),
    );
    let endpoint = HttpsEndpoint::mtls("127.0.0.1", &pki.ca, &pki.cert, &pki.key)
        .port(at.port())
        // The job is there before the agent: one look, which is its first question, finds it.
        .poll(poll(600_000));
    let agent = quick(Agent::new(THING, endpoint)).state_dir(world.state.path());
    world.create("job-1", &json!({"operation": "blink", "times": 3}));
    let agent = start(agent.on("blink", |document: Value, _: Job| async move {
        Outcome::Succeeded(Details::new().with("times", &document["times"].to_string()))
    }));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(world.detail("job-1", "times"), "3");
    let wanted = [
        // The service takes us.
        "GET jobs 200",
        "GET jobs/$next 200",
        "POST jobs/job-1 200",
        "POST jobs/job-1 200",
        // Is there another one?
        "GET jobs/$next 200",
    ];
    until(
        || asked(&world).len() >= 5,
        || format!("{:?}", asked(&world)),
    )
    .await;
    assert_eq!(asked(&world), wanted);
    let connections: std::collections::BTreeSet<_> = world
        .emulator
        .trace()
        .data_requests()
        .into_iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections.len(), 1);
    agent.shut_down().await;
}

#[tokio::test]
async fn a_job_that_comes_later_is_found_by_a_look_and_asked_for_once() {
    let world = World::on(https().await);
    let agent = start(agent(&world).on("blink", |_: Value, _: Job| async { Outcome::succeeded() }));
    until(|| asked(&world).len() > 4, || "no look".into()).await;
    world.create("job-1", &json!({"operation": "blink"}));
    world.until("job-1", "SUCCEEDED").await;
    let asked = asked(&world);
    let count = |line: &str| asked.iter().filter(|other| *other == line).count();
    assert_eq!(count("GET jobs/job-1 200"), 1, "{asked:?}");
    assert_eq!(count("POST jobs/job-1 200"), 2, "{asked:?}");
    agent.shut_down().await;
}

#[tokio::test]
async fn a_cancel_reaches_the_running_handler_within_a_look() {
    let world = World::on(https().await);
    let (running, stopped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_running, tell_stopped) = (Arc::clone(&running), Arc::clone(&stopped));
    let agent = start(agent(&world).on("wait", move |_: Value, job: Job| {
        let (running, stopped) = (Arc::clone(&tell_running), Arc::clone(&tell_stopped));
        async move {
            running.notify_one();
            job.stopped().await;
            stopped.notify_one();
            Outcome::failed("stopped")
        }
    }));
    world.create("job-1", &json!({"operation": "wait"}));
    soon(running.notified()).await;
    world.cancel("job-1");
    soon(stopped.notified()).await;
    until(|| agent.counts().stopped == 1, || "not ended".into()).await;
    assert_eq!(world.status("job-1"), "CANCELED");
    agent.shut_down().await;
}

/// The first run makes a checkpoint and stays there; the next one ends from it.
fn halves(agent: Device, half: &Arc<Notify>, runs: &Arc<Mutex<Vec<String>>>) -> Device {
    let (half, runs) = (Arc::clone(half), Arc::clone(runs));
    agent.on("work", move |_: Value, job: Job| {
        let (half, runs) = (Arc::clone(&half), Arc::clone(&runs));
        async move {
            let from = job
                .resumed_from()
                .map(Checkpoint::bytes)
                .unwrap_or_default();
            let from = String::from_utf8_lossy(from).into_owned();
            runs.lock().unwrap().push(from.clone());
            if from.is_empty() {
                job.checkpoint(b"half").await.map_err(|e| e.to_string())?;
                half.notify_one();
                std::future::pending::<()>().await;
            }
            Ok::<_, String>(Outcome::succeeded())
        }
    })
}

#[tokio::test]
async fn a_killed_agent_goes_on_where_it_was() {
    let world = World::on(https().await);
    let (half, runs) = (Arc::new(Notify::new()), Arc::new(Mutex::default()));
    let first = start(halves(agent(&world), &half, &runs));
    world.create("job-1", &json!({"operation": "work"}));
    soon(half.notified()).await;
    first.kill().await;
    assert_eq!(world.status("job-1"), "IN_PROGRESS");
    let second = start(halves(agent(&world), &half, &runs));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(*runs.lock().unwrap(), ["", "half"]);
    second.shut_down().await;
}

/// An agent that counts how often its handler ran.
fn counting(world: &World) -> (Device, Arc<AtomicU32>) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let agent = agent(world).on("count", move |_: Value, _: Job| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Outcome::succeeded() }
    });
    // A lost word is said again at once.
    let agent = agent.configure(|config| {
        config.throttled.base_ms = 20;
        config.throttled.cap_ms = 100;
    });
    (agent, runs)
}

#[tokio::test]
async fn a_service_in_trouble_delays_a_job_and_does_not_repeat_it() {
    let world = World::on(https().await);
    let (agent, runs) = counting(&world);
    let agent = start(agent);
    until(|| asked(&world).len() > 2, || "no look".into()).await;
    for (job, fault) in [
        ("job-1", Fault::Throttle { requests: 5 }),
        ("job-2", Fault::InternalError { requests: 5 }),
        ("job-3", Fault::ReadLag { reads: 3 }),
    ] {
        world
            .emulator
            .with_service(|service, _| service.set_fault(fault));
        world.create(job, &json!({"operation": "count"}));
        world.until(job, "SUCCEEDED").await;
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    agent.shut_down().await;
}

#[tokio::test]
async fn answers_lost_on_the_way_never_run_a_job_twice() {
    const JOBS: usize = 3;
    let world = World::on(https().await);
    // Every other request is cut, in turn before and after the service acts on it.
    let cuts = [Some(Cut::BeforeTaken), None, Some(Cut::AfterPuback), None];
    let cuts = cuts.iter().copied().cycle().take(400).collect();
    world.emulator.set_faults(Faults {
        cuts,
        ..Faults::default()
    });
    let (agent, runs) = counting(&world);
    for job in 0..JOBS {
        world.create(&format!("job-{job}"), &json!({"operation": "count"}));
    }
    let agent = start(agent);
    for job in 0..JOBS {
        world.until(&format!("job-{job}"), "SUCCEEDED").await;
    }
    assert_eq!(runs.load(Ordering::Relaxed), u32::try_from(JOBS).unwrap());
    let cut = asked(&world)
        .iter()
        .filter(|line| line.ends_with(" 0"))
        .count();
    assert!(cut >= 5, "{cut} requests were cut");
    agent.shut_down().await;
}

#[tokio::test]
async fn a_document_of_32_kib_full_of_quotes_arrives_whole() {
    let world = World::on(https().await);
    let agent = start(
        agent(&world).on("text", |document: Value, _: Job| async move {
            let length = document["text"].as_str().unwrap_or_default().len();
            Outcome::Succeeded(Details::new().with("length", &length.to_string()))
        }),
    );
    let around = json!({"operation": "text", "text": ""}).to_string().len();
    // Each is two bytes of the document, and four on the way.
    let text = "\"".repeat((32 * 1_024 - around) / 2);
    world.create("job-1", &json!({"operation": "text", "text": text}));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(world.detail("job-1", "length"), text.len().to_string());
    agent.shut_down().await;
}
