//! A service that does what a test tells it, one answer at a time, written against HTTP/1.1 itself and
//! not against the library it examines.

use std::time::Duration;

use agent_std::link::https::{HttpsLink, HttpsOptions, PollOptions};
use agent_std::link::{BackoffOptions, Link, LinkError, LinkEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{THING, soon};

pub(crate) const IDLE: &str = r#"{"inProgressJobs":[],"queuedJobs":[]}"#;

/// Options for a service of this file: short waits, everything else as shipped.
pub(crate) fn options(port: u16) -> HttpsOptions {
    let mut options = HttpsOptions::new("127.0.0.1", port, THING);
    options.backoff = BackoffOptions {
        base_ms: 20,
        cap_ms: 50,
        permanent_ms: 100,
    };
    // No look at the queue unless a test wants one.
    options.poll = PollOptions {
        busy_ms: 600_000,
        idle_ms: 600_000,
    };
    options
}

pub(crate) struct Service {
    listener: TcpListener,
    pub(crate) port: u16,
}

/// One request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The service's side of one connection.
pub(crate) struct Peer(TcpStream);

impl Service {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    pub(crate) async fn accept(&self) -> Peer {
        Peer(soon(self.listener.accept()).await.unwrap().0)
    }

    /// A link that this service has let in, and the connection between them.
    pub(crate) async fn welcome(&self, options: HttpsOptions) -> (HttpsLink, Peer) {
        let mut link = HttpsLink::open(options).unwrap();
        let peer = self.let_in(&mut link).await;
        (link, peer)
    }

    /// Lets the link in once more.
    pub(crate) async fn let_in(&self, link: &mut HttpsLink) -> Peer {
        let mut peer = self.accept().await;
        assert_eq!(
            peer.asked().await.line,
            format!("GET /things/{THING}/jobs HTTP/1.1")
        );
        peer.answer(200, "", IDLE).await;
        let event = soon(link.next()).await;
        assert!(matches!(event, LinkEvent::Connected { .. }), "{event:?}");
        peer
    }
}

impl Peer {
    /// The next request, or `None` when the client closed the connection.
    pub(crate) async fn maybe_asked(&mut self) -> Option<Asked> {
        soon(async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.ok()?);
            }
            let head = String::from_utf8(head).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                let length = name.eq_ignore_ascii_case("content-length");
                length.then(|| value.parse::<usize>().unwrap())
            });
            let mut body = vec![0; length.unwrap_or(0)];
            self.0.read_exact(&mut body).await.ok()?;
            Some(Asked {
                line: head.lines().next().unwrap().to_owned(),
                head,
                body: String::from_utf8(body).unwrap(),
            })
        })
        .await
    }

    pub(crate) async fn asked(&mut self) -> Asked {
        self.maybe_asked().await.expect("the client closed")
    }

    /// An answer with a length; `headers` are lines.
    pub(crate) async fn answer(&mut self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        let text =
            format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        self.raw(text.as_bytes()).await;
    }

    /// What the client does not want any more may not all be written.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let _ = soon(self.0.write_all(bytes)).await;
    }
}

/// The next event, which must be a disconnection.
pub(crate) async fn disconnected(link: &mut HttpsLink) -> (LinkError, bool) {
    match soon(link.next()).await {
        LinkEvent::Disconnected { why, permanent } => (why, permanent),
        other => panic!("expected Disconnected, got {other:?}"),
    }
}

/// The next event, which must be a message.
pub(crate) async fn message(link: &mut HttpsLink) -> (String, String) {
    match soon(link.next()).await {
        LinkEvent::Message { topic, payload } => {
            (topic, String::from_utf8(payload.to_vec()).unwrap())
        }
        other => panic!("expected a message, got {other:?}"),
    }
}

/// Nothing comes for a moment.
pub(crate) async fn quiet(link: &mut HttpsLink) {
    let waited = tokio::time::timeout(Duration::from_millis(100), link.next()).await;
    assert!(waited.is_err(), "{waited:?}");
}
