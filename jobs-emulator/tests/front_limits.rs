//! The limits of the broker, and what does not belong on its port.

mod front_support;

use front_support::{Client, emulator, text, topic};
use serde_json::json;

#[tokio::test]
async fn qos_2_ends_the_connection_without_an_answer() {
    let emulator = emulator(&["t1"]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    let body = [&text(&topic("t1", "start-next"))[..], &[0, 7], b"{}"].concat();
    device.send(0x34, &body).await;
    device.expect_closed().await;
}

#[tokio::test]
async fn nine_filters_in_one_subscribe_end_the_connection_and_eight_do_not() {
    let emulator = emulator(&[]).await;
    let filters = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    assert_eq!(device.subscribe(&filters[..8], 1).await, Some(vec![1; 8]));
    assert_eq!(device.subscribe(&filters, 1).await, None);
}

#[tokio::test]
async fn the_51st_subscription_is_refused_and_ends_the_connection() {
    let emulator = emulator(&[]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    for number in 0..50 {
        assert_eq!(
            device.subscribe(&[&format!("n/{number}")], 0).await,
            Some(vec![0])
        );
    }
    assert_eq!(
        device.subscribe(&["n/0"], 1).await,
        Some(vec![1]),
        "one it has already"
    );
    assert_eq!(device.subscribe(&["n/50"], 0).await, Some(vec![0x80]));
    device.expect_closed().await;
}

#[tokio::test]
async fn malformed_and_shared_filters_are_refused_one_by_one() {
    let emulator = emulator(&[]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    let long = "x".repeat(257);
    let codes = device
        .subscribe(&["a/#/b", "$share/g/a", &long, "a/b"], 2)
        .await;
    assert_eq!(codes, Some(vec![0x80, 0x80, 0x80, 1]));
}

#[tokio::test]
async fn a_payload_of_128_kib_passes_and_a_byte_more_ends_the_connection() {
    let emulator = emulator(&[]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.publish_acked("big", &vec![b'x'; 128 * 1024]).await;
    device
        .publish_qos1("big", &vec![b'x'; 128 * 1024 + 1])
        .await;
    device.expect_closed().await;
}

#[tokio::test]
async fn a_topic_of_257_bytes_or_9_levels_ends_the_connection() {
    let emulator = emulator(&[]).await;
    for topic in ["x".repeat(257), "1/2/3/4/5/6/7/8/9".to_owned()] {
        let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
        device.publish_qos1(&topic, b"").await;
        device.expect_closed().await;
    }
}

#[tokio::test]
async fn garbage_closes_its_own_connection_and_harms_nobody() {
    let emulator = emulator(&["t1"]).await;
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    let garbage: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc],
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x10, 0x00],
        &[
            0x10, 0x0c, 0, 4, b'M', b'Q', b'T', b'T', 4, 0xff, 0, 0, 0, 0,
        ],
        &[0x30, 0x03, 0, 1, b'a'],
        &[0x00, 0x00],
        &[0xff; 64],
    ];
    for bytes in garbage {
        let mut stranger = Client::raw(emulator.mqtt_addr()).await;
        stranger.send_bytes(bytes).await;
        stranger.expect_closed().await;
        let mut guest = Client::connect(emulator.mqtt_addr(), "guest").await;
        guest.send_bytes(&[0xf0, 0x00]).await;
        guest.send_bytes(bytes).await;
        guest.expect_closed().await;
    }
    device.request(&topic("t1", "get"), json!({})).await;
}

#[tokio::test]
async fn an_unknown_protocol_level_is_told_so() {
    let emulator = emulator(&[]).await;
    let mut old = Client::raw(emulator.mqtt_addr()).await;
    let body = [&text("MQTT")[..], &[3, 2, 0, 60], &text("d1")].concat();
    old.send(0x10, &body).await;
    let connack = old.next().await.expect("a CONNACK");
    assert_eq!((connack.first, &connack.body[..]), (0x20, &[0, 1][..]));
    old.expect_closed().await;
}

#[tokio::test]
async fn a_persistent_session_needs_a_client_id() {
    let emulator = emulator(&[]).await;
    let mut nameless = Client::raw(emulator.mqtt_addr()).await;
    let body = [&text("MQTT")[..], &[4, 0, 0, 60], &text("")].concat();
    nameless.send(0x10, &body).await;
    assert_eq!(
        nameless.next().await.map(|packet| packet.body),
        Some(vec![0, 2])
    );
    let mut clean = Client::connect(emulator.mqtt_addr(), "").await;
    clean.expect_silence().await;
}
