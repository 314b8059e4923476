//! [`Link`] over a connection that the program already has.
//!
//! A program with an MQTT client of its own need not open a second connection for its agent: it
//! lends the one it has. It keeps its [`EventLoop`], tells a [`LinkFeed`] what that says, and gives
//! the [`BorrowedLink`] to its agent. Everything but the Jobs topics of the agent's thing keeps
//! flowing to the program.
//!
//! ```no_run
//! use agent_std::link::borrowed::{lend, rumqttc};
//! use agent_std::link::MAX_PACKET_BYTES;
//! use agent_std::{Agent, Outcome};
//! use rumqttc::{AsyncClient, MqttOptions};
//!
//! # async fn program() -> Result<(), Box<dyn std::error::Error>> {
//! let mut options = MqttOptions::new("pump-17", ("127.0.0.1", 1883));
//! options.set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
//! let (client, mut eventloop) = AsyncClient::builder(options).build();
//!
//! let (link, mut feed) = lend(&client, &eventloop)?;
//! tokio::spawn(
//!     Agent::new("pump-17", link)
//!         .on("blink", |_: serde_json::Value, _| async { Outcome::succeeded() })
//!         .run(),
//! );
//! loop {
//!     match feed.poll(&mut eventloop).await {
//!         Ok(event) => println!("the program's own: {event:?}"),
//!         Err(_) => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
//!     }
//! }
//! # }
//! ```
//!
//! # What the program keeps, and what it must not do
//!
//! Connecting, reconnecting and the wait between attempts (with jitter, please), the session, the
//! last will and the end of the connection stay the program's. It must
//!
//! * tell the feed **every** result of [`EventLoop::poll`], errors too, in order and without delay;
//! * accept packets of [`MAX_PACKET_BYTES`]: the library's default of 10 KiB ends the connection at
//!   the first large job document ([`lend`] checks it);
//! * neither subscribe to nor unsubscribe from Jobs topics of the agent's thing, nor expect to see
//!   their messages;
//! * acknowledge the agent's messages as its own, if it has switched to manual acknowledgement;
//! * end a connection whose broker acknowledges nothing any more although it answers pings: each PUBACK
//!   that never comes (AWS IoT sends none for a publish that it throttles) takes a place of the
//!   client's window for good, and a full window stops the agent's sends with the program's own;
//! * not give the connection the client id of another one.
//!
//! # The three rules of a link on somebody else's connection
//!
//! Sends are reported lost once, before the end of their connection, and nothing is taken while
//! there is none. One thing is weaker than on a connection of the agent's own: if the broker **kept
//! the session**, the program's client sends again what was on its way when the connection broke, as
//! MQTT 3.1.1 (4.4.0-1) asks of it, the agent's publishes among them, and before anything the agent
//! sends on the new connection. To the service that is a repeated update, which it gets from MQTT at
//! QoS 1 anyway; the agent counts replies by their token. With a clean session nothing is repeated,
//! except a send made in the very moment between the failure and the feed's hearing of it.

mod feed;
mod sends;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

pub use rumqttc;
use rumqttc::{AsyncClient, ClientError, EventLoop, PublishOptions, QoS, SubscribeFilterInput};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::mailbox::{Connection, Mail};
use super::notices::{self, library_qos, published, subscribed};
use super::options::CLOSE_TIMEOUT_MS;
use super::things::thing_of;
use super::{
    ConfigError, Link, LinkError, LinkEvent, MAX_OUTSTANDING, MAX_PACKET_BYTES, Qos, SendError,
    SendId,
};
use feed::Lent;
pub use feed::LinkFeed;
use sends::Sends;

/// Lends a connection: the link is for one agent (or a [`Hub`](super::hub::Hub) of them), the feed
/// stays with the event loop.
///
/// It may be lent before the first poll or later; the link is up at the next packet that arrives.
///
/// # Errors
/// [`ConfigError::BadValue`] when the client takes only packets that are too small.
pub fn lend(
    client: &AsyncClient,
    eventloop: &EventLoop,
) -> Result<(BorrowedLink, LinkFeed), ConfigError> {
    if eventloop.mqtt_options.max_packet_size() < MAX_PACKET_BYTES {
        return Err(ConfigError::BadValue {
            what: "the lent client refuses packets as large as a job document: \
                   set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES)",
        });
    }
    let lent = Arc::new(Lent::default());
    let limit_s = eventloop.network_options().connection_timeout();
    let feed = LinkFeed::new(Arc::clone(&lent), limit_s);
    let link = BorrowedLink {
        lent,
        client: client.clone(),
        connection: None,
        sends: Sends::default(),
        filters: Vec::new(),
        ready: VecDeque::new(),
        closed: false,
        last_id: 0,
    };
    Ok((link, feed))
}

/// A [`Link`] over a connection that somebody else drives; see [`lend`].
pub struct BorrowedLink {
    lent: Arc<Lent>,
    client: AsyncClient,
    /// The connection the caller was told of.
    connection: Option<Connection>,
    sends: Sends,
    /// What was subscribed to, to be taken back at the end.
    filters: Vec<String>,
    /// Events that are known and not told yet.
    ready: VecDeque<LinkEvent>,
    closed: bool,
    last_id: u64,
}

