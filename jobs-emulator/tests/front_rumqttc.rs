//! The MQTT client of the agent against the front: a codec nobody here wrote.

mod front_support;

use std::net::SocketAddr;
use std::time::Duration;

use front_support::{add_things, create_job, emulator, topic};
use jobs_emulator::{Cut, Faults, PacketKind};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, PublishOptions, QoS};
use serde_json::Value;

fn client(address: SocketAddr, client_id: &str) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(client_id, (address.ip().to_string(), address.port()));
    options.set_keep_alive(30);
    options.set_clean_session(false);
    options.set_max_packet_size(256 * 1024, 256 * 1024);
    AsyncClient::builder(options).capacity(10).build()
}

/// Runs the client until a packet is the one that is looked for; a broken connection is made anew.
async fn until<T>(events: &mut EventLoop, mut found: impl FnMut(&Packet) -> Option<T>) -> T {
    let search = async {
        loop {
            if let Ok(Event::Incoming(packet)) = events.poll().await
                && let Some(found) = found(&packet)
            {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), search)
        .await
        .expect("the packet arrives")
}

async fn message(events: &mut EventLoop) -> (String, Value) {
    until(events, |packet| match packet {
        Packet::Publish(publish) => Some((
            String::from_utf8(publish.topic.to_vec()).unwrap(),
            serde_json::from_slice(&publish.payload).unwrap(),
        )),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_job_runs_from_notification_to_success() {
    let emulator = emulator(&["t1"]).await;
    let (client, mut events) = client(emulator.mqtt_addr(), "d1");
    client
        .subscribe(topic("t1", "notify-next"), QoS::AtLeastOnce)
        .await
        .unwrap();
    until(&mut events, |packet| {
        matches!(packet, Packet::SubAck(_)).then_some(())
    })
    .await;
    create_job(&emulator, "j1", &["t1"]);
    let (_, told) = message(&mut events).await;
    assert_eq!(told["execution"]["jobId"], "j1");
    for status in ["IN_PROGRESS", "SUCCEEDED"] {
        let body = format!(r#"{{"status":"{status}"}}"#);
        let at_least_once = PublishOptions::new(QoS::AtLeastOnce);
        client
            .publish(topic("t1", "j1/update"), body, at_least_once)
            .await
            .unwrap();
        assert_eq!(
            message(&mut events).await.0,
            topic("t1", "j1/update/accepted")
        );
    }
    let (name, idle) = message(&mut events).await;
    assert_eq!(
        (name, idle.get("execution")),
        (topic("t1", "notify-next"), None)
    );
}

#[tokio::test]
async fn a_publish_cut_before_puback_is_sent_again_with_dup_and_answered_twice() {
    let emulator = emulator(&[]).await;
    add_things(&emulator, &["t1"]);
    let (client, mut events) = client(emulator.mqtt_addr(), "d1");
    // Makes the session that the second connection resumes.
    client
        .subscribe(topic("t1", "notify"), QoS::AtLeastOnce)
        .await
        .unwrap();
    until(&mut events, |packet| {
        matches!(packet, Packet::SubAck(_)).then_some(())
    })
    .await;
    emulator.set_faults(Faults {
        cuts: vec![Some(Cut::BeforePuback)],
        ..Faults::default()
    });
    let body = r#"{"clientToken":"once"}"#;
    let at_least_once = PublishOptions::new(QoS::AtLeastOnce);
    client
        .publish(topic("t1", "get"), body, at_least_once)
        .await
        .unwrap();
    for _ in 0..2 {
        let (name, reply) = message(&mut events).await;
        assert_eq!(
            (name, &reply["clientToken"]),
            (topic("t1", "get/accepted"), &"once".into())
        );
    }
    let again = emulator
        .trace()
        .count(|entry| entry.kind == PacketKind::Publish && entry.dup && entry.packet_id.is_some());
    assert_eq!(again, 1, "the client's, marked as sent before");
    assert_eq!(emulator.trace().publishes_from("d1"), 2);
}
