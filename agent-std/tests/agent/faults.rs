//! The agent among brokers, messages and neighbours that are not what they should be.

use crate::support::Broker;
use crate::world::{self, THING, World, agent, endpoint, soon, start, until};
use agent_std::{Agent, AgentError, Checkpoint, JobHandler, JobPort, NoRoute, Outcome, RunPolicy};
use jobs_agent_core::{Offer, OperationTag, Refusal};
use jobs_emulator::model::{Audience, Message};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A static handler, as it would run on a board too.
#[derive(Clone, Copy)]
struct Echo;

impl JobHandler for Echo {
    type Plan = u64;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, u64), Refusal> {
        let times = offer.document.u64_field("times");
        Ok((OperationTag::of("echo"), times.unwrap_or(1)))
    }

    fn policy(&self, _: OperationTag, _: &u64) -> RunPolicy {
        RunPolicy::DEFAULT
    }

    async fn run<P: JobPort>(&self, times: u64, port: &mut P) -> Outcome {
        let at = Checkpoint::new(&times.to_le_bytes()).unwrap();
        match port.checkpoint(at).await {
            Ok(()) => Outcome::succeeded(),
            Err(stopped) => Outcome::failed(&format!("{stopped:?}")),
        }
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        _: Option<u64>,
        _: &mut P,
    ) -> Outcome {
        Outcome::succeeded()
    }
}

#[tokio::test]
async fn static_handlers_run_and_their_agent_can_be_spawned() {
    let world = World::new().await;
    let agent = world
        .agent()
        .handlers(NoRoute.on("echo", Echo).on("again", Echo));
    let metrics = agent.metrics();
    let agent = world::start_future(metrics, agent.jobs::<2>().run());
    world.create("job-1", &json!({"operation": "echo", "times": 2}));
    world.create("job-2", &json!({"operation": "again"}));
    world.until("job-1", "SUCCEEDED").await;
    world.until("job-2", "SUCCEEDED").await;
    agent.kill().await;
}

#[tokio::test]
async fn a_handler_that_panics_while_deciding_rejects_the_job() {
    struct Hasty;
    impl JobHandler for Hasty {
        type Plan = ();

        fn plan(&self, _: &Offer<'_>) -> Result<(OperationTag, ()), Refusal> {
            panic!("no such table")
        }

        async fn run<P: JobPort>(&self, (): (), _: &mut P) -> Outcome {
            Outcome::succeeded()
        }

        async fn resume<P: JobPort>(
            &self,
            _: OperationTag,
            _: &Checkpoint,
            _: Option<()>,
            _: &mut P,
        ) -> Outcome {
            Outcome::succeeded()
        }
    }
    let world = World::new().await;
    let agent = world
        .agent()
        .handlers(NoRoute.on("hasty", Hasty).on("echo", Echo));
    let metrics = agent.metrics();
    let agent = world::start_future(metrics, agent.run());
    world.create("job-1", &json!({"operation": "hasty"}));
    world.create("job-2", &json!({"operation": "echo"}));
    world.until("job-2", "SUCCEEDED").await;
    assert_eq!(world.status("job-1"), "REJECTED");
    let reason = world.reason("job-1");
    assert_eq!(reason, "handler panicked while deciding: no such table");
    agent.kill().await;
}

fn echoing(agent: Agent) -> Agent {
    agent.on("echo", |_: Value, _| async { Outcome::succeeded() })
}

#[tokio::test]
async fn a_broker_that_comes_up_late_is_found() {
    // Takes the port and lets it go: nothing listens there at first.
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let state = tempfile::tempdir().unwrap();
    let agent = start(echoing(agent(endpoint(port)).state_dir(state.path())));
    // A first attempt fails in between or not: both are fine.
    let broker = Broker::on(&format!("127.0.0.1:{port}")).await;
    let mut peer = broker.welcome(false).await;
    let (packet, filters) = peer.expect_subscribe().await;
    assert_eq!(filters.len(), 2);
    peer.suback(packet, &[1, 1]).await;
    let asked = peer.expect_publish().await;
    assert_eq!(asked.topic, "$aws/things/pump-17/jobs/$next/get");
    agent.kill().await;
}

