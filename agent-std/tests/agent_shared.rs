//! Agents on a connection that is not theirs alone: lent by a program, or shared on a hub.

mod support;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agent_std::link::borrowed::rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, PublishNotice, PublishOptions, QoS,
};
use agent_std::link::borrowed::{BorrowedLink, LinkFeed, lend};
use agent_std::link::hub::{Hub, THINGS_MAX};
use agent_std::link::{ConfigError, Link, LinkError, LinkEvent, MAX_PACKET_BYTES, Qos, SendError};
use agent_std::store::StorePool;
use agent_std::{Agent, Handlers, Happening, Outcome, Transport};
use jobs_emulator::{Cut, Faults, PacketKind};
use serde_json::{Value, json};
use support::{Broker, connected, disconnected};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use world::{THING, World, agent, agent_of, endpoint, soon, start, until};

const GET: &str = "$aws/things/pump-17/jobs/$next/get";
const NOTIFY: &str = "$aws/things/pump-17/jobs/notify-next";
const OWN: &str = "plant/temperature";

/// A client as a program has it, large enough to be lent.
fn client(port: u16, clean: bool) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("the-program", ("127.0.0.1", port));
    options
        .set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES)
        .set_clean_session(clean);
    AsyncClient::builder(options).capacity(100).build()
}

