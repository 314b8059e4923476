//! What devices see over MQTT.

mod front_support;

use front_support::{Client, Hello, create_job, emulator, topic};
use jobs_emulator::{Direction, PacketKind};
use serde_json::json;

#[tokio::test]
async fn a_reply_reaches_a_requester_that_did_not_subscribe_exactly_once() {
    let emulator = emulator(&["t1"]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device
        .publish_acked(&topic("t1", "get"), br#"{"clientToken":"c1"}"#)
        .await;
    let reply = device.message().await;
    assert_eq!(reply.topic, topic("t1", "get/accepted"));
    assert_eq!(reply.json()["clientToken"], "c1");
    device.expect_silence().await;
}

#[tokio::test]
async fn a_reply_reaches_a_requester_that_subscribed_twice_exactly_once() {
    let emulator = emulator(&["t1"]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    let filters = [
        topic("t1", "get/accepted"),
        topic("t1", "get/+"),
        topic("t1", "+/accepted"),
    ];
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    assert_eq!(device.subscribe(&filters, 1).await, Some(vec![1, 1, 1]));
    let reply = device.request(&topic("t1", "get"), json!({})).await;
    assert_eq!((reply.topic, reply.qos), (topic("t1", "get/accepted"), 1));
    device.expect_silence().await;
}

#[tokio::test]
async fn nobody_else_sees_a_reply_not_even_with_a_subscription() {
    let emulator = emulator(&["t1"]).await;
    let mut watcher = Client::connect(emulator.mqtt_addr(), "watcher").await;
    watcher.subscribe(&["$aws/things/+/jobs/#"], 1).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.request(&topic("t1", "get"), json!({})).await;
    watcher.expect_silence().await;
}

#[tokio::test]
async fn two_devices_get_their_own_notifications_only() {
    let emulator = emulator(&["t1", "t2"]).await;
    let mut one = Client::connect(emulator.mqtt_addr(), "d1").await;
    let mut two = Client::connect(emulator.mqtt_addr(), "d2").await;
    one.subscribe(&[&topic("t1", "notify-next")], 1).await;
    two.subscribe(&[&topic("t2", "notify-next"), &topic("t2", "notify")], 0)
        .await;

    create_job(&emulator, "j1", &["t1"]);
    let told = one.message().await;
    assert_eq!(
        (told.topic.as_str(), told.qos),
        (topic("t1", "notify-next").as_str(), 1)
    );
    assert_eq!(told.json()["execution"]["jobId"], "j1");
    one.expect_silence().await;
    two.expect_silence().await;

    create_job(&emulator, "j2", &["t2"]);
    let told = two.message().await;
    assert_eq!(
        (told.topic.as_str(), told.qos),
        (topic("t2", "notify").as_str(), 0)
    );
    assert_eq!(two.message().await.topic, topic("t2", "notify-next"));
    one.expect_silence().await;
}

#[tokio::test]
async fn a_happy_job_runs_from_notification_to_success() {
    let emulator = emulator(&["t1"]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.subscribe(&[&topic("t1", "notify-next")], 1).await;
    create_job(&emulator, "j1", &["t1"]);
    assert_eq!(
        device.message().await.json()["execution"]["status"],
        "QUEUED"
    );

    let started = device
        .request(&topic("t1", "j1/update"), json!({"status": "IN_PROGRESS"}))
        .await;
    assert_eq!(started.topic, topic("t1", "j1/update/accepted"));
    let done = device
        .request(&topic("t1", "j1/update"), json!({"status": "SUCCEEDED"}))
        .await;
    assert_eq!(done.topic, topic("t1", "j1/update/accepted"));
    let idle = device.message().await;
    assert_eq!(idle.topic, topic("t1", "notify-next"));
    assert_eq!(idle.json().get("execution"), None);

    assert_eq!(emulator.trace().publishes_from("d1"), 2);
    let sent = emulator
        .trace()
        .count(|entry| entry.kind == PacketKind::Publish && entry.direction == Direction::ToDevice);
    assert_eq!(sent, 4, "two notifications and two replies");
}

#[tokio::test]
async fn next_is_answered_under_the_name_next() {
    let emulator = emulator(&["t1"]).await;
    create_job(&emulator, "j1", &["t1"]);
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.subscribe(&[&topic("t1", "$next/get/+")], 1).await;
    let reply = device.request(&topic("t1", "$next/get"), json!({})).await;
    assert_eq!(reply.topic, topic("t1", "$next/get/accepted"));
    assert_eq!(reply.json()["execution"]["jobId"], "j1");
    device.expect_silence().await;
}

#[tokio::test]
async fn a_refused_request_is_answered_on_rejected() {
    let emulator = emulator(&["t1"]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device
        .publish_acked(&topic("t1", "j9/update"), b"{not json")
        .await;
    let reply = device.message().await;
    assert_eq!(reply.topic, topic("t1", "j9/update/rejected"));
    assert_eq!(reply.json()["code"], "InvalidJson");
}

#[tokio::test]
async fn a_document_of_32_kib_arrives_whole() {
    let emulator = emulator(&["t1"]).await;
    let fill = "x".repeat(32_768 - r#"{"fill":""}"#.len());
    let document = json!({ "fill": fill });
    emulator
        .with_service(|service, now| service.create_job(now, "big", &["t1"], &document))
        .unwrap();
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    let reply = device.request(&topic("t1", "$next/get"), json!({})).await;
    assert_eq!(reply.json()["execution"]["jobDocument"], document);
}

#[tokio::test]
async fn messages_of_qos_1_wait_for_a_session_and_come_again_until_acknowledged() {
    let emulator = emulator(&["t1"]).await;
    let hello = Hello::resuming("d1");
    let (mut device, present) = Client::hello(emulator.mqtt_addr(), &hello).await;
    assert!(!present, "there is nothing to resume yet");
    device.subscribe(&[&topic("t1", "notify-next")], 1).await;
    device.leave().await;

    create_job(&emulator, "j1", &["t1"]);
    let (mut device, present) = Client::hello(emulator.mqtt_addr(), &hello).await;
    assert!(present);
    let first = device.next().await.unwrap().message();
    assert_eq!(first.topic, topic("t1", "notify-next"));
    assert!(!first.dup);
    drop(device);

    let (mut device, present) = Client::hello(emulator.mqtt_addr(), &hello).await;
    assert!(present);
    let again = device.message().await;
    assert!(again.dup, "it was sent before");
    assert_eq!(
        (again.packet_id, &again.payload),
        (first.packet_id, &first.payload)
    );
    device.expect_silence().await;
    device.leave().await;

    let (mut device, _) = Client::hello(emulator.mqtt_addr(), &hello).await;
    device.expect_silence().await;
}

#[tokio::test]
async fn a_clean_session_forgets_what_was_subscribed() {
    let emulator = emulator(&["t1"]).await;
    let (mut device, _) = Client::hello(emulator.mqtt_addr(), &Hello::resuming("d1")).await;
    device.subscribe(&[&topic("t1", "notify-next")], 1).await;
    device.leave().await;
    Client::connect(emulator.mqtt_addr(), "d1")
        .await
        .leave()
        .await;

    let (mut device, present) = Client::hello(emulator.mqtt_addr(), &Hello::resuming("d1")).await;
    assert!(!present);
    create_job(&emulator, "j1", &["t1"]);
    device.expect_silence().await;
}

#[tokio::test]
async fn a_session_is_gone_after_an_hour_without_connection() {
    let emulator = emulator(&["t1"]).await;
    for (away_ms, resumed) in [(3_599_000, true), (3_600_000, false)] {
        let hello = Hello::resuming("d1");
        let (mut device, _) = Client::hello(emulator.mqtt_addr(), &hello).await;
        device.subscribe(&[&topic("t1", "notify")], 1).await;
        device.leave().await;
        emulator.advance_ms(away_ms);
        let (device, present) = Client::hello(emulator.mqtt_addr(), &hello).await;
        assert_eq!(present, resumed, "away for {away_ms} ms");
        device.leave().await;
    }
}

#[tokio::test]
async fn a_second_connection_with_the_same_client_id_ends_the_first() {
    let emulator = emulator(&["t1"]).await;
    let mut first = Client::connect(emulator.mqtt_addr(), "d1").await;
    let mut second = Client::connect(emulator.mqtt_addr(), "d1").await;
    first.expect_closed().await;
    second.request(&topic("t1", "get"), json!({})).await;
    assert_eq!(emulator.connected(), ["d1"]);
}

#[tokio::test]
async fn a_will_is_published_when_the_connection_breaks_and_not_after_a_goodbye() {
    let emulator = emulator(&[]).await;
    let mut watcher = Client::connect(emulator.mqtt_addr(), "watcher").await;
    watcher.subscribe(&["status/#"], 1).await;
    for (client_id, polite) in [("polite", true), ("broken", false)] {
        let will = Some((format!("status/{client_id}"), b"gone".to_vec()));
        let hello = Hello {
            will,
            ..Hello::new(client_id)
        };
        let (device, _) = Client::hello(emulator.mqtt_addr(), &hello).await;
        if polite {
            device.leave().await;
        } else {
            drop(device);
        }
    }
    let told = watcher.message().await;
    assert_eq!(
        (told.topic.as_str(), &told.payload[..]),
        ("status/broken", &b"gone"[..])
    );
}

#[tokio::test]
async fn a_silent_client_is_cut_after_one_and_a_half_keep_alives() {
    let emulator = emulator(&[]).await;
    let hello = Hello {
        keep_alive_s: 1,
        ..Hello::new("silent")
    };
    let (mut device, _) = Client::hello(emulator.mqtt_addr(), &hello).await;
    device.expect_closed().await;
}

#[tokio::test]
async fn other_topics_are_an_ordinary_broker_with_retained_messages() {
    let emulator = emulator(&[]).await;
    let mut one = Client::connect(emulator.mqtt_addr(), "c1").await;
    let mut two = Client::connect(emulator.mqtt_addr(), "c2").await;
    one.subscribe(&["#"], 0).await;
    two.subscribe(&["site/+/door"], 1).await;
    one.publish_acked("site/7/door", b"open").await;
    let seen = two.message().await;
    assert_eq!(
        (&seen.payload[..], seen.qos, seen.retain),
        (&b"open"[..], 1, false)
    );
    assert_eq!(one.message().await.qos, 0, "granted QoS 0");

    let retained = [&front_support::text("site/8/door")[..], b"shut"].concat();
    two.send(0x31, &retained).await;
    assert_eq!(two.message().await.payload, b"shut");
    let mut late = Client::connect(emulator.mqtt_addr(), "late").await;
    late.subscribe(&["site/8/#"], 1).await;
    let kept = late.message().await;
    assert_eq!((&kept.payload[..], kept.retain), (&b"shut"[..], true));
}

#[tokio::test]
async fn a_timer_of_the_service_reaches_the_device_when_the_clock_moves() {
    let emulator = emulator(&["t1"]).await;
    create_job(&emulator, "j1", &["t1"]);
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.subscribe(&[&topic("t1", "notify")], 1).await;
    let start = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": 5});
    device.request(&topic("t1", "j1/update"), start).await;
    emulator.advance_ms(4 * 60_000);
    device.expect_silence().await;
    emulator.advance_ms(2 * 60_000);
    let told = device.message().await;
    assert_eq!(
        (&told.topic, &told.json()["jobs"]),
        (&topic("t1", "notify"), &json!({}))
    );
}

#[tokio::test]
async fn the_owner_of_the_emulator_can_end_a_connection() {
    let emulator = emulator(&[]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    assert!(emulator.disconnect("d1"));
    device.expect_closed().await;
    assert!(!emulator.disconnect("d9"));
}