#[tokio::test]
async fn a_refused_subscription_is_asked_for_again_and_the_queue_is_asked_meanwhile() {
    let broker = Broker::start().await;
    let state = tempfile::tempdir().unwrap();
    let agent = start(echoing(
        agent(endpoint(broker.port)).state_dir(state.path()),
    ));
    let mut peer = broker.welcome(false).await;
    // Nothing is requested before the first answer; then replies need no subscription.
    let (packet, _) = peer.expect_subscribe().await;
    peer.suback(packet, &[1, 0x80]).await;
    let asked = peer.expect_publish().await;
    assert_eq!(asked.topic, "$aws/things/pump-17/jobs/$next/get");
    for codes in [[0x80, 1], [1, 1]] {
        let (packet, _) = peer.expect_subscribe().await;
        peer.suback(packet, &codes).await;
    }
    agent.kill().await;
}

#[tokio::test]
async fn a_request_that_a_cut_swallowed_is_sent_again_on_the_next_connection() {
    let broker = Broker::start().await;
    let state = tempfile::tempdir().unwrap();
    let agent = start(echoing(
        agent(endpoint(broker.port)).state_dir(state.path()),
    ));
    for _ in 0..2 {
        let mut peer = broker.welcome(true).await;
        let (packet, _) = peer.expect_subscribe().await;
        peer.suback(packet, &[1, 1]).await;
        let asked = peer.expect_publish().await;
        assert_eq!(asked.topic, "$aws/things/pump-17/jobs/$next/get");
        assert!(!asked.dup);
        drop(peer);
    }
    until(|| agent.counts().connects == 2, || "not counted".into()).await;
    agent.kill().await;
}

#[tokio::test]
async fn messages_of_other_things_and_topics_change_nothing() {
    let broker = Broker::start().await;
    let state = tempfile::tempdir().unwrap();
    let agent = start(echoing(
        agent(endpoint(broker.port)).state_dir(state.path()),
    ));
    let mut peer = broker.welcome(false).await;
    let (packet, _) = peer.expect_subscribe().await;
    peer.suback(packet, &[1, 1]).await;
    let asked = peer.expect_publish().await;
    peer.puback(asked.packet_id).await;
    let offer = json!({"timestamp": 1, "execution": {
        "jobId": "j", "status": "QUEUED", "queuedAt": 1, "lastUpdatedAt": 1, "versionNumber": 1,
        "executionNumber": 1, "jobDocument": {"operation": "echo"},
    }});
    let offer = offer.to_string();
    let foreign = [
        "$aws/things/other/jobs/notify-next",
        "$aws/things/pump-17/shadow/update/accepted",
        "$aws/things/pump-17/jobs/j/update/accepted/extra",
        "$aws/things/pump-17/jobs",
        "a",
    ];
    for topic in foreign {
        peer.publish(topic, 0, offer.as_bytes()).await;
    }
    let ignored = u64::try_from(foreign.len()).unwrap();
    until(
        || agent.counts().ignored == ignored,
        || format!("{:?}", agent.counts()),
    )
    .await;
    // Ours is taken: the next packet is the claim.
    peer.publish("$aws/things/pump-17/jobs/notify-next", 0, offer.as_bytes())
        .await;
    let claimed = peer.expect_publish().await;
    assert_eq!(claimed.topic, "$aws/things/pump-17/jobs/j/update");
    agent.kill().await;
}

/// Delivers bytes to the agent as if the service had sent them.
fn inject(world: &World, topic: &str, payload: impl Into<Vec<u8>>) {
    let message = Message {
        audience: Audience::Subscribers,
        topic: format!("$aws/things/{THING}/jobs/{topic}"),
        payload: payload.into(),
    };
    world.emulator.with_service(|_, _| vec![message]);
}

