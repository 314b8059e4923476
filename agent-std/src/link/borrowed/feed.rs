//! The program's side of a lent connection.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rumqttc::{ConnectionError, Event, EventLoop, Outgoing, Packet, Publish};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::link::LinkError;
use crate::link::kicks::Kicks;
use crate::link::mailbox::Mailbox;
use crate::link::rumqtt::fault;
use crate::link::things::thing_of;

/// What the program that lends its connection and the link that borrows it both hold.
#[derive(Debug, Default)]
pub(super) struct Lent {
    pub(super) mailbox: Mailbox,
    /// Whose Jobs topics are the link's: a thing enters when its topics are subscribed to.
    things: Mutex<HashSet<String>>,
}

impl Lent {
    pub(super) fn add(&self, thing: &str) {
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        if !things.contains(thing) {
            things.insert(thing.to_owned());
        }
    }

    fn has(&self, thing: &str) -> bool {
        let things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        things.contains(thing)
    }
}

/// The program's side of a lent connection: tell it everything that the event loop says.
///
/// Dropping it ends the loan: the link reports what it had sent as lost, and stays without a
/// connection from then on.
#[derive(Debug)]
pub struct LinkFeed {
    lent: Arc<Lent>,
    /// When the present connection came up.
    up_since: Option<Instant>,
    kicks: Kicks,
    connect_timeout_s: u64,
}

impl LinkFeed {
    pub(super) fn new(lent: Arc<Lent>, connect_timeout_s: u64) -> Self {
        Self {
            lent,
            up_since: None,
            kicks: Kicks::default(),
            connect_timeout_s,
        }
    }

    /// Polls the event loop and keeps what is the agent's; returns the rest to the program.
    ///
    /// # Errors
    /// Those of [`EventLoop::poll`]; how long to wait before the next call is the program's choice.
    ///
    /// # Cancel safety
    /// As [`EventLoop::poll`]: cancelled while it connects, it starts again from the beginning.
    pub async fn poll(&mut self, eventloop: &mut EventLoop) -> Result<Event, ConnectionError> {
        loop {
            let polled = eventloop.poll().await;
            if !self.take(&polled) {
                return polled;
            }
        }
    }

    /// Tells the link what [`EventLoop::poll`] returned, event or error; says whether it is a
    /// message of the agent's, which the program can forget.
    ///
    /// Returns at once. Every result must be told, in order and without delay: the link knows of
    /// the connection only from here.
    #[must_use = "what is the agent's is not for the program"]
    pub fn take(&mut self, polled: &Result<Event, ConnectionError>) -> bool {
        match polled {
            Ok(Event::Incoming(Packet::ConnAck(connack))) => {
                if self.up_since.is_some() {
                    // The program has not told us of the end of the connection before.
                    let cause = "a new connection took its place".to_owned();
                    self.down(LinkError::PeerClosed { cause });
                }
                self.up(connack.session_present);
                false
            }
            Ok(Event::Incoming(packet)) => {
                // Lent in the middle of a connection: any sign of life will do.
                if self.up_since.is_none() {
                    self.up(false);
                }
                match packet {
                    Packet::Publish(publish) => self.message(publish),
                    _ => false,
                }
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(ConnectionError::RequestsDone) => {
                self.down(LinkError::Withdrawn);
                false
            }
            Ok(Event::Outgoing(_)) => false,
            Err(error) => {
                let why = match self.up_since {
                    Some(_) => fault::while_connected(error),
                    None => fault::while_connecting(error, self.connect_timeout_s),
                };
                self.down(why);
                false
            }
        }
    }

    fn up(&mut self, session_present: bool) {
        debug!(session_present, "the lent connection is up");
        self.up_since = Some(Instant::now());
        self.lent.mailbox.put_up(session_present);
    }

    fn down(&mut self, why: LinkError) {
        let why = match self.up_since.take() {
            Some(up_since) => self.kicks.judge(why, up_since),
            None => why,
        };
        // The program decides when to try again, so it is its log that tells of each attempt.
        debug!(error = %why, "the lent connection is not up");
        self.lent.mailbox.put_down(why);
    }

    fn message(&self, publish: &Publish) -> bool {
        let Ok(topic) = std::str::from_utf8(&publish.topic) else {
            warn!("left a message whose topic is not UTF-8 to the program");
            return false;
        };
        let ours = thing_of(topic).is_some_and(|thing| self.lent.has(thing));
        // The agent may have ended: its last messages are nobody's.
        if ours && Arc::strong_count(&self.lent) > 1 {
            debug!(topic, bytes = publish.payload.len(), "message");
            let payload = publish.payload.clone();
            self.lent.mailbox.put_message(topic, payload);
        }
        ours
    }
}

impl Drop for LinkFeed {
    fn drop(&mut self) {
        self.lent.mailbox.put_down(LinkError::Withdrawn);
    }
}
