//! Many agents on one connection.

use std::sync::Arc;

use agent_std::Outcome;
use agent_std::link::borrowed::rumqttc::QoS;
use agent_std::link::hub::{Hub, THINGS_MAX};
use agent_std::link::{ConfigError, Link, LinkError, LinkEvent};
use agent_std::store::StorePool;
use jobs_emulator::{Cut, Faults, PacketKind};
use serde_json::{Value, json};

use crate::program::{OWN, Program, echoing};
use crate::support::connected;
use crate::world::{THING, World, agent, agent_of, endpoint, soon, start, until};

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
    until(
        || agents.iter().all(|agent| agent.counts().connects == 1),
        || "somebody was not told of the connection".into(),
    )
    .await;
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
        // An agent that is slow to hear hears of two cuts as one.
        || agents.iter().all(|agent| agent.counts().connects >= 2),
        || {
            let counts: Vec<_> = agents.iter().map(|agent| agent.counts()).collect();
            format!("somebody was not told of a connection: {counts:?}")
        },
    )
    .await;
    let trace = world.emulator.trace();
    assert_eq!(trace.count(|entry| entry.kind == PacketKind::Connect), 4);
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
