//! MQTT 5 on the same port.

mod front_support;

use front_support::{Client, Packet, create_job, emulator, text, topic};
use jobs_emulator::Emulator;

/// Says CONNECT of MQTT 5 with an encoded property list.
async fn connect(emulator: &Emulator, clean: bool, properties: &[u8]) -> (Client, Packet) {
    let mut client = Client::raw(emulator.mqtt_addr()).await;
    let length = u8::try_from(properties.len()).unwrap();
    let head = [5, u8::from(clean) << 1, 0, 60, length];
    let body = [&text("MQTT")[..], &head, properties, &text("d5")].concat();
    client.send(0x10, &body).await;
    let connack = client.next().await.expect("CONNACK");
    assert_eq!((connack.first, connack.body[1]), (0x20, 0));
    (client, connack)
}

/// A PUBLISH of QoS 1 without properties.
async fn publish(client: &mut Client, first: u8, topic: &str, payload: &[u8]) {
    let body = [&text(topic)[..], &[0, 9, 0], payload].concat();
    client.send(first, &body).await;
}

#[tokio::test]
async fn a_request_is_answered_and_connack_tells_the_limits() {
    let emulator = emulator(&["t1"]).await;
    let (mut client, connack) = connect(&emulator, true, &[]).await;
    // Maximum QoS 1 (property 36) and 100 messages at once (property 33).
    let has = |wanted: &[u8]| {
        connack
            .body
            .windows(wanted.len())
            .any(|part| part == wanted)
    };
    assert!(has(&[36, 1]) && has(&[33, 0, 100]), "{connack:?}");
    publish(&mut client, 0x32, &topic("t1", "get"), b"{}").await;
    assert_eq!(client.next().await.map(|puback| puback.first), Some(0x40));
    let reply = client.next().await.expect("the reply");
    assert_eq!(reply.first, 0x32);
    let name = text(&topic("t1", "get/accepted"));
    assert_eq!(&reply.body[..name.len()], &name[..]);
    client.expect_silence().await;
}

#[tokio::test]
async fn qos_2_is_answered_with_the_reason() {
    let emulator = emulator(&["t1"]).await;
    let (mut client, _) = connect(&emulator, true, &[]).await;
    publish(&mut client, 0x34, &topic("t1", "get"), b"{}").await;
    let goodbye = client.next().await.expect("DISCONNECT");
    assert_eq!((goodbye.first, goodbye.body[0]), (0xe0, 0x9b));
    client.expect_closed().await;
}

#[tokio::test]
async fn a_session_lives_as_long_as_the_client_asked() {
    let emulator = emulator(&["t1"]).await;
    let expiry = [17, 0, 0, 0, 10];
    for (away_ms, resumed) in [(9_999, 1), (10_000, 0)] {
        let (client, _) = connect(&emulator, true, &expiry).await;
        client.leave().await;
        emulator.advance_ms(away_ms);
        let (client, connack) = connect(&emulator, false, &expiry).await;
        assert_eq!(connack.body[0], resumed, "away for {away_ms} ms");
        client.leave().await;
    }
}

#[tokio::test]
async fn the_receive_maximum_of_the_client_is_kept() {
    let emulator = emulator(&["t1"]).await;
    let (mut client, _) = connect(&emulator, true, &[33, 0, 1]).await;
    let filter = text(&topic("t1", "notify"));
    client
        .send(0x82, &[&[0, 1, 0][..], &filter, &[1]].concat())
        .await;
    assert_eq!(client.next().await.map(|suback| suback.first), Some(0x90));
    create_job(&emulator, "j1", &["t1"]);
    create_job(&emulator, "j2", &["t1"]);
    let first = client.next().await.expect("the first message");
    client.expect_silence().await;
    let id_at = filter.len();
    client.send(0x40, &first.body[id_at..id_at + 2]).await;
    assert_eq!(client.next().await.map(|second| second.first), Some(0x32));
}

/// The bytes of the first packet of a client that takes packets of up to so many bytes, when a job
/// comes whose `notify-next` is the first thing it gets, or of what comes instead.
async fn first_packet(packet_maximum: u32) -> Packet {
    let emulator = emulator(&["t1"]).await;
    let maximum = packet_maximum.to_be_bytes();
    // One message at a time: a discarded one must not hold its place.
    let properties = [&[33, 0, 1, 39][..], &maximum].concat();
    let (mut client, _) = connect(&emulator, true, &properties).await;
    let filter = text(&topic("t1", "notify-next"));
    client
        .send(0x82, &[&[0, 1, 0][..], &filter, &[1]].concat())
        .await;
    assert_eq!(client.next().await.map(|suback| suback.first), Some(0x90));
    create_job(&emulator, "j1", &["t1"]);
    publish(&mut client, 0x32, &topic("t1", "get"), b"{}").await;
    let mut packet = client.next().await.expect("a packet");
    if packet.first == 0x40 {
        packet = client.next().await.expect("the reply");
    }
    packet
}

/// Bytes of a packet on the wire, with a remaining length of one or two bytes.
fn wire_len(packet: &Packet) -> u32 {
    let body = u32::try_from(packet.body.len()).unwrap();
    body + if body < 128 { 2 } else { 3 }
}

#[tokio::test]
async fn a_message_larger_than_the_client_takes_is_discarded_without_a_word() {
    let is_notification = |packet: &Packet| {
        let name = text(&topic("t1", "notify-next"));
        packet.body.starts_with(&name)
    };
    let whole = first_packet(10_000).await;
    assert!(is_notification(&whole), "{whole:?}");
    let exact = first_packet(wire_len(&whole)).await;
    assert!(is_notification(&exact), "{exact:?}");
    // One byte less: what comes is the shorter reply that waited behind it.
    let other = first_packet(wire_len(&whole) - 1).await;
    assert!(!is_notification(&other), "{other:?}");
}

#[tokio::test]
async fn a_takeover_is_told_to_the_older_connection() {
    let emulator = emulator(&[]).await;
    let (mut first, _) = connect(&emulator, true, &[]).await;
    connect(&emulator, true, &[]).await;
    let goodbye = first.next().await.expect("DISCONNECT");
    assert_eq!((goodbye.first, goodbye.body[0]), (0xe0, 0x8e));
    first.expect_closed().await;
}
