//! A bare MQTT client and a bare HTTP client, written by hand, so that tests decide about every
//! packet and share no code with the front.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::net::SocketAddr;
use std::time::Duration;

use jobs_emulator::{Clock, Emulator, ManualClock, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// 2026-11-20 in ms: where manual clocks start.
pub(crate) const START_MS: u64 = 1_795_000_000_000;

/// Guards against a test that hangs; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// An emulator on a manual clock with some things.
pub(crate) async fn emulator(things: &[&str]) -> Emulator {
    let clock = Clock::Manual(ManualClock::new(START_MS));
    let emulator = Emulator::start(Options {
        clock,
        ..Options::default()
    })
    .await
    .unwrap();
    add_things(&emulator, things);
    emulator
}

pub(crate) fn add_things(emulator: &Emulator, things: &[&str]) {
    for thing in things {
        emulator
            .with_service(|service, now_ms| service.create_thing(now_ms, thing))
            .unwrap();
    }
}

pub(crate) fn create_job(emulator: &Emulator, job: &str, things: &[&str]) {
    let document = json!({"operation": "reboot"});
    emulator
        .with_service(|service, now_ms| service.create_job(now_ms, job, things, &document))
        .unwrap();
}

/// A topic of a thing.
pub(crate) fn topic(thing: &str, rest: &str) -> String {
    format!("$aws/things/{thing}/jobs/{rest}")
}

/// Any stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A PUBLISH that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) packet_id: Option<u16>,
}

impl Message {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }
}

/// A packet: first byte and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

impl Packet {
    pub(crate) fn message(&self) -> Message {
        assert_eq!(self.first >> 4, 3, "a PUBLISH, not {self:?}");
        let length = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        let topic = String::from_utf8(self.body[2..2 + length].to_vec()).unwrap();
        let qos = (self.first >> 1) & 3;
        let mut at = 2 + length;
        let mut packet_id = None;
        if qos > 0 {
            packet_id = Some(u16::from_be_bytes([self.body[at], self.body[at + 1]]));
            at += 2;
        }
        Message {
            topic,
            payload: self.body[at..].to_vec(),
            qos,
            dup: self.first & 8 != 0,
            retain: self.first & 1 != 0,
            packet_id,
        }
    }
}

/// An MQTT 3.1.1 client that does nothing by itself.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    packet_id: u16,
}

/// What a client asks for in CONNECT.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) client_id: String,
    pub(crate) clean: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) will: Option<(String, Vec<u8>)>,
}

