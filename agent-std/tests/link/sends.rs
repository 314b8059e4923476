//! What happens to the things we send, told against a scripted broker.

use crate::support::{
    self, Broker, CONNECT, DISCONNECT, connected, disconnected, message, options, soon,
};
use agent_std::link::rumqtt::RumqttLink;
use agent_std::link::{Link, LinkError, LinkEvent, Qos, SendError};

const TOPIC: &str = "$aws/things/gateway-1/jobs/$next/get";

async fn in_flight_at_loss(session_kept: bool) {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut first = broker.welcome(false).await;
    connected(&mut link).await;
    let sent = link.publish(TOPIC, b"before", Qos::AtLeastOnce).unwrap();
    assert_eq!(first.expect_publish().await.payload, b"before");
    drop(first);

    assert_eq!(soon(link.next()).await, LinkEvent::Lost(sent));
    assert!(matches!(
        disconnected(&mut link).await,
        (LinkError::PeerClosed { .. }, false)
    ));
    let mut second = broker.welcome(session_kept).await;
    assert_eq!(connected(&mut link).await, session_kept);
    let again = link.publish(TOPIC, b"after", Qos::AtLeastOnce).unwrap();
    // The first packet of the new connection is ours: nothing was replayed before it.
    let publish = second.expect_publish().await;
    assert_eq!(
        (publish.payload.as_slice(), publish.dup),
        (&b"after"[..], false)
    );
    second.puback(publish.packet_id).await;
    assert_eq!(soon(link.next()).await, LinkEvent::Acked(again));
    // And nothing comes later either, neither on the wire nor as a second report.
    soon(link.close()).await;
    second.expect(DISCONNECT).await;
    assert_eq!(disconnected(&mut link).await, (LinkError::Closed, true));
}

#[tokio::test]
async fn a_publish_in_flight_is_lost_once_when_the_broker_forgot_the_session() {
    in_flight_at_loss(false).await;
}

#[tokio::test]
async fn a_publish_in_flight_is_lost_once_and_not_replayed_when_the_session_was_kept() {
    in_flight_at_loss(true).await;
}

#[tokio::test]
async fn sends_that_never_reached_the_wire_are_lost_with_the_connection_too() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    // More than may be in flight at once: the rest waits inside.
    let sent: Vec<_> = (0..40)
        .map(|_| link.publish(TOPIC, b"{}", Qos::AtLeastOnce).unwrap())
        .collect();
    for _ in 0..20 {
        peer.expect_publish().await;
    }
    drop(peer);
    let mut lost = Vec::new();
    for _ in 0..40 {
        match soon(link.next()).await {
            LinkEvent::Lost(id) => lost.push(id),
            other => panic!("expected Lost, got {other:?}"),
        }
    }
    lost.sort();
    assert_eq!(lost, sent);
    disconnected(&mut link).await;
}

#[tokio::test]
async fn no_more_than_twenty_publishes_are_in_flight() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    for number in 0..30_u8 {
        link.publish(TOPIC, &[number], Qos::AtLeastOnce).unwrap();
    }
    let mut ids = Vec::new();
    for number in 0..20_u8 {
        let publish = peer.expect_publish().await;
        assert_eq!(publish.payload, [number]);
        ids.push(publish.packet_id);
    }
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), peer.packet()).await;
    assert!(early.is_err(), "a packet beyond the limit");
    peer.puback(ids[0]).await;
    assert_eq!(peer.expect_publish().await.payload, [20]);
}

#[tokio::test]
async fn acknowledgements_out_of_order_settle_the_right_sends_and_the_link_goes_on() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let mut sent = Vec::new();
    let mut ids = Vec::new();
    for number in 0..20_u8 {
        sent.push(link.publish(TOPIC, &[number], Qos::AtLeastOnce).unwrap());
        ids.push(peer.expect_publish().await.packet_id);
    }
    // Everything but the first: its packet id comes round again while it is still in use.
    for index in (1..20).rev() {
        peer.puback(ids[index]).await;
        assert_eq!(soon(link.next()).await, LinkEvent::Acked(sent[index]));
    }
    for number in 20..60_u8 {
        let id = link.publish(TOPIC, &[number], Qos::AtLeastOnce).unwrap();
        let publish = peer.expect_publish().await;
        assert_eq!(publish.payload, [number]);
        assert_ne!(publish.packet_id, ids[0], "a packet id in use twice");
        peer.puback(publish.packet_id).await;
        assert_eq!(soon(link.next()).await, LinkEvent::Acked(id));
    }
    peer.puback(ids[0]).await;
    assert_eq!(soon(link.next()).await, LinkEvent::Acked(sent[0]));
}

