//! An agent on a connection that a program lends: what becomes of jobs, and of what is the program's.

use std::sync::atomic::Ordering;

use agent_std::Happening;
use agent_std::link::LinkError;
use agent_std::link::borrowed::lend;
use agent_std::link::borrowed::rumqttc::{Event, Packet, QoS};
use jobs_emulator::{Cut, Faults, PacketKind};
use serde_json::json;
use tokio::sync::mpsc;

use crate::program::{OWN, Program, client, echoing, gated, poll};
use crate::world::{World, agent, soon, start, until};

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
