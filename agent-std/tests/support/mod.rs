//! A broker that does what a test tells it, one packet at a time, written against MQTT 3.1.1
//! itself and not against the client library it examines.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::future::Future;
use std::time::Duration;

use agent_std::link::{BackoffOptions, Link, LinkError, LinkEvent, LinkOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Long enough that only a hang reaches it, however loaded the machine is.
const HANG: Duration = Duration::from_secs(60);

pub const CONNECT: u8 = 1;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const SUBSCRIBE: u8 = 8;
pub const PINGREQ: u8 = 12;
pub const DISCONNECT: u8 = 14;

/// Fails the test instead of hanging it.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future)
        .await
        .expect("the test hangs here")
}

/// Options for a broker of this file: short waits, everything else as shipped.
pub fn options(port: u16) -> LinkOptions {
    let mut options = LinkOptions::new("127.0.0.1", port, "gateway-1");
    options.backoff = BackoffOptions {
        base_ms: 20,
        cap_ms: 50,
        permanent_ms: 100,
    };
    options
}

/// The next event, which must be a connection.
pub async fn connected(link: &mut impl Link) -> bool {
    match soon(link.next()).await {
        LinkEvent::Connected { session_present } => session_present,
        other => panic!("expected Connected, got {other:?}"),
    }
}

/// The next event, which must be a disconnection.
pub async fn disconnected(link: &mut impl Link) -> (LinkError, bool) {
    match soon(link.next()).await {
        LinkEvent::Disconnected { why, permanent } => (why, permanent),
        other => panic!("expected Disconnected, got {other:?}"),
    }
}

/// The next event, which must be a message.
pub async fn message(link: &mut impl Link) -> (String, Vec<u8>) {
    match soon(link.next()).await {
        LinkEvent::Message { topic, payload } => (topic, payload.to_vec()),
        other => panic!("expected a message, got {other:?}"),
    }
}

pub struct Broker {
    listener: TcpListener,
    pub port: u16,
}

impl Broker {
    pub async fn start() -> Self {
        Self::on("127.0.0.1:0").await
    }

    pub async fn on(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    /// The next TCP connection, before CONNECT.
    pub async fn accept(&self) -> Peer<TcpStream> {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream }
    }

    /// The next client, with its CONNECT taken and accepted.
    pub async fn welcome(&self, session_present: bool) -> Peer<TcpStream> {
        let mut peer = self.accept().await;
        peer.expect(CONNECT).await;
        peer.connack(session_present, 0).await;
        peer
    }
}

pub struct Packet {
    pub kind: u8,
    pub flags: u8,
    pub body: Vec<u8>,
}

pub struct Publish {
    pub topic: String,
    pub packet_id: u16,
    pub payload: Vec<u8>,
    pub dup: bool,
}

/// The broker's side of one connection.
pub struct Peer<S> {
    pub stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The next packet, or `None` when the client closed the connection.
    pub async fn packet(&mut self) -> Option<Packet> {
        soon(async {
            let first = self.stream.read_u8().await.ok()?;
            let (mut length, mut shift) = (0_usize, 0);
            loop {
                let byte = self.stream.read_u8().await.ok()?;
                length |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await.ok()?;
            Some(Packet {
                kind: first >> 4,
                flags: first & 0x0f,
                body,
            })
        })
        .await
    }

    /// The next packet apart from pings, which must be of this kind.
    pub async fn expect(&mut self, kind: u8) -> Packet {
        loop {
            let packet = self
                .packet()
                .await
                .expect("the client closed the connection");
            if packet.kind == PINGREQ && kind != PINGREQ {
                self.raw(&[0xd0, 0]).await;
                continue;
            }
            assert_eq!(packet.kind, kind, "kind of packet");
            return packet;
        }
    }

    pub async fn expect_publish(&mut self) -> Publish {
        let packet = self.expect(PUBLISH).await;
        let (topic, mut rest) = text(&packet.body);
        let mut packet_id = 0;
        if packet.flags & 0b0110 != 0 {
            packet_id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
        }
        Publish {
            topic,
            packet_id,
            payload: rest.to_vec(),
            dup: packet.flags & 0b1000 != 0,
        }
    }

    /// The packet id and filters of the next packet, which must be a SUBSCRIBE.
    pub async fn expect_subscribe(&mut self) -> (u16, Vec<String>) {
        let packet = self.expect(SUBSCRIBE).await;
        let packet_id = u16::from_be_bytes([packet.body[0], packet.body[1]]);
        let (mut rest, mut filters) = (&packet.body[2..], Vec::new());
        while !rest.is_empty() {
            let (filter, tail) = text(rest);
            filters.push(filter);
            rest = &tail[1..];
        }
        (packet_id, filters)
    }

    pub async fn connack(&mut self, session_present: bool, code: u8) {
        self.raw(&[0x20, 2, u8::from(session_present), code]).await;
    }

    pub async fn puback(&mut self, packet_id: u16) {
        let [high, low] = packet_id.to_be_bytes();
        self.raw(&[0x40, 2, high, low]).await;
    }

    pub async fn suback(&mut self, packet_id: u16, codes: &[u8]) {
        let mut bytes = vec![0x90, u8::try_from(codes.len() + 2).unwrap()];
        bytes.extend(packet_id.to_be_bytes());
        bytes.extend(codes);
        self.raw(&bytes).await;
    }

    /// Sends a message at QoS 1, or at QoS 0 when the packet id is 0.
    pub async fn publish(&mut self, topic: &str, packet_id: u16, payload: &[u8]) {
        self.raw(&publish_bytes(topic, packet_id, payload)).await;
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
        soon(self.stream.flush()).await.unwrap();
    }
}

/// A PUBLISH at QoS 1, or at QoS 0 when the packet id is 0.
pub fn publish_bytes(topic: &str, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    if packet_id != 0 {
        body.extend(packet_id.to_be_bytes());
    }
    body.extend(payload);
    let mut bytes = vec![if packet_id == 0 { 0x30 } else { 0x32 }];
    let mut left = body.len();
    loop {
        let digit = u8::try_from(left % 128).unwrap();
        left /= 128;
        bytes.push(if left > 0 { digit | 0x80 } else { digit });
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn text(bytes: &[u8]) -> (String, &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    let (head, rest) = bytes[2..].split_at(length);
    (String::from_utf8(head.to_vec()).unwrap(), rest)
}
