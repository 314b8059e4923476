//! A program with an MQTT client of its own lends it to its agent: one connection, one TLS session,
//! one client id for both. Its telemetry and its commands go on as before.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use agent_std::link::MAX_PACKET_BYTES;
use agent_std::link::borrowed::lend;
use agent_std::link::borrowed::rumqttc::{
    AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS,
};
use agent_std::{Agent, Job, Outcome};
use serde_json::Value;

pub(crate) async fn run(port: u16, state: &Path) -> Result<(), Box<dyn Error>> {
    // The program as it was, but for the size of packets: a job document can have 32 KB.
    let mut options = MqttOptions::new("pump-17", ("127.0.0.1", port));
    options.set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
    let (client, mut eventloop) = AsyncClient::builder(options).build();
    client
        .subscribe("pump-17/commands", QoS::AtLeastOnce)
        .await?;
    tokio::spawn(telemetry(client.clone()));

    // New: the agent, on the same connection.
    let (link, mut feed) = lend(&client, &eventloop)?;
    let agent =
        Agent::new("pump-17", link)
            .state_dir(state)
            .on("drain", |_: Value, job: Job| async move {
                println!("{}: draining", job.id());
                Outcome::succeeded()
            });
    tokio::spawn(agent.run());

    loop {
        // Was `eventloop.poll()`: what is the agent's goes to the agent.
        match feed.poll(&mut eventloop).await {
            Ok(Event::Incoming(Packet::Publish(command))) => {
                println!("command: {}", String::from_utf8_lossy(&command.payload));
            }
            Ok(_) => {}
            Err(error) => {
                println!("{error}");
                // With a fleet, wait longer each time and never all at once.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// What the program does all day.
async fn telemetry(client: AsyncClient) {
    loop {
        let options = PublishOptions::new(QoS::AtLeastOnce);
        let sent = client.publish("pump-17/flow", "12.5", options);
        if sent.await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