/// A program that runs its event loop and keeps what is its own.
struct Program {
    client: AsyncClient,
    own: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Program {
    fn lending(port: u16, clean: bool) -> (Self, BorrowedLink) {
        let (client, eventloop) = client(port, clean);
        let (link, feed) = lend(&client, &eventloop).unwrap();
        let (seen, own) = mpsc::unbounded_channel();
        let task = tokio::spawn(poll(eventloop, feed, seen));
        (Self { client, own, task }, link)
    }

    /// A publish of its own, as programs make them.
    fn publish(&self, text: &str) -> PublishNotice {
        self.client
            .try_publish_tracked(OWN, text, PublishOptions::new(QoS::AtLeastOnce))
            .unwrap()
    }
}

async fn poll(mut eventloop: EventLoop, mut feed: LinkFeed, seen: mpsc::UnboundedSender<String>) {
    loop {
        match feed.poll(&mut eventloop).await {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let topic = String::from_utf8_lossy(&publish.topic);
                let text = String::from_utf8_lossy(&publish.payload);
                let _ = seen.send(format!("{topic}={text}"));
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn echoing<T: Transport>(agent: Agent<Handlers, 1, T>) -> Agent<Handlers, 1, T> {
    agent.on("echo", |_: Value, _| async { Outcome::succeeded() })
}

/// A handler that tells that it runs and waits until it may end; counts its runs.
fn gated<T: Transport>(
    agent: Agent<Handlers, 1, T>,
) -> (
    Agent<Handlers, 1, T>,
    Arc<Notify>,
    Arc<Notify>,
    Arc<AtomicU32>,
) {
    let (running, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let runs = Arc::new(AtomicU32::new(0));
    let (tell, wait, count) = (Arc::clone(&running), Arc::clone(&go_on), Arc::clone(&runs));
    let agent = agent.on("gated", move |_: Value, _| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            tell.notify_one();
            wait.notified().await;
            Outcome::succeeded()
        }
    });
    (agent, running, go_on, runs)
}

// The borrowed link, packet by packet.

#[tokio::test]
async fn a_borrowed_publish_is_lost_once_and_forgotten_when_the_session_is_gone() {
    let broker = Broker::start().await;
    let (program, mut link) = Program::lending(broker.port, false);
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let sent = link.publish(GET, b"before", Qos::AtLeastOnce).unwrap();
    assert_eq!(peer.expect_publish().await.payload, b"before");
    drop(peer);
    assert_eq!(soon(link.next()).await, LinkEvent::Lost(sent));
    let (why, permanent) = disconnected(&mut link).await;
    assert!(matches!(why, LinkError::PeerClosed { .. }), "{why}");
    assert!(!permanent);

    let mut peer = broker.welcome(false).await;
    assert!(!connected(&mut link).await);
    let again = link.publish(GET, b"after", Qos::AtLeastOnce).unwrap();
    let publish = peer.expect_publish().await;
    assert_eq!(
        (publish.payload.as_slice(), publish.dup),
        (&b"after"[..], false)
    );
    peer.puback(publish.packet_id).await;
    assert_eq!(soon(link.next()).await, LinkEvent::Acked(again));
    program.task.abort();
}

#[tokio::test]
async fn what_the_library_repeats_in_a_kept_session_is_reported_only_as_lost() {
    let broker = Broker::start().await;
    let (program, mut link) = Program::lending(broker.port, false);
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let sent = link.publish(GET, b"before", Qos::AtLeastOnce).unwrap();
    peer.expect_publish().await;
    drop(peer);
    assert_eq!(soon(link.next()).await, LinkEvent::Lost(sent));
    disconnected(&mut link).await;

    let mut peer = broker.welcome(true).await;
    assert!(connected(&mut link).await);
    let repeated = peer.expect_publish().await;
    assert_eq!(
        (repeated.payload.as_slice(), repeated.dup),
        (&b"before"[..], true),
        "MQTT 3.1.1, 4.4.0-1"
    );
    peer.puback(repeated.packet_id).await;
    let again = link.publish(GET, b"after", Qos::AtLeastOnce).unwrap();
    let publish = peer.expect_publish().await;
    assert_eq!(publish.payload, b"after");
    peer.puback(publish.packet_id).await;
    // The answer to the repetition came first, and is nobody's.
    assert_eq!(soon(link.next()).await, LinkEvent::Acked(again));
    program.task.abort();
}

#[tokio::test]
async fn acknowledgements_settle_the_sends_they_belong_to_the_program_s_and_the_agent_s() {
    let broker = Broker::start().await;
    let (program, mut link) = Program::lending(broker.port, true);
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let (mut mine, mut ours, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..4_u8 {
        mine.push(program.publish("21"));
        ids.push(peer.expect_publish().await.packet_id);
        ours.push(link.publish(GET, &[number], Qos::AtLeastOnce).unwrap());
        ids.push(peer.expect_publish().await.packet_id);
    }
    // The agent's last, then its others, in any order; the program's stay open meanwhile.
    for index in [3, 0, 2, 1] {
        peer.puback(ids[2 * index + 1]).await;
        assert_eq!(soon(link.next()).await, LinkEvent::Acked(ours[index]));
    }
    for (index, notice) in mine.into_iter().enumerate() {
        peer.puback(ids[2 * index]).await;
        soon(notice.wait_async()).await.unwrap();
    }
    program.task.abort();
}

#[tokio::test]
async fn a_borrowed_link_takes_nothing_while_there_is_no_connection() {
    let broker = Broker::start().await;
    let (client, mut eventloop) = client(broker.port, true);
    let (mut link, mut feed) = lend(&client, &eventloop).unwrap();
    let offline = |link: &mut BorrowedLink| {
        link.publish(GET, b"", Qos::AtLeastOnce) == Err(SendError::Offline)
    };
    assert!(offline(&mut link));
    let (peer, up) = tokio::join!(broker.welcome(false), eventloop.poll());
    assert!(!feed.take(&up));
    // Not before the caller was told: it subscribes first.
    assert!(offline(&mut link));
    connected(&mut link).await;
    assert!(link.publish(GET, b"", Qos::AtLeastOnce).is_ok());
    drop(peer);
    loop {
        let polled = soon(eventloop.poll()).await;
        let _ = feed.take(&polled);
        if polled.is_err() {
            break;
        }
    }
    // The feed has heard of the end of the connection, the caller has not yet.
    assert!(offline(&mut link));
}

#[tokio::test]
async fn a_borrowed_link_takes_the_topics_of_its_thing_and_leaves_the_rest() {
    let broker = Broker::start().await;
    let (mut program, mut link) = Program::lending(broker.port, true);
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let invalid = |result| matches!(result, Err(SendError::Invalid { .. }));
    assert!(invalid(link.subscribe(&[OWN])));
    assert!(invalid(link.subscribe(&[])));
    let id = link.subscribe(&[NOTIFY]).unwrap();
    let (packet, _) = peer.expect_subscribe().await;
    peer.suback(packet, &[1]).await;
    let granted = vec![true];
    assert_eq!(soon(link.next()).await, LinkEvent::SubAck { id, granted });
    let others = [
        OWN,
        "$aws/things/pump-18/jobs/notify-next",
        "$aws/things/pump-17/shadow/get",
    ];
    for topic in others {
        peer.publish(topic, 0, b"1").await;
    }
    peer.publish(NOTIFY, 0, b"2").await;
    assert_eq!(
        support::message(&mut link).await,
        (NOTIFY.to_owned(), b"2".to_vec())
    );
    for topic in others {
        assert_eq!(soon(program.own.recv()).await, Some(format!("{topic}=1")));
    }
    program.task.abort();
}

#[tokio::test]
async fn a_program_that_is_thrown_out_again_and_again_has_it_explained_by_its_agent() {
    let broker = Broker::start().await;
    let (program, mut link) = Program::lending(broker.port, true);
    for round in 1..=3 {
        let peer = broker.welcome(false).await;
        connected(&mut link).await;
        drop(peer);
        let (why, _) = disconnected(&mut link).await;
        if round == 3 {
            assert_eq!(why, LinkError::Kicked { times: 3 });
        }
    }
    program.task.abort();
}

#[test]
fn a_client_that_refuses_large_packets_is_not_borrowed() {
    let options = MqttOptions::new("the-program", ("127.0.0.1", 1));
    let (client, eventloop) = AsyncClient::builder(options).build();
    let refused = lend(&client, &eventloop).map(drop).unwrap_err();
    assert!(
        refused.to_string().contains("set_max_packet_size"),
        "{refused}"
    );
}

// The borrowed link, whole jobs.

#[tokio::test]
async fn the_program_s_own_topic_keeps_flowing_during_a_job() {
    let world = World::new().await;
    let (mut program, link) = Program::lending(world.emulator.mqtt_addr().port(), true);
    program
        .client
        .subscribe(OWN, QoS::AtLeastOnce)
        .await
        .unwrap();
    let (agent, running, go_on, _) = gated(agent(link).state_dir(world.state.path()));
    let agent = start(agent);
    world.create("job-1", &json!({"operation": "gated"}));
    soon(running.notified()).await;
    for number in 0..20 {
        let text = number.to_string();
        soon(program.publish(&text).wait_async()).await.unwrap();
        // Nothing of the agent's in between.
        assert_eq!(
            soon(program.own.recv()).await,
            Some(format!("{OWN}={text}"))
        );
    }
    go_on.notify_one();
    world.until("job-1", "SUCCEEDED").await;
    let connects = world
        .emulator
        .trace()
        .count(|entry| entry.kind == PacketKind::Connect);
    assert_eq!(connects, 1, "one connection for both");
    until(|| agent.counts().succeeded == 1, || "not told".into()).await;
    agent.shut_down().await;
    // The agent has gone, the program stays, and gets nothing of what was the agent's.
    world.create("job-2", &json!({"operation": "gated"}));
    soon(program.publish("last").wait_async()).await.unwrap();
    assert_eq!(soon(program.own.recv()).await, Some(format!("{OWN}=last")));
    let unsubscribed = world
        .emulator
        .trace()
        .count(|entry| entry.kind == PacketKind::Unsubscribe);
    assert_eq!(unsubscribed, 1);
    program.task.abort();
}

/// Cuts the connection in the middle of a job, with publishes of the program on their way.
async fn cut_in_the_middle(clean: bool) {
    let world = World::new().await;
    let (program, link) = Program::lending(world.emulator.mqtt_addr().port(), clean);
    let (agent, running, go_on, runs) = gated(agent(link).state_dir(world.state.path()));
    let agent = start(agent);
    world.settled().await;
    let cuts = [Cut::BeforeTaken, Cut::BeforePuback, Cut::AfterPuback];
    world.emulator.set_faults(Faults {
        cuts: cuts.into_iter().map(Some).collect(),
        ..Faults::default()
    });
    let mut own = Vec::new();
    world.create("job-1", &json!({"operation": "gated"}));
    for number in 0..30 {
        own.push(program.publish(&number.to_string()));
        tokio::task::yield_now().await;
    }
    soon(running.notified()).await;
    world.emulator.set_faults(Faults {
        cuts: cuts.into_iter().map(Some).collect(),
        ..Faults::default()
    });
    go_on.notify_one();
    world.until("job-1", "SUCCEEDED").await;
    until(
        || agent.counts().connects >= 4,
        || format!("{:?}", agent.counts()),
    )
    .await;
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    // With a session the program's own are kept for it; without one, it is told of each.
    for notice in own {
        let told = soon(notice.wait_async()).await;
        assert!(clean || told.is_ok(), "{told:?}");
    }
    // A repeated outcome finds its job over, which the agent takes as well as an answer.
    let ended = || agent.counts().succeeded + agent.counts().unreported;
    until(|| ended() == 1, || "not told".into()).await;
    agent.shut_down().await;
    program.task.abort();
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_job_harms_neither_agent_nor_program_in_a_kept_session() {
    cut_in_the_middle(false).await;
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_job_harms_neither_agent_nor_program_in_a_clean_session() {
    cut_in_the_middle(true).await;
}

#[tokio::test]
async fn a_program_that_drops_its_client_leaves_the_job_to_the_next_loan() {
    let world = World::new().await;
    let port = world.emulator.mqtt_addr().port();
    let (program, link) = Program::lending(port, true);
    let (told, mut withdrawn) = mpsc::unbounded_channel();
    let lent = agent(link)
        .state_dir(world.state.path())
        .observe(move |what| {
            if let Happening::Disconnected { why, permanent } = what {
                let _ = told.send(((*why).clone(), *permanent));
            }
        });
    let (lent, running, go_on, runs) = gated(lent);
    let lent = start(lent);
    world.create("job-1", &json!({"operation": "gated"}));
    soon(running.notified()).await;
    // Client, event loop and feed, all at once.
    program.task.abort();
    drop(program);
    assert_eq!(
        soon(withdrawn.recv()).await,
        Some((LinkError::Withdrawn, true))
    );
    // The work goes on without a connection, and ends; nobody can be told.
    go_on.notify_one();
    lent.shut_down().await;
    assert_eq!(world.status("job-1"), "IN_PROGRESS");

    let (program, link) = Program::lending(port, true);
    let (again, _, go_on, more_runs) = gated(agent(link).state_dir(world.state.path()));
    go_on.notify_one();
    let again = start(again);
    world.until("job-1", "SUCCEEDED").await;
    let all = runs.load(Ordering::Relaxed) + more_runs.load(Ordering::Relaxed);
    assert!((1..=2).contains(&all), "{all} runs");
    again.shut_down().await;
    program.task.abort();
}

#[tokio::test]
async fn a_connection_can_be_lent_when_it_is_up_already() {
    let world = World::new().await;
    let (client, mut eventloop) = client(world.emulator.mqtt_addr().port(), true);
    assert!(matches!(
        soon(eventloop.poll()).await,
        Ok(Event::Incoming(Packet::ConnAck(_)))
    ));
    let (link, feed) = lend(&client, &eventloop).unwrap();
    client.subscribe(OWN, QoS::AtLeastOnce).await.unwrap();
    let (seen, _own) = mpsc::unbounded_channel();
    let program = tokio::spawn(poll(eventloop, feed, seen));
    let agent = start(echoing(agent(link).state_dir(world.state.path())));
    world.create("job-1", &json!({"operation": "echo"}));
    world.until("job-1", "SUCCEEDED").await;
    agent.shut_down().await;
    program.abort();
}

// The hub.

#[tokio::test]
async fn agents_on_a_hub_do_their_jobs_side_by_side_on_one_connection() {
    let world = World::new().await;
    let hub = Hub::connect("gateway-1", world.endpoint()).unwrap();
    let pool = StorePool::new(1).unwrap();
    let met = Arc::new(tokio::sync::Barrier::new(3));
    let things = [THING, "pump-18", "pump-19"];
    let mut agents = Vec::new();
    for thing in things {
        if thing != THING {
            world.thing(thing);
        }
        world.create_for(
            thing,
            &format!("job-{thing}"),
            &json!({"operation": "meet"}),
        );
        let met = Arc::clone(&met);
        let agent = agent_of(thing, hub.clone())
            .state_dir(world.state.path().join(thing))
            .store_on(&pool)
            .on("meet", move |_: Value, _| {
                let met = Arc::clone(&met);
                async move {
                    met.wait().await;
                    Outcome::succeeded()
                }
            });
        agents.push(start(agent));
    }
    for (thing, agent) in things.iter().zip(&agents) {
        world
            .until_of(thing, &format!("job-{thing}"), "SUCCEEDED")
            .await;
        until(|| agent.counts().succeeded == 1, || "not told".into()).await;
        assert_eq!(agent.counts().ignored, 0, "a message of somebody else");
    }
    let trace = world.emulator.trace();
    assert_eq!(trace.count(|entry| entry.kind == PacketKind::Connect), 1);
    for agent in agents {
        agent.shut_down().await;
    }
    // The last one turns off the light.
    drop(hub);
    until(
        || trace.count(|entry| entry.kind == PacketKind::Disconnect) == 1,
        || "no DISCONNECT".into(),
    )
    .await;
}

#[tokio::test]
async fn a_cut_on_a_hub_loses_nobody_s_job() {
    let world = World::new().await;
    let hub = Hub::connect("gateway-1", world.endpoint()).unwrap();
    let mut agents = Vec::new();
    let things: Vec<String> = (0..5).map(|nth| format!("child-{nth}")).collect();
    for thing in &things {
        world.thing(thing);
        let state = world.state.path().join(thing);
        agents.push(start(echoing(
            agent_of(thing, hub.clone()).state_dir(state),
        )));
    }
    let every = [Cut::BeforeTaken, Cut::BeforePuback, Cut::AfterPuback];
    world.emulator.set_faults(Faults {
        cuts: every
            .into_iter()
            .flat_map(|cut| [None, Some(cut)])
            .collect(),
        lose_sessions: 1,
        ..Faults::default()
    });
    for thing in &things {
        world.create_for(
            thing,
            &format!("job-{thing}"),
            &json!({"operation": "echo"}),
        );
    }
    for thing in &things {
        world
            .until_of(thing, &format!("job-{thing}"), "SUCCEEDED")
            .await;
    }
    until(
        || agents.iter().all(|agent| agent.counts().connects >= 3),
        || {
            let counts: Vec<_> = agents.iter().map(|agent| agent.counts()).collect();
            format!("somebody was not told of a connection: {counts:?}")
        },
    )
    .await;
    for agent in agents {
        agent.shut_down().await;
    }
}

#[tokio::test]
async fn two_agents_share_the_connection_that_a_program_lends_them() {
    let world = World::new().await;
    world.thing("pump-18");
    let (mut program, link) = Program::lending(world.emulator.mqtt_addr().port(), true);
    program
        .client
        .subscribe(OWN, QoS::AtLeastOnce)
        .await
        .unwrap();
    let hub = Hub::over(link);
    let mut agents = Vec::new();
    for thing in [THING, "pump-18"] {
        let state = world.state.path().join(thing);
        agents.push(start(echoing(
            agent_of(thing, hub.clone()).state_dir(state),
        )));
        world.create_for(
            thing,
            &format!("job-{thing}"),
            &json!({"operation": "echo"}),
        );
    }
    for thing in [THING, "pump-18"] {
        world
            .until_of(thing, &format!("job-{thing}"), "SUCCEEDED")
            .await;
    }
    soon(program.publish("20").wait_async()).await.unwrap();
    assert_eq!(soon(program.own.recv()).await, Some(format!("{OWN}=20")));
    for agent in agents {
        agent.shut_down().await;
    }
    program.task.abort();
}

#[tokio::test]
async fn a_hub_has_room_for_as_many_things_as_aws_takes_subscriptions_and_says_so() {
    let hub = Hub::connect("gateway-1", endpoint(1)).unwrap();
    let mut links: Vec<_> = (0..THINGS_MAX)
        .map(|nth| hub.join(&format!("child-{nth}")).unwrap())
        .collect();
    let full = hub.join("one-more").map(drop).unwrap_err();
    assert_eq!(
        full,
        ConfigError::HubFull {
            things_max: THINGS_MAX
        }
    );
    assert!(full.to_string().contains("another hub"), "{full}");
    let twice = hub.join("child-0").map(drop).unwrap_err();
    assert!(twice.to_string().contains("already"), "{twice}");
    // Who has left may come back, and nobody else in its place.
    drop(links.remove(0));
    assert!(hub.join("one-more").is_err());
    assert!(hub.join("child-0").is_ok());
}

#[tokio::test]
async fn a_member_that_does_not_take_its_messages_loses_its_own_place_only() {
    let world = World::new().await;
    world.thing("pump-18");
    let hub = Hub::connect("gateway-1", world.endpoint()).unwrap();
    let mut lazy = hub.join("pump-18").unwrap();
    connected(&mut lazy).await;
    let id = lazy
        .subscribe(&["$aws/things/pump-18/jobs/notify"])
        .unwrap();
    let granted = vec![true];
    assert_eq!(soon(lazy.next()).await, LinkEvent::SubAck { id, granted });
    for nth in 0..100 {
        world.create_for(
            "pump-18",
            &format!("many-{nth}"),
            &json!({"operation": "echo"}),
        );
    }
    let agent = start(echoing(agent(hub).state_dir(world.state.path())));
    world.create("job-1", &json!({"operation": "echo"}));
    world.until("job-1", "SUCCEEDED").await;
    let mut messages = 0;
    let why = loop {
        match soon(lazy.next()).await {
            LinkEvent::Message { .. } => messages += 1,
            LinkEvent::Disconnected { why, .. } => break why,
            other => panic!("unexpected {other:?}"),
        }
    };
    assert_eq!(why, LinkError::Overrun { held: messages });
    connected(&mut lazy).await;
    assert_eq!(agent.counts().connects, 1, "the other has noticed nothing");
    agent.shut_down().await;
}
