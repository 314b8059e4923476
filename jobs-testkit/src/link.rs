//! The network between device and service: ordered, delayed, and faulty on demand.

use std::collections::VecDeque;

/// How long a message travels, milliseconds.
const LATENCY_MS: u64 = 20;

/// A fault, armed once and used up by the next message it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkFault {
    /// The next reply to a request is lost.
    DropReply,
    /// The next request is lost.
    DropRequest,
    /// The next request arrives twice (QoS 1).
    DuplicateRequest,
    /// The next notification arrives twice, the second time this much later, milliseconds.
    DuplicateNotification(u64),
    /// The next reply arrives twice, the second time this much later, milliseconds.
    DuplicateReply(u64),
    /// The next notification is lost.
    DropNotification,
    /// The next notification comes this much later than what follows it, milliseconds.
    DelayNotification(u64),
    /// Of the next message with a document, only this many bytes arrive: a small receive buffer.
    Truncate(usize),
    /// The connection is cut for this long, milliseconds; everything under way is lost.
    Cut(u64),
}

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Letter {
    /// When it arrives.
    pub at_ms: u64,
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Letter {
    pub(crate) fn in_words(&self) -> String {
        format!("{} {}", self.topic, String::from_utf8_lossy(&self.payload))
    }
}

/// Both directions of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Link {
    up: VecDeque<Letter>,
    down: VecDeque<Letter>,
    armed: Vec<LinkFault>,
    connected: bool,
    session_kept: bool,
    /// Largest message that the device takes, topic and payload, bytes.
    takes_max: Option<usize>,
    /// Publishes that the device sent, also those lost on the way.
    published: usize,
    subscribed: usize,
}

impl Link {
    /// Arms a fault.
    pub fn arm(&mut self, fault: LinkFault) {
        self.armed.push(fault);
    }

    /// Whether the device is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// The connection comes up.
    pub fn connect(&mut self) {
        self.connected = true;
    }

    /// The broker keeps the session over a cut: what is on its way down arrives after it.
    pub fn keep_session(&mut self) {
        self.session_kept = true;
    }

    /// The broker drops larger messages to the device, topic and payload, without a word.
    pub fn take_at_most(&mut self, bytes: usize) {
        self.takes_max = Some(bytes);
    }

    /// The connection goes down; what is on its way down is lost unless the session is kept, and
    /// up too if `lose_up`.
    pub fn disconnect(&mut self, lose_up: bool) {
        self.connected = false;
        if !self.session_kept {
            self.down.clear();
        }
        if lose_up {
            self.up.clear();
        }
    }

    /// The device subscribed.
    pub fn subscribe(&mut self) {
        self.subscribed += 1;
    }

    /// The device publishes.
    pub fn send_up(&mut self, now_ms: u64, topic: &str, payload: &[u8]) {
        self.published += 1;
        if self
            .take(|fault| *fault == LinkFault::DropRequest)
            .is_some()
        {
            return;
        }
        let letter = Letter {
            at_ms: now_ms + LATENCY_MS,
            topic: topic.into(),
            payload: payload.into(),
        };
        if self
            .take(|fault| *fault == LinkFault::DuplicateRequest)
            .is_some()
        {
            self.up.push_back(letter.clone());
        }
        self.up.push_back(letter);
    }

    /// The service sends; a message to a device that is not there is lost.
    pub fn send_down(&mut self, now_ms: u64, topic: &str, payload: &[u8]) {
        if !self.connected && !self.session_kept {
            return;
        }
        let size = topic.len() + payload.len();
        if self.takes_max.is_some_and(|max| size > max) {
            return;
        }
        let with_document = topic.ends_with("/notify-next") || topic.ends_with("/get/accepted");
        let cut = with_document.then(|| self.take_truncation()).flatten();
        let payload = payload
            .get(..cut.unwrap_or(payload.len()))
            .unwrap_or(payload);
        let letter = Letter {
            at_ms: now_ms + LATENCY_MS,
            topic: topic.into(),
            payload: payload.into(),
        };
        let notification = topic.ends_with("/notify") || topic.ends_with("/notify-next");
        let fault = self.take(|fault| match fault {
            LinkFault::DropReply | LinkFault::DuplicateReply(_) => !notification,
            LinkFault::DropNotification
            | LinkFault::DuplicateNotification(_)
            | LinkFault::DelayNotification(_) => notification,
            LinkFault::DropRequest
            | LinkFault::DuplicateRequest
            | LinkFault::Truncate(_)
            | LinkFault::Cut(_) => false,
        });
        match fault {
            Some(LinkFault::DropReply | LinkFault::DropNotification) => {}
            Some(LinkFault::DuplicateReply(ms) | LinkFault::DuplicateNotification(ms)) => {
                self.enqueue(letter.clone());
                self.enqueue(Letter {
                    at_ms: letter.at_ms + ms,
                    ..letter
                });
            }
            Some(LinkFault::DelayNotification(ms)) => {
                self.enqueue(Letter {
                    at_ms: letter.at_ms + ms,
                    ..letter
                });
            }
            Some(
                LinkFault::DropRequest
                | LinkFault::DuplicateRequest
                | LinkFault::Truncate(_)
                | LinkFault::Cut(_),
            )
            | None => self.enqueue(letter),
        }
    }

    /// The next message for the service that has arrived.
    pub fn arrived_up(&mut self, now_ms: u64) -> Option<Letter> {
        let arrived = self.up.front().is_some_and(|letter| letter.at_ms <= now_ms);
        if arrived { self.up.pop_front() } else { None }
    }

    /// The next message for the device that has arrived.
    pub fn arrived_down(&mut self, now_ms: u64) -> Option<Letter> {
        let arrived = self
            .down
            .front()
            .is_some_and(|letter| letter.at_ms <= now_ms);
        if arrived && self.connected {
            self.down.pop_front()
        } else {
            None
        }
    }

    /// When something arrives next.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.up
            .front()
            .into_iter()
            .chain(self.down.front().filter(|_| self.connected))
            .map(|letter| letter.at_ms)
            .min()
    }

    /// Publishes that the device sent.
    #[must_use]
    pub fn published(&self) -> usize {
        self.published
    }

    /// SUBSCRIBE packets that the device sent.
    #[must_use]
    pub fn subscribed(&self) -> usize {
        self.subscribed
    }

    /// Keeps the queue ordered by arrival; equal times in the order they were sent.
    fn enqueue(&mut self, letter: Letter) {
        let place = self
            .down
            .iter()
            .position(|other| other.at_ms > letter.at_ms);
        self.down.insert(place.unwrap_or(self.down.len()), letter);
    }

    fn take_truncation(&mut self) -> Option<usize> {
        match self.take(|fault| matches!(fault, LinkFault::Truncate(_)))? {
            LinkFault::Truncate(len) => Some(len),
            LinkFault::DropReply
            | LinkFault::DropRequest
            | LinkFault::DuplicateRequest
            | LinkFault::DuplicateNotification(_)
            | LinkFault::DuplicateReply(_)
            | LinkFault::DropNotification
            | LinkFault::DelayNotification(_)
            | LinkFault::Cut(_) => None,
        }
    }

    fn take(&mut self, fits: impl Fn(&LinkFault) -> bool) -> Option<LinkFault> {
        let place = self.armed.iter().position(fits)?;
        Some(self.armed.remove(place))
    }
}