#[tokio::test]
async fn too_many_unanswered_sends_are_refused_until_one_is_answered() {
    let broker = Broker::start().await;
    let mut few = options(broker.port);
    few.max_outstanding = 2;
    let mut link = RumqttLink::open(few).unwrap();
    assert_eq!(
        link.publish(TOPIC, b"", Qos::AtLeastOnce),
        Err(SendError::Offline)
    );
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    link.publish(TOPIC, b"1", Qos::AtLeastOnce).unwrap();
    link.subscribe(&["a"]).unwrap();
    let refused = SendError::Busy { outstanding: 2 };
    assert_eq!(
        link.publish(TOPIC, b"3", Qos::AtLeastOnce),
        Err(refused.clone())
    );
    assert_eq!(link.subscribe(&["b"]), Err(refused));
    // The two may overtake each other; answer the publish.
    loop {
        let packet = peer.packet().await.unwrap();
        if packet.kind == support::PUBLISH {
            break;
        }
    }
    peer.puback(1).await;
    assert!(matches!(soon(link.next()).await, LinkEvent::Acked(_)));
    assert!(link.publish(TOPIC, b"4", Qos::AtLeastOnce).is_ok());
}

#[tokio::test]
async fn a_window_full_of_pubacks_that_never_come_costs_the_connection_and_not_the_agent() {
    let broker = Broker::start().await;
    let mut short = options(broker.port);
    short.keep_alive_s = 1;
    let mut link = RumqttLink::open(short).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    // A broker that throttles, as AWS IoT does: it answers pings, and no publish.
    let throttling = tokio::spawn(async move {
        while let Some(packet) = peer.packet().await {
            match packet.kind {
                support::PINGREQ => peer.raw(&[0xd0, 0]).await,
                DISCONNECT => return,
                _ => {}
            }
        }
    });
    let mut sent = Vec::new();
    let ended = soon(async {
        loop {
            // As the agent does: it asks again, because no reply comes.
            match link.publish(TOPIC, b"?", Qos::AtLeastOnce) {
                Ok(id) => sent.push(id),
                Err(SendError::Offline | SendError::Busy { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            let look = std::time::Duration::from_millis(50);
            match tokio::time::timeout(look, link.next()).await {
                Err(_) => {}
                Ok(LinkEvent::Lost(id)) => sent.retain(|&other| other != id),
                Ok(LinkEvent::Disconnected { why, permanent }) => return (why, permanent),
                Ok(other) => panic!("expected the end of the connection, got {other:?}"),
            }
        }
    });
    assert_eq!(
        ended.await,
        (LinkError::NoAnswer { limit_ms: 1_000 }, false)
    );
    assert_eq!(sent, [], "every send is told as lost");
    throttling.await.unwrap();

    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    link.publish(TOPIC, b"again", Qos::AtLeastOnce).unwrap();
    assert_eq!(peer.expect_publish().await.payload, b"again");
}

#[tokio::test]
async fn what_no_broker_accepts_is_refused_without_harm_to_the_connection() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let large = vec![b'x'; 200 * 1024];
    let invalid = |result| matches!(result, Err(SendError::Invalid { .. }));
    assert!(invalid(link.publish(TOPIC, &large, Qos::AtLeastOnce)));
    assert!(invalid(link.publish("jobs/+/get", b"", Qos::AtLeastOnce)));
    assert!(invalid(link.subscribe(&[])));
    assert!(invalid(link.subscribe(&["a/#/b"])));
    link.publish(TOPIC, b"fine", Qos::AtLeastOnce).unwrap();
    assert_eq!(peer.expect_publish().await.payload, b"fine");
}

#[tokio::test]
async fn a_filter_the_broker_denies_is_reported_as_not_granted() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let id = link.subscribe(&["mine/#", "other/#"]).unwrap();
    let (packet_id, filters) = peer.expect_subscribe().await;
    assert_eq!(filters, ["mine/#", "other/#"]);
    peer.suback(packet_id, &[1, 0x80]).await;
    assert_eq!(
        soon(link.next()).await,
        LinkEvent::SubAck {
            id,
            granted: vec![true, false]
        }
    );
}

#[tokio::test]
async fn subscribing_again_after_a_reconnect_is_up_to_the_caller_and_can_precede_requests() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    link.subscribe(&["a"]).unwrap();
    let (packet_id, _) = peer.expect_subscribe().await;
    peer.suback(packet_id, &[1]).await;
    assert!(matches!(soon(link.next()).await, LinkEvent::SubAck { .. }));
    drop(peer);
    disconnected(&mut link).await;

    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let id = link.subscribe(&["b"]).unwrap();
    // The first packet is the new subscribe, not the old one.
    let (packet_id, filters) = peer.expect_subscribe().await;
    assert_eq!(filters, ["b"]);
    peer.suback(packet_id, &[1]).await;
    assert_eq!(
        soon(link.next()).await,
        LinkEvent::SubAck {
            id,
            granted: vec![true]
        }
    );
    link.publish(TOPIC, b"now", Qos::AtLeastOnce).unwrap();
    assert_eq!(peer.expect_publish().await.payload, b"now");
}

