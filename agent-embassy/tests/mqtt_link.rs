//! The MQTT link against a broker that says exactly what a test wants.

mod support;

use agent_embassy::{AgentResources, Buffers, OptionsError, RX_LEN_MIN, TX_LEN_MIN};
use agent_embassy::{Connection, Event, Link, LinkError, MqttLink, MqttOptions, Packet, SendError};
use jobs_agent_core::{Agent, Boot, BootId, Config, Millis, Output, Scratch};
use jobs_proto::ThingName;
use support::tcp::{Tcp, let_time_pass};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Resources = AgentResources<1, RX_LEN_MIN, TX_LEN_MIN>;

/// A packet of the device.
const SOME: Packet<'_> = Packet::Publish {
    topic: "some",
    payload: b"{}",
    at_least_once: true,
};

const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];

/// A broker's end of one connection.
struct Peer(TcpStream);

impl Peer {
    /// Takes a connection in and its CONNECT.
    async fn accept(listener: &TcpListener) -> (Self, Vec<u8>) {
        let mut peer = Self(listener.accept().await.unwrap().0);
        let (first, connect) = peer.packet().await;
        assert_eq!(first, 0x10);
        (peer, connect)
    }

    /// The next packet: first byte and body.
    async fn packet(&mut self) -> (u8, Vec<u8>) {
        let first = self.0.read_u8().await.unwrap();
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.0.read_u8().await.unwrap();
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (first, body)
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }
}

async fn listener() -> (TcpListener, Tcp) {
    let_time_pass();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, Tcp(address))
}

/// The link under test, not yet connected.
fn link_to(broker: Tcp, resources: &mut Resources) -> MqttLink<'_, Tcp> {
    let options = MqttOptions::new("board-1");
    MqttLink::new(resources.lend().buffers, &options, broker).unwrap()
}

/// Subscribes to what the core asks for.
async fn subscribe(connection: &mut impl Connection) -> Result<(), SendError> {
    let config = Config::new(ThingName::new("pump-17").unwrap());
    let boot = Boot {
        id: BootId([1; 16]),
        entropy: 1,
    };
    let mut core = Agent::<1>::new(&config, boot);
    let mut scratch = Scratch::new();
    core.handle_connected(Millis(0));
    match core.poll(Millis(0), &mut scratch) {
        Output::Subscribe { filters, .. } => connection.send(Packet::Subscribe(filters)).await,
        other => panic!("{other:?}"),
    }
}

/// The next event that is not the link's own affair, without what it lends.
async fn next(connection: &mut impl Connection) -> Result<String, LinkError> {
    loop {
        match connection.next().await? {
            Event::Housekeeping => {}
            other => return Ok(format!("{other:?}")),
        }
    }
}

#[tokio::test]
async fn connect_tells_the_receive_buffer_and_the_session() {
    let (listener, tcp) = listener().await;
    let mut resources = Resources::new();
    let mut link = link_to(tcp, &mut resources);
    let broker = async {
        let (mut peer, connect) = Peer::accept(&listener).await;
        peer.send(&CONNACK).await;
        connect
    };
    let (connection, connect) = tokio::join!(link.connect(), broker);
    assert!(connection.is_ok());
    let has = |wanted: &[u8]| connect.windows(wanted.len()).any(|part| part == wanted);
    let rx = u32::try_from(RX_LEN_MIN).unwrap().to_be_bytes();
    assert!(has(&[&[39][..], &rx].concat()), "{connect:?}");
    assert!(has(&[17, 0, 0, 0x0e, 0x10]), "{connect:?}");
    assert!(connect.ends_with(b"\0\x07board-1"));
}

#[test]
fn credentials_have_to_fit_beside_the_largest_report() {
    // What CONNECT takes is kept for the next one: an outcome without room would never be sent.
    let (user, password) = ("board", [0x5A; 91]);
    let options = MqttOptions {
        credentials: Some((user, &password)),
        ..MqttOptions::new("board-1")
    };
    let made = |tx: &mut [u8]| {
        let rx = &mut [0; RX_LEN_MIN];
        let tcp = Tcp(([127, 0, 0, 1], 1_883).into());
        MqttLink::new(Buffers { rx, tx }, &options, tcp).err()
    };
    let needed = TX_LEN_MIN + 2 + user.len() + 2 + password.len();
    let refused = Some(OptionsError::TxTooSmall);
    assert_eq!(made(&mut vec![0; needed - 1]), refused);
    assert_eq!(made(&mut vec![0; needed]), None);
}

#[tokio::test]
async fn a_refused_connect_says_why() {
    let (listener, tcp) = listener().await;
    let mut resources = Resources::new();
    let mut link = link_to(tcp, &mut resources);
    let broker = async {
        let (mut peer, _) = Peer::accept(&listener).await;
        peer.send(&[0x20, 3, 0, 0x87, 0]).await;
    };
    let (connection, ()) = tokio::join!(link.connect(), broker);
    assert_eq!(connection.err(), Some(LinkError::Refused(0x87)));
}

#[tokio::test]
async fn a_stream_that_cannot_be_opened_is_an_error_of_the_stream() {
    let (listener, tcp) = listener().await;
    drop(listener);
    let mut resources = Resources::new();
    let mut link = link_to(tcp, &mut resources);
    assert_eq!(link.connect().await.err(), Some(LinkError::Stream));
}

