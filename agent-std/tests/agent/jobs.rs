//! The agent against the emulator: what becomes of a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::world::{self, World, start, until};
use agent_std::{Handlers, Job, Outcome, Unclaimed};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Deserialize)]
struct Blink {
    times: u32,
}

async fn blink(document: Blink, _: Job) -> Outcome {
    Outcome::Succeeded(agent_std::Details::new().with("times", &document.times.to_string()))
}

#[tokio::test]
async fn a_happy_job_costs_two_publishes_and_no_subscription() {
    let world = World::new().await;
    let agent = start(world.agent().on("blink", blink));
    world.settled().await;
    world.emulator.trace().clear();
    world.create("job-1", &json!({"operation": "blink", "times": 3}));
    world.until("job-1", "SUCCEEDED").await;
    until(|| agent.counts().succeeded == 1, || "not counted".into()).await;
    assert_eq!(world.detail("job-1", "times"), "3");
    let update = "$aws/things/pump-17/jobs/job-1/update";
    assert_eq!(world.published(), [update, update]);
    assert_eq!(world.subscribed(), [""; 0]);
    agent.shut_down().await;
}

#[tokio::test]
async fn an_operation_nobody_knows_is_rejected_with_a_reason() {
    let world = World::new().await;
    let agent = start(world.agent().on("blink", blink));
    world.create("job-1", &json!({"operation": "dance"}));
    world.until("job-1", "REJECTED").await;
    assert_eq!(world.reason("job-1"), "unsupported operation");
    agent.shut_down().await;
}

#[tokio::test]
async fn an_operation_nobody_knows_is_left_alone_when_configured_so() {
    let world = World::new().await;
    let agent = world
        .agent()
        .configure(|config| config.unclaimed = Unclaimed::Leave);
    let agent = start(agent.on("blink", blink));
    world.create("foreign", &json!({"operation": "dance"}));
    world.create("ours", &json!({"operation": "blink", "times": 1}));
    world.until("ours", "SUCCEEDED").await;
    assert_eq!(world.status("foreign"), "QUEUED");
    agent.shut_down().await;
}

#[tokio::test]
async fn a_document_that_does_not_fit_its_type_is_rejected_with_place_and_reason() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        nested: Blink,
    }
    let world = World::new().await;
    let agent = world
        .agent()
        .on("outer", |_: Outer, _: Job| async { Outcome::succeeded() });
    let agent = start(agent);
    let secret = "https://b.s3.amazonaws.com/fw.bin?X-Amz-Signature=5ec2e7";
    world.create(
        "job-1",
        &json!({"operation": "outer", "nested": {"times": secret}}),
    );
    world.until("job-1", "REJECTED").await;
    let reason = world.reason("job-1");
    assert!(reason.contains("nested.times"), "{reason}");
    assert!(reason.contains("invalid type"), "{reason}");
    assert!(!reason.contains("5ec2e7"), "{reason}");
    agent.shut_down().await;
}

#[tokio::test]
async fn a_cancel_by_force_stops_the_handler() {
    let world = World::new().await;
    let (running, stopped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_running, tell_stopped) = (Arc::clone(&running), Arc::clone(&stopped));
    let agent = world.agent().on("wait", move |_: Value, job: Job| {
        let (running, stopped) = (Arc::clone(&tell_running), Arc::clone(&tell_stopped));
        async move {
            running.notify_one();
            let reason = job.stopped().await;
            // The service says only that the execution is over when it is asked about it.
            use agent_std::StopReason::{Canceled, Over};
            assert!(matches!(reason, Canceled | Over));
            stopped.notify_one();
            Outcome::failed("stopped")
        }
    });
    let agent = start(agent);
    world.create("job-1", &json!({"operation": "wait"}));
    world::soon(running.notified()).await;
    world.cancel("job-1");
    world::soon(stopped.notified()).await;
    until(|| agent.counts().stopped == 1, || "not ended".into()).await;
    assert_eq!(world.status("job-1"), "CANCELED");
    assert_eq!(agent.counts().panics, 0);
    agent.shut_down().await;
}

