//! Faults on the way between the service and a device.

mod front_support;

use front_support::{Client, Hello, create_job, emulator, topic};
use jobs_emulator::{Cut, Faults, MessageFaults};
use serde_json::json;

#[tokio::test]
async fn a_dropped_reply_never_arrives_and_the_next_one_does() {
    let emulator = emulator(&["t1"]).await;
    let replies = MessageFaults {
        drop: 1,
        ..MessageFaults::default()
    };
    emulator.set_faults(Faults {
        replies,
        ..Faults::default()
    });
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.publish_acked(&topic("t1", "get"), b"{}").await;
    device.expect_silence().await;
    device.request(&topic("t1", "get"), json!({})).await;
    assert_eq!(emulator.faults(), Faults::default(), "used up");
}

#[tokio::test]
async fn a_duplicated_notification_arrives_twice() {
    let emulator = emulator(&["t1"]).await;
    let notifications = MessageFaults {
        duplicate: 1,
        ..MessageFaults::default()
    };
    emulator.set_faults(Faults {
        notifications,
        ..Faults::default()
    });
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.subscribe(&[&topic("t1", "notify")], 1).await;
    create_job(&emulator, "j1", &["t1"]);
    let (one, two) = (device.message().await, device.message().await);
    assert_eq!(one.payload, two.payload);
    assert_ne!(
        one.packet_id, two.packet_id,
        "two messages, not one sent again"
    );
    device.expect_silence().await;
}

#[tokio::test]
async fn a_delayed_reply_is_overtaken_and_comes_when_its_time_has_passed() {
    let emulator = emulator(&["t1"]).await;
    let replies = MessageFaults {
        delay: 1,
        delay_ms: 500,
        ..MessageFaults::default()
    };
    emulator.set_faults(Faults {
        replies,
        ..Faults::default()
    });
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device
        .publish_acked(&topic("t1", "get"), br#"{"clientToken":"late"}"#)
        .await;
    let reply = device
        .request(&topic("t1", "get"), json!({"clientToken": "next"}))
        .await;
    assert_eq!(reply.json()["clientToken"], "next");
    emulator.advance_ms(499);
    device.expect_silence().await;
    emulator.advance_ms(1);
    assert_eq!(device.message().await.json()["clientToken"], "late");
}

#[tokio::test]
async fn a_cut_before_puback_may_or_may_not_have_been_taken() {
    for (cut, version) in [(Cut::BeforeTaken, 1), (Cut::BeforePuback, 2)] {
        let emulator = emulator(&["t1"]).await;
        create_job(&emulator, "j1", &["t1"]);
        emulator.set_faults(Faults {
            cuts: vec![Some(cut)],
            ..Faults::default()
        });
        let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
        device.publish_qos1(&topic("t1", "start-next"), b"{}").await;
        device.expect_closed().await;
        let seen = emulator.service().execution("t1", "j1", None).unwrap();
        assert_eq!(seen.version_number, version, "{cut:?}");
    }
}

#[tokio::test]
async fn a_reply_cut_off_after_puback_waits_in_a_persistent_session() {
    let emulator = emulator(&["t1"]).await;
    emulator.set_faults(Faults {
        cuts: vec![None, Some(Cut::AfterPuback)],
        ..Faults::default()
    });
    let hello = Hello::resuming("d1");
    let (mut device, _) = Client::hello(emulator.mqtt_addr(), &hello).await;
    device
        .request(&topic("t1", "get"), json!({"clientToken": "first"}))
        .await;
    device
        .publish_acked(&topic("t1", "get"), br#"{"clientToken":"cut"}"#)
        .await;
    device.expect_closed().await;
    let (mut device, present) = Client::hello(emulator.mqtt_addr(), &hello).await;
    assert!(present);
    assert_eq!(device.message().await.json()["clientToken"], "cut");
}

#[tokio::test]
async fn a_session_can_be_lost_on_request() {
    let emulator = emulator(&["t1"]).await;
    let hello = Hello::resuming("d1");
    let (mut device, _) = Client::hello(emulator.mqtt_addr(), &hello).await;
    device.subscribe(&[&topic("t1", "notify")], 1).await;
    device.leave().await;
    emulator.set_faults(Faults {
        lose_sessions: 1,
        ..Faults::default()
    });
    let (mut device, present) = Client::hello(emulator.mqtt_addr(), &hello).await;
    assert!(!present);
    create_job(&emulator, "j1", &["t1"]);
    device.expect_silence().await;
}

#[tokio::test]
async fn a_slow_connack_comes_all_the_same() {
    let emulator = emulator(&[]).await;
    emulator.set_faults(Faults {
        connack_delay_ms: 50,
        ..Faults::default()
    });
    let asked = std::time::Instant::now();
    Client::connect(emulator.mqtt_addr(), "d1").await;
    // A lower bound cannot fail on a busy machine.
    assert!(asked.elapsed().as_millis() >= 50);
}
