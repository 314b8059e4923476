//! One agent's link on a hub.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Room;
use super::switch::{Request, Send};
use crate::link::mailbox::{Connection, Mail, Mailbox};
use crate::link::notices::check_size;
use crate::link::options::CLOSE_TIMEOUT_MS;
use crate::link::things::thing_of;
use crate::link::{Link, LinkError, LinkEvent, MAX_OUTSTANDING, Qos, SendError, SendId};

/// One agent's [`Link`] on a [`Hub`](super::Hub). Dropping it leaves the hub.
#[derive(Debug)]
pub struct HubLink {
    thing: String,
    mailbox: Arc<Mailbox>,
    requests: mpsc::UnboundedSender<Request>,
    room: Arc<Room>,
    /// The connection the caller was told of.
    connection: Option<Connection>,
    unsettled: BTreeSet<SendId>,
    /// Events that are known and not told yet.
    ready: VecDeque<LinkEvent>,
    closed: bool,
    last_id: u64,
}

impl HubLink {
    pub(super) fn new(
        thing: String,
        mailbox: Arc<Mailbox>,
        requests: mpsc::UnboundedSender<Request>,
        room: Arc<Room>,
    ) -> Self {
        Self {
            thing,
            mailbox,
            requests,
            room,
            connection: None,
            unsettled: BTreeSet::new(),
            ready: VecDeque::new(),
            closed: false,
            last_id: 0,
        }
    }

    /// Hands a send to the switch.
    fn ask(&mut self, send: Send) -> Result<SendId, SendError> {
        let connection = match self.connection {
            Some(connection) if self.mailbox.connection() == Some(connection) => connection,
            // The switch may know of the end of the connection before the caller does.
            _ => return Err(SendError::Offline),
        };
        let outstanding = self.unsettled.len();
        if outstanding >= MAX_OUTSTANDING {
            return Err(SendError::Busy { outstanding });
        }
        self.last_id = self.last_id.wrapping_add(1);
        let id = SendId(self.last_id);
        let request = Request {
            mailbox: Arc::clone(&self.mailbox),
            connection,
            id,
            send,
        };
        // The switch ends after its last member.
        self.requests
            .send(request)
            .map_err(|_| SendError::Offline)?;
        self.unsettled.insert(id);
        Ok(id)
    }

    fn ours(&self, topic: &str) -> Result<(), SendError> {
        if thing_of(topic) == Some(&self.thing) {
            return Ok(());
        }
        Err(SendError::Invalid {
            what: "a link of a hub carries the Jobs topics of its thing, and nothing else",
        })
    }

    /// Reacts to what the switch reports.
    fn apply(&mut self, mail: Mail) {
        match mail {
            Mail::Up {
                connection,
                session_present,
            } => {
                self.connection = Some(connection);
                self.ready
                    .push_back(LinkEvent::Connected { session_present });
            }
            Mail::Message { topic, payload } => {
                self.ready.push_back(LinkEvent::Message { topic, payload });
            }
            Mail::Answer(event) => {
                // An answer may come after its send was given up with its connection.
                if answered(&event).is_some_and(|id| self.unsettled.remove(&id)) {
                    self.ready.push_back(event);
                }
            }
            Mail::Down(why) => {
                self.connection = None;
                self.give_up();
                self.ready.push_back(LinkEvent::Disconnected {
                    permanent: why.is_permanent(),
                    why,
                });
            }
        }
    }

    fn give_up(&mut self) {
        let lost = std::mem::take(&mut self.unsettled);
        self.ready.extend(lost.into_iter().map(LinkEvent::Lost));
    }

    /// Waits until every send has its answer, or the connection is gone.
    async fn settle(&mut self) {
        while self.connection.is_some() && !self.unsettled.is_empty() {
            let mail = self.mailbox.take().await;
            self.apply(mail);
        }
    }
}

/// The send that an event settles.
fn answered(event: &LinkEvent) -> Option<SendId> {
    match event {
        LinkEvent::Acked(id) | LinkEvent::Lost(id) | LinkEvent::SubAck { id, .. } => Some(*id),
        LinkEvent::Connected { .. }
        | LinkEvent::Message { .. }
        | LinkEvent::Disconnected { .. } => None,
    }
}

impl Link for HubLink {
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
            let mail = self.mailbox.take().await;
            self.apply(mail);
        }
    }

    fn publish(&mut self, topic: &str, payload: &[u8], qos: Qos) -> Result<SendId, SendError> {
        self.ours(topic)?;
        check_size(topic, payload)?;
        self.ask(Send::Publish {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos,
        })
    }

    fn subscribe(&mut self, filters: &[&str]) -> Result<SendId, SendError> {
        if filters.is_empty() {
            return Err(SendError::Invalid {
                what: "a subscribe without a filter",
            });
        }
        filters.iter().try_for_each(|filter| self.ours(filter))?;
        let filters = filters.iter().map(|&filter| filter.to_owned()).collect();
        self.ask(Send::Subscribe { filters })
    }

    /// As [`Link::close`], except that the connection stays with the others.
    async fn close(&mut self) {
        if self.closed {
            return;
        }
        let settle_by = Instant::now() + Duration::from_millis(CLOSE_TIMEOUT_MS);
        let _ = timeout_at(settle_by, self.settle()).await;
        self.connection = None;
        self.ready.retain(|event| answered(event).is_some());
        self.give_up();
        self.closed = true;
    }
}

impl Drop for HubLink {
    fn drop(&mut self) {
        if let Some(place) = self.room.lock().mailboxes.get_mut(&self.thing) {
            *place = None;
        }
    }
}
