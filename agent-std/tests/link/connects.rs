//! How the link connects, notices trouble and explains it, told against a scripted broker.

use std::time::Duration;

use crate::support::{
    self, Broker, CONNECT, PINGREQ, PUBACK, connected, disconnected, message, options,
};
use agent_std::link::rumqtt::RumqttLink;
use agent_std::link::{LinkError, RefusedReason};

#[tokio::test]
async fn a_slow_connack_is_waited_for() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.accept().await;
    peer.expect(CONNECT).await;
    // The caller's own timers must not restart the attempt.
    for _ in 0..15 {
        let none = tokio::time::timeout(
            Duration::from_millis(100),
            agent_std::link::Link::next(&mut link),
        );
        assert!(none.await.is_err());
    }
    peer.connack(true, 0).await;
    assert!(connected(&mut link).await);
}

#[tokio::test]
async fn connect_asks_for_a_persistent_session_and_our_keep_alive() {
    let broker = Broker::start().await;
    let _link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.accept().await;
    let connect = peer.expect(CONNECT).await.body;
    assert_eq!(
        connect[..8],
        *b"\x00\x04MQTT\x04\x00",
        "3.1.1, no clean session, no will"
    );
    assert_eq!(connect[8..10], 60_u16.to_be_bytes());
    assert_eq!(connect[12..], *b"gateway-1");
}

#[tokio::test]
async fn a_connack_that_never_comes_ends_the_attempt() {
    let broker = Broker::start().await;
    let mut hasty = options(broker.port);
    hasty.connect_timeout_s = 1;
    let mut link = RumqttLink::open(hasty).unwrap();
    let mut peer = broker.accept().await;
    peer.expect(CONNECT).await;
    let limit = LinkError::ConnectTimeout { limit_s: 1 };
    assert_eq!(disconnected(&mut link).await, (limit, false));
    broker.welcome(false).await;
    connected(&mut link).await;
}

#[tokio::test]
async fn a_broker_that_is_down_at_first_is_found_when_it_is_up() {
    // A port that was free a moment ago.
    let port = Broker::start().await.port;
    let mut link = RumqttLink::open(options(port)).unwrap();
    let (why, permanent) = disconnected(&mut link).await;
    assert!(matches!(why, LinkError::Unreachable { .. }), "{why}");
    assert!(!permanent);
    let broker = Broker::on(&format!("127.0.0.1:{port}")).await;
    let script = broker.welcome(false);
    let up = async {
        loop {
            match agent_std::link::Link::next(&mut link).await {
                agent_std::link::LinkEvent::Connected { .. } => break,
                agent_std::link::LinkEvent::Disconnected { .. } => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    };
    support::soon(async { tokio::join!(script, up) }).await;
}

#[tokio::test]
async fn a_refused_connect_is_permanent_unless_the_service_is_only_away() {
    let refusals = [
        (1, RefusedReason::ProtocolVersion, true),
        (2, RefusedReason::ClientId, true),
        (3, RefusedReason::Unavailable, false),
        (4, RefusedReason::Credentials, true),
        (5, RefusedReason::NotAuthorized, true),
    ];
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    for (code, reason, permanent) in refusals {
        let mut peer = broker.accept().await;
        peer.expect(CONNECT).await;
        peer.connack(false, code).await;
        let expected = (LinkError::Refused { reason }, permanent);
        assert_eq!(disconnected(&mut link).await, expected);
    }
    broker.welcome(false).await;
    connected(&mut link).await;
}

#[tokio::test]
async fn a_peer_that_stops_answering_is_noticed_by_an_unanswered_ping() {
    let broker = Broker::start().await;
    let mut short = options(broker.port);
    short.keep_alive_s = 1;
    let mut link = RumqttLink::open(short).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    peer.expect(PINGREQ).await;
    // The socket stays open and silent.
    assert_eq!(
        disconnected(&mut link).await,
        (LinkError::PeerSilent, false)
    );
    drop(peer);
    broker.welcome(false).await;
    connected(&mut link).await;
}

#[tokio::test]
async fn large_messages_arrive_whole_and_in_order() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    for (packet_id, bytes) in [(1, 32 * 1024), (2, 128 * 1024), (3, 5)] {
        let payload = vec![b'a' + u8::try_from(packet_id).unwrap(); bytes];
        peer.publish("jobs/notify-next", packet_id, &payload).await;
        assert_eq!(
            message(&mut link).await,
            ("jobs/notify-next".to_owned(), payload)
        );
        assert_eq!(peer.expect(PUBACK).await.body, packet_id.to_be_bytes());
    }
}

#[tokio::test]
async fn garbage_instead_of_connack_is_a_protocol_error_with_advice() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.accept().await;
    peer.expect(CONNECT).await;
    let answer = "HTTP/1.1 400 Bad Request\r\nServer: example\r\nContent-Type: text/html\r\n\
                  Content-Length: 39\r\n\r\n<html><body>Bad Request</body></html>\r\n";
    peer.raw(answer.as_bytes()).await;
    let (why, permanent) = disconnected(&mut link).await;
    assert!(matches!(why, LinkError::Protocol { .. }), "{why}");
    assert!(why.to_string().contains("check that the endpoint"), "{why}");
    assert!(!permanent);
}

#[tokio::test]
async fn garbage_in_a_connection_ends_it_and_the_next_one_works() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    for garbage in [
        &b"\xff\xff\xff\xff\xff\xff"[..],
        b"\x00\x00",
        b"\x40\x02\x00\x07",
        b"\x20\x02\0\0",
    ] {
        let mut peer = broker.welcome(false).await;
        connected(&mut link).await;
        peer.raw(garbage).await;
        let (why, permanent) = disconnected(&mut link).await;
        assert!(
            matches!(why, LinkError::Protocol { .. }),
            "{garbage:?}: {why}"
        );
        assert!(!permanent);
    }
}

#[tokio::test]
async fn being_thrown_out_again_and_again_is_explained() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    for round in 1..=4 {
        let peer = broker.welcome(true).await;
        connected(&mut link).await;
        drop(peer);
        let (why, permanent) = disconnected(&mut link).await;
        assert!(!permanent);
        if round < 3 {
            assert!(
                matches!(why, LinkError::PeerClosed { .. }),
                "round {round}: {why}"
            );
        } else {
            assert_eq!(why, LinkError::Kicked { times: round });
            assert!(why.to_string().contains("same client id"), "{why}");
        }
    }
}