#[tokio::test]
async fn hostile_messages_do_not_keep_the_next_job_from_succeeding() {
    let world = World::new().await;
    let agent = world
        .agent()
        .configure(|config| config.subscribe_replies = true);
    let agent = start(echoing(agent));
    world.settled().await;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let unknown = json!({"timestamp": 1, "execution": {
        "jobId": "nobody-made-me", "status": "QUEUED", "queuedAt": 1, "lastUpdatedAt": 1,
        "versionNumber": 1, "executionNumber": 1, "jobDocument": {"operation": "echo"},
    }});
    let unknown = unknown.to_string();
    for topic in [
        "notify",
        "notify-next",
        "$next/get/accepted",
        "x/update/rejected",
    ] {
        inject(&world, topic, "");
        inject(&world, topic, "{");
        inject(&world, topic, "null");
        inject(&world, topic, b"\xff\xfe\x00\x80".to_vec());
        inject(&world, topic, deep.clone());
        inject(&world, topic, format!("{{\"execution\":{deep}}}"));
        inject(&world, topic, &unknown.as_bytes()[..unknown.len() / 2]);
        inject(&world, topic, unknown.clone());
    }
    world.create("job-1", &json!({"operation": "echo"}));
    world.until("job-1", "SUCCEEDED").await;
    assert_eq!(agent.counts().panics, 0);
    assert!(agent.counts().ignored > 10, "{:?}", agent.counts());
    agent.shut_down().await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_rejected_and_the_next_job_runs() {
    let world = World::new().await;
    let agent = start(echoing(world.agent()));
    // Deeper than the agent follows, and not deeper than the service allows.
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    world.create("deep", &json!({"operation": "echo", "deep": deep}));
    world.create("next", &json!({"operation": "echo"}));
    world.until("next", "SUCCEEDED").await;
    assert_eq!(world.status("deep"), "REJECTED");
    let reason = world.reason("deep");
    assert!(reason.starts_with("job document unreadable"), "{reason}");
    agent.shut_down().await;
}

#[tokio::test]
async fn a_wrong_thing_name_is_refused_before_anything_happens() {
    let refused = Agent::new("two words", endpoint(1)).run().await;
    assert!(
        matches!(refused, Err(AgentError::Thing { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_an_error_with_its_path() {
    let state = tempfile::tempdir().unwrap();
    let nowhere = agent_std::Endpoint::mtls("localhost", "/no/ca", "/no/cert", "/no/key");
    let refused = soon(agent(nowhere).state_dir(state.path()).run()).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("/no/"), "{text}");
}

#[tokio::test]
async fn two_agents_of_one_process_do_not_disturb_each_other() {
    let world = World::new().await;
    world
        .emulator
        .with_service(|service, now_ms| service.create_thing(now_ms, "pump-18"))
        .unwrap();
    let other_state = tempfile::tempdir().unwrap();
    let one = start(echoing(world.agent()));
    let other = Agent::new("pump-18", world.endpoint()).state_dir(other_state.path());
    let other = start(echoing(other));
    world.create("job-1", &json!({"operation": "echo"}));
    world.until("job-1", "SUCCEEDED").await;
    until(|| other.counts().connects == 1, || "not connected".into()).await;
    assert_eq!(other.counts().succeeded, 0);
    assert_eq!(one.counts().connects, 1);
    one.shut_down().await;
    other.shut_down().await;
}

#[tokio::test]
async fn the_run_of_many_slots_is_a_small_future_and_works() {
    /// Bytes; runs are moved about by value before they are spawned.
    const SMALL: usize = 8 * 1024;
    let world = World::new().await;
    let agent = echoing(world.agent()).jobs::<32>();
    let metrics = agent.metrics();
    let run = agent.run();
    assert!(size_of_val(&run) < SMALL, "{} bytes", size_of_val(&run));
    let agent = world::start_future(metrics, run);
    world.create("job-1", &json!({"operation": "echo"}));
    world.until("job-1", "SUCCEEDED").await;
    agent.kill().await;
}