impl std::fmt::Debug for BorrowedLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BorrowedLink")
            .field("connected", &self.connection.is_some())
            .field("unsettled", &self.sends.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl BorrowedLink {
    /// The client to send with, or why not.
    fn sender(&self) -> Result<&AsyncClient, SendError> {
        // The feed may know of the end of the connection before the caller does.
        if self.connection.is_none() || self.lent.mailbox.connection() != self.connection {
            return Err(SendError::Offline);
        }
        let outstanding = self.sends.len();
        if outstanding >= MAX_OUTSTANDING {
            return Err(SendError::Busy { outstanding });
        }
        Ok(&self.client)
    }

    fn not_taken(&self, error: &ClientError, what: &'static str) -> SendError {
        match error {
            ClientError::RequestChannelFull(_) => SendError::Busy {
                outstanding: self.sends.len(),
            },
            ClientError::InvalidRequest(_) => SendError::Invalid { what },
            ClientError::TrackingUnavailable => SendError::Invalid {
                what: "the lent client cannot tell what becomes of a send: make it with a builder",
            },
            // The event loop is gone, and its feed should have said so.
            _ => {
                self.lent.mailbox.put_down(LinkError::Withdrawn);
                SendError::Offline
            }
        }
    }

    fn new_id(&mut self) -> SendId {
        self.last_id = self.last_id.wrapping_add(1);
        SendId(self.last_id)
    }

    /// Reacts to what the feed reports.
    fn apply(&mut self, mail: Mail) {
        match mail {
            Mail::Up {
                connection,
                session_present,
            } => {
                self.connection = Some(connection);
                self.filters.clear();
                self.ready
                    .push_back(LinkEvent::Connected { session_present });
            }
            Mail::Message { topic, payload } => {
                self.ready.push_back(LinkEvent::Message { topic, payload });
            }
            Mail::Answer(event) => self.ready.push_back(event),
            Mail::Down(why) => {
                self.connection = None;
                self.ready.extend(self.sends.settle_all());
                self.ready.push_back(LinkEvent::Disconnected {
                    permanent: why.is_permanent(),
                    why,
                });
            }
        }
    }

    /// Waits until every send has its answer, or the connection is gone.
    async fn settle(&mut self) {
        while self.sends.len() > 0 {
            let Self { sends, lent, .. } = self;
            tokio::select! {
                event = poll_fn(|cx| sends.poll_settled(cx)) => self.ready.push_back(event),
                mail = lent.mailbox.take() => match mail {
                    // Nobody wants to hear of anything but answers any more.
                    Mail::Down(_) => return,
                    Mail::Up { .. } | Mail::Message { .. } | Mail::Answer(_) => {}
                },
            }
        }
    }

    /// Takes back what was subscribed to, so that the program is not left with its messages.
    async fn unsubscribe(&mut self) {
        let filters = std::mem::take(&mut self.filters);
        if filters.is_empty() || self.lent.mailbox.connection() != self.connection {
            return;
        }
        if let Ok(notice) = self.client.try_unsubscribe_many_tracked(filters) {
            let _ = notice.wait_async().await;
        }
    }
}

impl Link for BorrowedLink {
    async fn next(&mut self) -> LinkEvent {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            if self.closed {
                return LinkEvent::Disconnected {
                    why: LinkError::Closed,
                    permanent: true,
                };
            }
            let Self { sends, lent, .. } = self;
            tokio::select! {
                biased;
                event = poll_fn(|cx| sends.poll_settled(cx)) => return event,
                mail = lent.mailbox.take() => self.apply(mail),
            }
        }
    }

    fn publish(&mut self, topic: &str, payload: &[u8], qos: Qos) -> Result<SendId, SendError> {
        notices::check_size(topic, payload)?;
        let notice = self
            .sender()?
            .try_publish_tracked(topic, payload, PublishOptions::new(library_qos(qos)))
            .map_err(|error| self.not_taken(&error, "topic of a publish"))?;
        let id = self.new_id();
        self.sends.add(id, published(id, notice));
        debug!(topic, bytes = payload.len(), id = id.0, "publish");
        Ok(id)
    }

    /// Only Jobs topics: by them the feed tells the agent's messages from the program's.
    fn subscribe(&mut self, filters: &[&str]) -> Result<SendId, SendError> {
        let things: Option<Vec<&str>> = filters.iter().map(|&filter| thing_of(filter)).collect();
        let Some(things) = things.filter(|things| !things.is_empty()) else {
            return Err(SendError::Invalid {
                what: "a borrowed link carries the Jobs topics of things, and nothing else",
            });
        };
        let inputs = filters
            .iter()
            .map(|&filter| SubscribeFilterInput::new(filter, QoS::AtLeastOnce));
        let client = self.sender()?;
        // Before the first message can come.
        things.into_iter().for_each(|thing| self.lent.add(thing));
        let notice = client
            .try_subscribe_many_tracked(inputs)
            .map_err(|error| self.not_taken(&error, "topic filter of a subscribe"))?;
        let id = self.new_id();
        self.sends.add(id, subscribed(id, notice));
        self.filters
            .extend(filters.iter().map(|&filter| filter.to_owned()));
        debug!(?filters, id = id.0, "subscribe");
        Ok(id)
    }

    /// As [`Link::close`], except that the connection stays: the link unsubscribes and lets go.
    async fn close(&mut self) {
        if self.closed {
            return;
        }
        let deadline = Instant::now() + Duration::from_millis(CLOSE_TIMEOUT_MS);
        // Leave a fifth of the time for UNSUBSCRIBE.
        let settle_by = deadline - Duration::from_millis(CLOSE_TIMEOUT_MS / 5);
        if self.connection.is_some() {
            let _ = timeout_at(settle_by, self.settle()).await;
            let _ = timeout_at(deadline, self.unsubscribe()).await;
        }
        self.connection = None;
        self.ready.retain(|event| {
            matches!(
                event,
                LinkEvent::Acked(_) | LinkEvent::Lost(_) | LinkEvent::SubAck { .. }
            )
        });
        self.ready.extend(self.sends.settle_all());
        self.closed = true;
    }
}
