//! A program with a client of its own, which it lends, and the handlers of these tests.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agent_std::link::MAX_PACKET_BYTES;
use agent_std::link::borrowed::rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, PublishNotice, PublishOptions, QoS,
};
use agent_std::link::borrowed::{BorrowedLink, LinkFeed, lend};
use agent_std::{Agent, Handlers, Outcome, Transport};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// A topic of the program's own.
pub const OWN: &str = "plant/temperature";

/// A client as a program has it, large enough to be lent.
pub fn client(port: u16, clean: bool) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("the-program", ("127.0.0.1", port));
    options
        .set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES)
        .set_clean_session(clean);
    AsyncClient::builder(options).capacity(100).build()
}

/// A program that runs its event loop and keeps what is its own.
pub struct Program {
    pub client: AsyncClient,
    pub own: mpsc::UnboundedReceiver<String>,
    pub task: JoinHandle<()>,
}

impl Program {
    pub fn lending(port: u16, clean: bool) -> (Self, BorrowedLink) {
        let (client, eventloop) = client(port, clean);
        let (link, feed) = lend(&client, &eventloop).unwrap();
        let (seen, own) = mpsc::unbounded_channel();
        let task = tokio::spawn(poll(eventloop, feed, seen));
        (Self { client, own, task }, link)
    }

    /// A publish of its own, as programs make them.
    pub fn publish(&self, text: &str) -> PublishNotice {
        self.client
            .try_publish_tracked(OWN, text, PublishOptions::new(QoS::AtLeastOnce))
            .unwrap()
    }
}

pub async fn poll(
    mut eventloop: EventLoop,
    mut feed: LinkFeed,
    seen: mpsc::UnboundedSender<String>,
) {
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

pub fn echoing<T: Transport>(agent: Agent<Handlers, 1, T>) -> Agent<Handlers, 1, T> {
    agent.on("echo", |_: Value, _| async { Outcome::succeeded() })
}

/// A handler that tells that it runs and waits until it may end; counts its runs.
pub fn gated<T: Transport>(
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