/// What becomes of a SUBSCRIBE that is answered like this.
async fn subscribed(codes: &[u8]) -> String {
    let (listener, tcp) = listener().await;
    let mut resources = Resources::new();
    let mut link = link_to(tcp, &mut resources);
    let broker = async {
        let (mut peer, _) = Peer::accept(&listener).await;
        peer.send(&CONNACK).await;
        let (first, body) = peer.packet().await;
        assert_eq!(first, 0x82);
        let length = u8::try_from(3 + codes.len()).unwrap();
        let head = [0x90, length, body[0], body[1], 0];
        peer.send(&[&head[..], codes].concat()).await;
        // A message after it shows that the connection goes on.
        peer.send(b"\x30\x06\0\x01t\0hi").await;
        peer
    };
    let device = async {
        let mut connection = link.connect().await.unwrap();
        subscribe(&mut connection).await.unwrap();
        let answer = next(&mut connection).await.unwrap();
        let message = next(&mut connection).await.unwrap();
        assert!(message.contains("topic: \"t\""), "{message}");
        answer
    };
    tokio::join!(device, broker).0
}

#[tokio::test]
async fn a_suback_tells_whether_every_filter_was_granted() {
    assert_eq!(subscribed(&[1, 1]).await, "Subscribed { granted: true }");
    assert_eq!(
        subscribed(&[1, 0x87]).await,
        "Subscribed { granted: false }"
    );
    assert_eq!(
        subscribed(&[0x87, 1]).await,
        "Subscribed { granted: false }"
    );
}

#[tokio::test]
async fn a_refused_publish_ends_neither_the_connection_nor_the_subscription() {
    let (listener, tcp) = listener().await;
    let mut resources = Resources::new();
    let mut link = link_to(tcp, &mut resources);
    let broker = async {
        let (mut peer, _) = Peer::accept(&listener).await;
        peer.send(&CONNACK).await;
        let (first, publish) = peer.packet().await;
        assert_eq!(first, 0x32);
        let id = &publish[6..8];
        peer.send(&[0x40, 4, id[0], id[1], 0x87, 0]).await;
        let (first, body) = peer.packet().await;
        assert_eq!(first, 0x82);
        peer.send(&[0x90, 5, body[0], body[1], 0, 1, 1]).await;
        peer
    };
    let device = async {
        let mut connection = link.connect().await.unwrap();
        connection.send(SOME).await.unwrap();
        assert_eq!(connection.next().await, Ok(Event::Housekeeping));
        subscribe(&mut connection).await.unwrap();
        assert_eq!(
            next(&mut connection).await.unwrap(),
            "Subscribed { granted: true }"
        );
    };
    tokio::join!(device, broker);
}

#[tokio::test]
async fn a_broker_that_acknowledges_nothing_leaves_no_room_in_the_end() {
    let (listener, tcp) = listener().await;
    let mut resources = Resources::new();
    let mut link = link_to(tcp, &mut resources);
    let broker = async {
        let (mut peer, _) = Peer::accept(&listener).await;
        peer.send(&CONNACK).await;
        peer
    };
    let device = async {
        let mut connection = link.connect().await.unwrap();
        for sent in 0.. {
            match connection.send(SOME).await {
                Ok(()) => {}
                Err(error) => return (sent, error),
            }
        }
        unreachable!()
    };
    let ((sent, error), _peer) = tokio::join!(device, broker);
    // As many as minimq keeps.
    assert_eq!((sent, error), (8, SendError::Busy));
}

#[tokio::test]
async fn a_message_is_acknowledged_only_when_the_next_one_is_asked_for() {
    let (listener, tcp) = listener().await;
    let mut resources = Resources::new();
    let mut link = link_to(tcp, &mut resources);
    let (mut connection, mut peer) = {
        let broker = async {
            let (mut peer, _) = Peer::accept(&listener).await;
            peer.send(&CONNACK).await;
            peer.send(b"\x32\x08\0\x01t\0\x09\0hi").await;
            peer
        };
        let (connection, peer) = tokio::join!(link.connect(), broker);
        (connection.unwrap(), peer)
    };
    let message = next(&mut connection).await.unwrap();
    assert!(message.contains("topic: \"t\""), "{message}");
    let nothing_yet = peer.0.try_read(&mut [0; 8]);
    assert!(nothing_yet.is_err(), "{nothing_yet:?}");
    let (first, body) = tokio::select! {
        event = next(&mut connection) => panic!("{event:?}"),
        (first, body) = peer.packet() => (first, body),
    };
    assert_eq!((first, &body[..2]), (0x40, &[0, 9][..]));
}

#[tokio::test]
async fn what_is_no_mqtt_ends_the_connection() {
    let (listener, tcp) = listener().await;
    let mut resources = Resources::new();
    let mut link = link_to(tcp, &mut resources);
    let broker = async {
        let (mut peer, _) = Peer::accept(&listener).await;
        peer.send(&CONNACK).await;
        // Larger than the receive buffer, which the broker was told.
        peer.send(&[0x30, 0xff, 0xff, 0x7f]).await;
        peer
    };
    let device = async { next(&mut link.connect().await.unwrap()).await };
    let (event, _peer) = tokio::join!(device, broker);
    assert_eq!(event, Err(LinkError::Protocol));
}