impl Hello {
    pub(crate) fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.into(),
            clean: true,
            keep_alive_s: 60,
            will: None,
        }
    }

    pub(crate) fn resuming(client_id: &str) -> Self {
        Self {
            clean: false,
            ..Self::new(client_id)
        }
    }
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [
        &u16::try_from(text.len()).unwrap().to_be_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

/// A connection that does not wait to fill a segment: an acknowledgement followed by a request would
/// take 40 ms otherwise.
async fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Client {
    /// Connects to the plain port and is let in.
    pub(crate) async fn connect(address: SocketAddr, client_id: &str) -> Self {
        Self::hello(address, &Hello::new(client_id)).await.0
    }

    /// Connects to the plain port; also tells whether a session was resumed.
    pub(crate) async fn hello(address: SocketAddr, hello: &Hello) -> (Self, bool) {
        let stream = open(address).await;
        Self::hello_over(Box::new(stream), hello)
            .await
            .expect("let in")
    }

    /// Says CONNECT over a stream; `None` if the other side hangs up or refuses.
    pub(crate) async fn hello_over(stream: Box<dyn Stream>, hello: &Hello) -> Option<(Self, bool)> {
        let mut client = Self {
            stream,
            packet_id: 0,
        };
        let mut flags = u8::from(hello.clean) << 1;
        let mut tail = text(&hello.client_id);
        if let Some((topic, payload)) = &hello.will {
            flags |= 0x04 | 0x08;
            tail.extend(text(topic));
            tail.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            tail.extend(payload);
        }
        let keep_alive = hello.keep_alive_s.to_be_bytes();
        let body = [&text("MQTT")[..], &[4, flags], &keep_alive, &tail].concat();
        client.send(0x10, &body).await;
        let connack = client.next().await?;
        assert_eq!(connack.first, 0x20, "CONNACK first");
        (connack.body[1] == 0).then(|| (client, connack.body[0] == 1))
    }

    pub(crate) async fn raw(address: SocketAddr) -> Self {
        let stream = open(address).await;
        Self {
            stream: Box::new(stream),
            packet_id: 0,
        }
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        // The other side may have hung up already, which the test sees when it reads.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub(crate) async fn send(&mut self, first: u8, body: &[u8]) {
        let mut bytes = vec![first];
        let mut length = body.len();
        loop {
            let low = u8::try_from(length % 128).unwrap();
            length /= 128;
            bytes.push(if length > 0 { low | 0x80 } else { low });
            if length == 0 {
                break;
            }
        }
        bytes.extend(body);
        self.send_bytes(&bytes).await;
    }

    /// The next packet, or `None` when the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .expect("the emulator answers")
    }

    async fn read(&mut self) -> Option<Packet> {
        let first = self.stream.read_u8().await.ok()?;
        let (mut length, mut shift) = (0usize, 0);
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
        Some(Packet { first, body })
    }

    /// The next packet, which has to be a PUBLISH; acknowledges it if it wants that.
    pub(crate) async fn message(&mut self) -> Message {
        let message = self.next().await.expect("still connected").message();
        if let Some(id) = message.packet_id {
            self.send(0x40, &id.to_be_bytes()).await;
        }
        message
    }

    /// Asserts that nothing else is on its way: the answer to a PINGREQ comes next.
    pub(crate) async fn expect_silence(&mut self) {
        self.send(0xc0, &[]).await;
        let next = self.next().await.expect("still connected");
        assert_eq!(next.first, 0xd0, "nothing but PINGRESP, not {next:?}");
    }

    pub(crate) async fn expect_closed(&mut self) {
        let next = self.next().await;
        assert_eq!(next, None, "the connection is closed");
    }

    /// Sends SUBSCRIBE and returns the codes of SUBACK.
    pub(crate) async fn subscribe(&mut self, filters: &[&str], qos: u8) -> Option<Vec<u8>> {
        let id = self.fresh_id();
        let mut body = id.to_be_bytes().to_vec();
        for filter in filters {
            body.extend(text(filter));
            body.push(qos);
        }
        self.send(0x82, &body).await;
        let suback = self.next().await?;
        assert_eq!(
            (suback.first, &suback.body[..2]),
            (0x90, &id.to_be_bytes()[..])
        );
        Some(suback.body[2..].to_vec())
    }

    /// Sends PUBLISH at QoS 0.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8]) {
        let body = [&text(topic)[..], payload].concat();
        self.send(0x30, &body).await;
    }

    /// Sends PUBLISH at QoS 1 and returns its packet id, without waiting.
    pub(crate) async fn publish_qos1(&mut self, topic: &str, payload: &[u8]) -> u16 {
        let id = self.fresh_id();
        let body = [&text(topic)[..], &id.to_be_bytes(), payload].concat();
        self.send(0x32, &body).await;
        id
    }

    /// Sends PUBLISH at QoS 1 and waits for its PUBACK, which has to come next.
    pub(crate) async fn publish_acked(&mut self, topic: &str, payload: &[u8]) {
        let id = self.publish_qos1(topic, payload).await;
        let puback = self.next().await.expect("still connected");
        assert_eq!(
            puback,
            Packet {
                first: 0x40,
                body: id.to_be_bytes().to_vec()
            }
        );
    }

    /// A request and its reply.
    pub(crate) async fn request(&mut self, topic: &str, payload: Value) -> Message {
        self.publish_acked(topic, payload.to_string().as_bytes())
            .await;
        self.message().await
    }

    pub(crate) async fn leave(mut self) {
        self.send(0xe0, &[]).await;
        self.expect_closed().await;
    }

    fn fresh_id(&mut self) -> u16 {
        self.packet_id += 1;
        self.packet_id
    }
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One HTTP request, signed (in form) for a service.
pub(crate) async fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    service: &str,
    extra: &str,
    body: &str,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let signed = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential=X/20261120/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\r\n{extra}"
    );
    http_over(stream, &format!("{method} {path}"), &signed, body).await
}

/// One HTTP request (method and path) on a stream of its own.
pub(crate) async fn http_over(
    mut stream: impl Stream,
    request: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let request = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // A refused body may close the connection before all of it is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the emulator answers");
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap(),
    }
}

/// A control-plane request.
pub(crate) async fn control(address: SocketAddr, method: &str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    http(address, method, path, "execute-api", "", &body).await
}