#[tokio::test]
async fn a_subscribe_without_an_answer_is_lost_with_its_connection() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let id = link.subscribe(&["a"]).unwrap();
    peer.expect_subscribe().await;
    drop(peer);
    assert_eq!(soon(link.next()).await, LinkEvent::Lost(id));
    disconnected(&mut link).await;
}

#[tokio::test]
async fn closing_waits_for_the_answer_and_leaves_with_disconnect() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let id = link
        .publish(TOPIC, b"last words", Qos::AtLeastOnce)
        .unwrap();
    let script = async {
        let publish = peer.expect_publish().await;
        peer.puback(publish.packet_id).await;
        peer.expect(DISCONNECT).await;
        assert!(peer.packet().await.is_none());
    };
    tokio::join!(soon(link.close()), script);
    assert_eq!(soon(link.next()).await, LinkEvent::Acked(id));
    assert_eq!(disconnected(&mut link).await, (LinkError::Closed, true));
    assert_eq!(
        link.publish(TOPIC, b"", Qos::AtLeastOnce),
        Err(SendError::Offline)
    );
}

#[tokio::test]
async fn closing_is_bounded_when_the_broker_never_answers() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let id = link.publish(TOPIC, b"?", Qos::AtLeastOnce).unwrap();
    peer.expect_publish().await;
    soon(link.close()).await;
    assert_eq!(soon(link.next()).await, LinkEvent::Lost(id));
    assert_eq!(disconnected(&mut link).await, (LinkError::Closed, true));
}

#[tokio::test]
async fn a_cancelled_next_loses_no_event() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    for number in 1..=50_u16 {
        peer.publish("numbers", number, &number.to_be_bytes()).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 50 {
        // Polled once and dropped when nothing is ready at once.
        tokio::select! {
            biased;
            event = link.next() => match event {
                LinkEvent::Message { payload, .. } => seen.push(payload[1]),
                other => panic!("expected a message, got {other:?}"),
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(seen, (1..=50).collect::<Vec<u8>>());
}

#[tokio::test]
async fn a_message_read_together_with_the_end_of_the_connection_still_arrives() {
    let broker = Broker::start().await;
    let mut link = RumqttLink::open(options(broker.port)).unwrap();
    let mut peer = broker.accept().await;
    peer.expect(CONNECT).await;
    // One write, so that the client reads the message and the garbage in one go.
    peer.raw(b"\x20\x02\x00\x00\x30\x04\x00\x01tx\xff\xff")
        .await;
    drop(peer);
    connected(&mut link).await;
    assert_eq!(message(&mut link).await, ("t".to_owned(), b"x".to_vec()));
    disconnected(&mut link).await;
}
