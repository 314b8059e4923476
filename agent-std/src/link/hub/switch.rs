//! The task that has the connection, and passes on what comes and goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::Room;
use crate::link::mailbox::{Connection, Mailbox};
use crate::link::things::thing_of;
use crate::link::{Link, LinkEvent, Qos, SendError, SendId};

/// How soon a send is tried again that the link had no room for, in milliseconds, if no answer
/// makes room before: a lent connection can be full of the program's own sends.
const ROOM_LOOK_MS: u64 = 50;

/// What a member wants to be sent.
#[derive(Debug)]
pub(super) enum Send {
    Publish {
        topic: String,
        payload: Vec<u8>,
        qos: Qos,
    },
    Subscribe {
        filters: Vec<String>,
    },
}

/// A send of a member, on a connection it was told of.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) connection: Connection,
    pub(super) id: SendId,
    pub(super) send: Send,
}

pub(super) struct Switch<L> {
    link: L,
    room: Arc<Room>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// Whose sends are on their way, by the id that the link gave them.
    sent: HashMap<SendId, (Arc<Mailbox>, SendId)>,
    /// The link had no room for it; those behind it wait, so that nobody overtakes.
    held: Option<Request>,
}

impl<L: Link> Switch<L> {
    pub(super) fn new(
        link: L,
        room: Arc<Room>,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Self {
        Self {
            link,
            room,
            requests,
            sent: HashMap::new(),
            held: None,
        }
    }

    /// Until the hub and all its members are gone.
    pub(super) async fn run(mut self) {
        loop {
            let waits = self.held.is_some();
            tokio::select! {
                event = self.link.next() => {
                    self.on_event(event);
                    self.try_held();
                }
                request = self.requests.recv(), if !waits => match request {
                    Some(request) => self.perform(request),
                    None => break,
                },
                () = tokio::time::sleep(Duration::from_millis(ROOM_LOOK_MS)), if waits => {
                    self.try_held();
                }
            }
        }
        debug!("nobody is on the hub any more");
        self.link.close().await;
    }

    fn perform(&mut self, request: Request) {
        // Its connection is gone, and its member has given it up.
        if request.mailbox.connection() != Some(request.connection) {
            return;
        }
        let sent = match &request.send {
            Send::Publish {
                topic,
                payload,
                qos,
            } => self.link.publish(topic, payload, *qos),
            Send::Subscribe { filters } => {
                let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
                self.link.subscribe(&filters)
            }
        };
        match sent {
            Ok(id) => {
                self.sent.insert(id, (request.mailbox, request.id));
            }
            Err(SendError::Busy { .. }) => self.held = Some(request),
            // The end of the connection is on its way to everybody.
            Err(SendError::Offline) => {}
            Err(error @ SendError::Invalid { .. }) => {
                warn!(%error, "a send of a member cannot be made");
                request.mailbox.put_answer(LinkEvent::Lost(request.id));
            }
        }
    }

    fn try_held(&mut self) {
        if let Some(request) = self.held.take() {
            self.perform(request);
        }
    }

    fn on_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected { session_present } => {
                self.everybody(Some(session_present), |mailbox| {
                    mailbox.put_up(session_present);
                });
            }
            LinkEvent::Disconnected { why, .. } => {
                self.sent.clear();
                self.held = None;
                self.everybody(None, |mailbox| mailbox.put_down(why.clone()));
            }
            LinkEvent::Message { topic, payload } => {
                let members = self.room.lock();
                let place = thing_of(&topic).and_then(|thing| members.mailboxes.get(thing));
                match place {
                    Some(Some(mailbox)) => mailbox.put_message(&topic, payload),
                    Some(None) | None => debug!(%topic, "nobody's message"),
                }
            }
            LinkEvent::Acked(id) => self.answer(id, LinkEvent::Acked),
            LinkEvent::Lost(id) => self.answer(id, LinkEvent::Lost),
            LinkEvent::SubAck { id, granted } => {
                self.answer(id, |id| LinkEvent::SubAck { id, granted });
            }
        }
    }

    fn everybody(&self, up: Option<bool>, tell: impl Fn(&Mailbox)) {
        let mut members = self.room.lock();
        members.up = up;
        members
            .mailboxes
            .values()
            .flatten()
            .for_each(|mailbox| tell(mailbox));
    }

    fn answer(&mut self, id: SendId, answer: impl FnOnce(SendId) -> LinkEvent) {
        if let Some((mailbox, id)) = self.sent.remove(&id) {
            mailbox.put_answer(answer(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use tokio::time::{Instant, sleep, timeout};

    use super::super::Hub;
    use super::*;

    /// A lent link that the program's own sends fill for a second, and that messages of others
    /// never leave alone.
    struct Crowded {
        free_at: Instant,
        ready: VecDeque<LinkEvent>,
        sent: u64,
    }

    impl Link for Crowded {
        async fn next(&mut self) -> LinkEvent {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            sleep(Duration::from_millis(ROOM_LOOK_MS / 2)).await;
            LinkEvent::Message {
                topic: "$aws/things/other/jobs/notify".to_owned(),
                payload: Bytes::new(),
            }
        }

        fn publish(&mut self, _: &str, _: &[u8], _: Qos) -> Result<SendId, SendError> {
            if Instant::now() < self.free_at {
                return Err(SendError::Busy { outstanding: 0 });
            }
            self.sent += 1;
            let id = SendId(self.sent);
            self.ready.push_back(LinkEvent::Acked(id));
            Ok(id)
        }

        fn subscribe(&mut self, _: &[&str]) -> Result<SendId, SendError> {
            Err(SendError::Offline)
        }

        async fn close(&mut self) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_that_had_no_room_is_made_as_soon_as_there_is_some() {
        let hub = Hub::over(Crowded {
            free_at: Instant::now() + Duration::from_secs(1),
            ready: VecDeque::from([LinkEvent::Connected {
                session_present: false,
            }]),
            sent: 0,
        });
        let mut member = hub.join("pump-17").unwrap();
        assert!(matches!(member.next().await, LinkEvent::Connected { .. }));
        let topic = "$aws/things/pump-17/jobs/get";
        let sends = [(); 3].map(|()| member.publish(topic, b"{}", Qos::AtLeastOnce).unwrap());
        for send in sends {
            let answer = timeout(Duration::from_secs(2), member.next()).await;
            assert_eq!(answer, Ok(LinkEvent::Acked(send)));
        }
    }
}