#[tokio::test]
async fn a_handler_that_does_not_stop_is_dropped_after_the_grace_time() {
    struct Flag(Arc<Notify>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let world = World::new().await;
    let (running, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_running, tell_dropped) = (Arc::clone(&running), Arc::clone(&dropped));
    let agent = world
        .agent()
        .stop_grace_ms(50)
        .on("wait", move |_: Value, _: Job| {
            let (running, flag) = (Arc::clone(&tell_running), Flag(Arc::clone(&tell_dropped)));
            async move {
                let _flag = flag;
                running.notify_one();
                std::future::pending::<Outcome>().await
            }
        });
    let agent = start(agent.on("blink", blink));
    world.create("stubborn", &json!({"operation": "wait"}));
    world::soon(running.notified()).await;
    world.create("next", &json!({"operation": "blink", "times": 1}));
    world.cancel("stubborn");
    world::soon(dropped.notified()).await;
    world.until("next", "SUCCEEDED").await;
    assert_eq!(world.status("stubborn"), "CANCELED");
    agent.shut_down().await;
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_job_and_nothing_else() {
    let world = World::new().await;
    let agent = world.agent().on("boom", |_: Value, _: Job| async {
        if true {
            panic!("no fuel");
        }
        Outcome::succeeded()
    });
    let agent = start(agent.on("blink", blink));
    world.create("job-1", &json!({"operation": "boom"}));
    world.create("job-2", &json!({"operation": "blink", "times": 1}));
    world.until("job-2", "SUCCEEDED").await;
    assert_eq!(world.status("job-1"), "FAILED");
    assert_eq!(world.reason("job-1"), "handler panicked: no fuel");
    assert_eq!(agent.counts().panics, 1);
    agent.shut_down().await;
}

#[tokio::test]
async fn a_result_with_an_error_fails_the_job_without_telling_secrets() {
    let world = World::new().await;
    let agent = world.agent().on("fetch", |_: Value, _: Job| async {
        let url = "https://b.s3.amazonaws.com/fw.bin?X-Amz-Signature=5ec2e7";
        Err::<Outcome, _>(format!("cannot fetch {url}"))
    });
    let agent = start(agent);
    world.create("job-1", &json!({"operation": "fetch"}));
    world.until("job-1", "FAILED").await;
    let reason = world.reason("job-1");
    assert!(reason.starts_with("cannot fetch https://b.s3"), "{reason}");
    assert!(!reason.contains("5ec2e7"), "{reason}");
    agent.shut_down().await;
}

#[tokio::test]
async fn jobs_run_side_by_side_in_as_many_slots_as_given() {
    let world = World::new().await;
    let met = Arc::new(tokio::sync::Barrier::new(3));
    let agent = world
        .agent()
        .jobs::<3>()
        .on("meet", move |_: Value, _: Job| {
            let met = Arc::clone(&met);
            async move {
                met.wait().await;
                Outcome::succeeded()
            }
        });
    let agent = start(agent);
    for job in ["job-1", "job-2", "job-3"] {
        world.create(job, &json!({"operation": "meet"}));
    }
    for job in ["job-1", "job-2", "job-3"] {
        world.until(job, "SUCCEEDED").await;
    }
    agent.shut_down().await;
}

#[tokio::test]
async fn a_document_of_32_kib_arrives_whole() {
    #[derive(Deserialize)]
    struct Text {
        text: String,
    }
    let world = World::new().await;
    let agent = world
        .agent()
        .on("text", |document: Text, _: Job| async move {
            let length = document.text.len().to_string();
            Outcome::Succeeded(agent_std::Details::new().with("length", &length))
        });
    let agent = start(agent);
    // The whole document has the most bytes the service takes.
    let around = json!({"operation": "text", "text": ""}).to_string().len();
    let text = "x".repeat(32 * 1024 - around);
    world.create("job-1", &json!({"operation": "text", "text": text}));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(world.detail("job-1", "length"), text.len().to_string());
    agent.shut_down().await;
}

#[tokio::test]
async fn progress_reaches_the_service_while_the_job_runs() {
    let world = World::new().await;
    let go_on = Arc::new(Notify::new());
    let wait = Arc::clone(&go_on);
    let agent = world.agent().on("slow", move |_: Value, job: Job| {
        let wait = Arc::clone(&wait);
        async move {
            job.report_percent(42);
            wait.notified().await;
            Outcome::succeeded()
        }
    });
    let agent = start(agent);
    world.create("job-1", &json!({"operation": "slow"}));
    until(
        || world.detail("job-1", "progress") == "42",
        || "no progress".into(),
    )
    .await;
    go_on.notify_one();
    world.until("job-1", "SUCCEEDED").await;
    agent.shut_down().await;
}

#[tokio::test]
async fn a_later_handler_for_an_operation_replaces_the_earlier_one() {
    let world = World::new().await;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let handlers = Handlers::new()
        .on("blink", move |_: Value, _: Job| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Outcome::succeeded() }
        })
        .on("blink", blink);
    let agent = start(world.agent().handlers(handlers));
    world.create("job-1", &json!({"operation": "blink", "times": 9}));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(world.detail("job-1", "times"), "9");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    agent.shut_down().await;
}

#[tokio::test]
async fn a_job_over_its_local_time_limit_is_stopped_and_failed() {
    let world = World::new().await;
    let policy = agent_std::RunPolicy {
        time_limit_ms: Some(50),
        ..agent_std::RunPolicy::DEFAULT
    };
    let agent = world
        .agent()
        .on_with("wait", policy, |_: Value, job: Job| async move {
            assert!(
                job.time_left()
                    .is_some_and(|left| left <= Duration::from_millis(50))
            );
            let reason = job.stopped().await;
            Outcome::failed(&format!("{reason:?}"))
        });
    let agent = start(agent);
    world.create("job-1", &json!({"operation": "wait"}));
    world.until("job-1", "FAILED").await;
    assert_eq!(world.reason("job-1"), "TimeLimit");
    agent.shut_down().await;
}

#[tokio::test]
async fn a_handler_that_panics_while_it_is_dropped_disturbs_nobody() {
    struct Clumsy;
    impl Drop for Clumsy {
        fn drop(&mut self) {
            panic!("not even this");
        }
    }
    let world = World::new().await;
    let running = Arc::new(Notify::new());
    let tell = Arc::clone(&running);
    let agent = world
        .agent()
        .stop_grace_ms(0)
        .on("wait", move |_: Value, _: Job| {
            let tell = Arc::clone(&tell);
            async move {
                let _clumsy = Clumsy;
                tell.notify_one();
                std::future::pending::<Outcome>().await
            }
        });
    let agent = start(agent.on("blink", blink));
    world.create("clumsy", &json!({"operation": "wait"}));
    world::soon(running.notified()).await;
    world.cancel("clumsy");
    world.create("next", &json!({"operation": "blink", "times": 1}));
    world.until("next", "SUCCEEDED").await;
    agent.shut_down().await;
}
