//! A link on somebody else's connection, packet by packet.

use agent_std::link::borrowed::rumqttc::{AsyncClient, MqttOptions};
use agent_std::link::borrowed::{BorrowedLink, lend};
use agent_std::link::{Link, LinkError, LinkEvent, Qos, SendError};

use crate::program::{OWN, Program, client};
use crate::support::{self, Broker, connected, disconnected, soon};

const GET: &str = "$aws/things/pump-17/jobs/$next/get";
const NOTIFY: &str = "$aws/things/pump-17/jobs/notify-next";

#[tokio::test]
async fn a_borrowed_publish_is_lost_once_and_forgotten_when_the_session_is_gone() {
    let broker = Broker::start().await;
    let (program, mut link) = Program::lending(broker.port, false);
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let sent = link.publish(GET, b"before", Qos::AtLeastOnce).unwrap();
    assert_eq!(peer.expect_publish().await.payload, b"before");
    drop(peer);
    assert_eq!(soon(link.next()).await, LinkEvent::Lost(sent));
    let (why, permanent) = disconnected(&mut link).await;
    assert!(matches!(why, LinkError::PeerClosed { .. }), "{why}");
    assert!(!permanent);

    let mut peer = broker.welcome(false).await;
    assert!(!connected(&mut link).await);
    let again = link.publish(GET, b"after", Qos::AtLeastOnce).unwrap();
    let publish = peer.expect_publish().await;
    assert_eq!(
        (publish.payload.as_slice(), publish.dup),
        (&b"after"[..], false)
    );
    peer.puback(publish.packet_id).await;
    assert_eq!(soon(link.next()).await, LinkEvent::Acked(again));
    program.task.abort();
}

#[tokio::test]
async fn what_the_library_repeats_in_a_kept_session_is_reported_only_as_lost() {
    let broker = Broker::start().await;
    let (program, mut link) = Program::lending(broker.port, false);
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let sent = link.publish(GET, b"before", Qos::AtLeastOnce).unwrap();
    peer.expect_publish().await;
    drop(peer);
    assert_eq!(soon(link.next()).await, LinkEvent::Lost(sent));
    disconnected(&mut link).await;

    let mut peer = broker.welcome(true).await;
    assert!(connected(&mut link).await);
    let repeated = peer.expect_publish().await;
    assert_eq!(
        (repeated.payload.as_slice(), repeated.dup),
        (&b"before"[..], true),
        "MQTT 3.1.1, 4.4.0-1"
    );
    peer.puback(repeated.packet_id).await;
    let again = link.publish(GET, b"after", Qos::AtLeastOnce).unwrap();
    let publish = peer.expect_publish().await;
    assert_eq!(publish.payload, b"after");
    peer.puback(publish.packet_id).await;
    // The answer to the repetition came first, and is nobody's.
    assert_eq!(soon(link.next()).await, LinkEvent::Acked(again));
    program.task.abort();
}

#[tokio::test]
async fn acknowledgements_settle_the_sends_they_belong_to_the_program_s_and_the_agent_s() {
    let broker = Broker::start().await;
    let (program, mut link) = Program::lending(broker.port, true);
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let (mut mine, mut ours, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..4_u8 {
        mine.push(program.publish("21"));
        ids.push(peer.expect_publish().await.packet_id);
        ours.push(link.publish(GET, &[number], Qos::AtLeastOnce).unwrap());
        ids.push(peer.expect_publish().await.packet_id);
    }
    // The agent's last, then its others, in any order; the program's stay open meanwhile.
    for index in [3, 0, 2, 1] {
        peer.puback(ids[2 * index + 1]).await;
        assert_eq!(soon(link.next()).await, LinkEvent::Acked(ours[index]));
    }
    for (index, notice) in mine.into_iter().enumerate() {
        peer.puback(ids[2 * index]).await;
        soon(notice.wait_async()).await.unwrap();
    }
    program.task.abort();
}

#[tokio::test]
async fn a_borrowed_link_takes_nothing_while_there_is_no_connection() {
    let broker = Broker::start().await;
    let (client, mut eventloop) = client(broker.port, true);
    let (mut link, mut feed) = lend(&client, &eventloop).unwrap();
    let offline = |link: &mut BorrowedLink| {
        link.publish(GET, b"", Qos::AtLeastOnce) == Err(SendError::Offline)
    };
    assert!(offline(&mut link));
    let (peer, up) = tokio::join!(broker.welcome(false), eventloop.poll());
    assert!(!feed.take(&up));
    // Not before the caller was told: it subscribes first.
    assert!(offline(&mut link));
    connected(&mut link).await;
    assert!(link.publish(GET, b"", Qos::AtLeastOnce).is_ok());
    drop(peer);
    loop {
        let polled = soon(eventloop.poll()).await;
        let _ = feed.take(&polled);
        if polled.is_err() {
            break;
        }
    }
    // The feed has heard of the end of the connection, the caller has not yet.
    assert!(offline(&mut link));
}

#[tokio::test]
async fn a_borrowed_link_takes_the_topics_of_its_thing_and_leaves_the_rest() {
    let broker = Broker::start().await;
    let (mut program, mut link) = Program::lending(broker.port, true);
    let mut peer = broker.welcome(false).await;
    connected(&mut link).await;
    let invalid = |result| matches!(result, Err(SendError::Invalid { .. }));
    assert!(invalid(link.subscribe(&[OWN])));
    assert!(invalid(link.subscribe(&[])));
    let id = link.subscribe(&[NOTIFY]).unwrap();
    let (packet, _) = peer.expect_subscribe().await;
    peer.suback(packet, &[1]).await;
    let granted = vec![true];
    assert_eq!(soon(link.next()).await, LinkEvent::SubAck { id, granted });
    let others = [
        OWN,
        "$aws/things/pump-18/jobs/notify-next",
        "$aws/things/pump-17/shadow/get",
    ];
    for topic in others {
        peer.publish(topic, 0, b"1").await;
    }
    peer.publish(NOTIFY, 0, b"2").await;
    assert_eq!(
        support::message(&mut link).await,
        (NOTIFY.to_owned(), b"2".to_vec())
    );
    for topic in others {
        assert_eq!(soon(program.own.recv()).await, Some(format!("{topic}=1")));
    }
    program.task.abort();
}

#[tokio::test]
async fn a_program_that_is_thrown_out_again_and_again_has_it_explained_by_its_agent() {
    let broker = Broker::start().await;
    let (program, mut link) = Program::lending(broker.port, true);
    for round in 1..=3 {
        let peer = broker.welcome(false).await;
        connected(&mut link).await;
        drop(peer);
        let (why, _) = disconnected(&mut link).await;
        if round == 3 {
            assert_eq!(why, LinkError::Kicked { times: 3 });
        }
    }
    program.task.abort();
}

#[test]
fn a_client_that_refuses_large_packets_is_not_borrowed() {
    let options = MqttOptions::new("the-program", ("127.0.0.1", 1));
    let (client, eventloop) = AsyncClient::builder(options).build();
    let refused = lend(&client, &eventloop).map(drop).unwrap_err();
    assert!(
        refused.to_string().contains("set_max_packet_size"),
        "{refused}"
    );
}
