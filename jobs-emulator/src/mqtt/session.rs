//! What the broker keeps of one client id.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::codec::Publish;
use super::limits::{QUEUE_MAX_MESSAGES, UNACKED_MAX};

/// Which connection; grows and is never used again while the emulator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// A message on its way to one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    pub(crate) topic: Arc<str>,
    #[serde(with = "payload")]
    pub(crate) payload: Arc<[u8]>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

impl Outgoing {
    fn to_publish(&self, packet_id: Option<u16>, dup: bool) -> Publish {
        Publish {
            topic: self.topic.to_string(),
            payload: self.payload.to_vec(),
            qos: self.qos,
            retain: self.retain,
            dup,
            packet_id,
        }
    }
}

/// Subscriptions and messages of one client id, with or without a connection.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Filter → granted QoS.
    pub(crate) subscriptions: BTreeMap<String, u8>,
    /// How long to keep the session without a connection, in seconds; 0 ends it at once.
    pub(crate) expiry_s: u32,
    /// Since when there has been no connection, in ms; `None` while there is one.
    pub(crate) offline_since_ms: Option<u64>,
    /// Not sent yet.
    queue: VecDeque<Outgoing>,
    /// Sent at QoS 1 and not acknowledged, oldest first.
    unacked: VecDeque<(u16, Outgoing)>,
    last_packet_id: u16,
    /// The connection, if there is one.
    #[serde(skip)]
    pub(crate) link: Option<LinkId>,
    /// How many of `unacked` are still to be sent again on this connection.
    #[serde(skip)]
    resend: usize,
    #[serde(skip)]
    window: u16,
}

impl Session {
    /// Attaches a connection that takes up to `window` unacknowledged messages.
    pub(crate) fn attach(&mut self, link: LinkId, expiry_s: u32, window: u16) {
        self.link = Some(link);
        self.offline_since_ms = None;
        self.expiry_s = expiry_s;
        self.resend = self.unacked.len();
        self.window = window.clamp(1, UNACKED_MAX);
    }

    /// Takes the connection away; QoS 0 messages that were not sent are lost with it.
    pub(crate) fn detach(&mut self, now_ms: u64) {
        self.link = None;
        self.offline_since_ms = Some(now_ms);
        self.queue.retain(|message| message.qos > 0);
    }

    /// Whether nothing will come back for this session.
    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.offline_since_ms.is_some_and(|since_ms| {
            let keep_ms = u64::from(self.expiry_s) * 1000;
            now_ms >= since_ms.saturating_add(keep_ms)
        })
    }

    /// Adds a message; without a connection only QoS 1 is kept. Returns how many were lost.
    pub(crate) fn enqueue(&mut self, message: Outgoing) -> usize {
        if self.link.is_none() && message.qos == 0 {
            return 1;
        }
        self.queue.push_back(message);
        if self.queue.len() > QUEUE_MAX_MESSAGES {
            self.queue.pop_front();
            return 1;
        }
        0
    }

    /// What may be sent now: first what an earlier connection left unacknowledged (with DUP), then
    /// the queue as far as the client's window goes.
    pub(crate) fn take_sendable(&mut self) -> Vec<Publish> {
        let again = self.unacked.iter().take(std::mem::take(&mut self.resend));
        let mut sendable: Vec<Publish> = again
            .map(|(id, message)| message.to_publish(Some(*id), true))
            .collect();
        while let Some(next) = self.queue.front() {
            if next.qos > 0 && self.unacked.len() >= usize::from(self.window) {
                break;
            }
            let Some(message) = self.queue.pop_front() else {
                break;
            };
            let packet_id = (message.qos > 0).then(|| self.free_packet_id());
            sendable.push(message.to_publish(packet_id, false));
            if let Some(id) = packet_id {
                self.unacked.push_back((id, message));
            }
        }
        sendable
    }

    /// Takes a PUBACK; one for an unknown packet id changes nothing.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> bool {
        let before = self.unacked.len();
        self.unacked.retain(|(id, _)| *id != packet_id);
        before != self.unacked.len()
    }

    /// Fewer than 2^16 − 1 ids are in use (see [`UNACKED_MAX`]), so there is always a free one.
    fn free_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            if self
                .unacked
                .iter()
                .all(|(id, _)| *id != self.last_packet_id)
            {
                return self.last_packet_id;
            }
        }
    }
}

/// Payloads as text where they are UTF-8 (all of the service's are), so that a snapshot stays
/// small and can be read.
mod payload {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    enum Stored {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, to: S) -> Result<S::Ok, S::Error> {
        let stored = match std::str::from_utf8(bytes) {
            Ok(text) => Stored::Text(text.to_owned()),
            Err(_) => Stored::Bytes(bytes.to_vec()),
        };
        stored.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
        Ok(match Stored::deserialize(from)? {
            Stored::Text(text) => text.into_bytes().into(),
            Stored::Bytes(bytes) => bytes.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, qos: u8) -> Outgoing {
        Outgoing {
            topic: topic.into(),
            payload: (*b"{}").into(),
            qos,
            retain: false,
        }
    }

    fn sent(session: &mut Session) -> Vec<(String, Option<u16>, bool)> {
        session
            .take_sendable()
            .into_iter()
            .map(|p| (p.topic, p.packet_id, p.dup))
            .collect()
    }

    #[test]
    fn unacknowledged_messages_come_again_with_dup_before_newer_ones() {
        let mut session = Session::default();
        session.attach(LinkId(1), 60, 10);
        session.enqueue(message("a", 1));
        session.enqueue(message("b", 1));
        assert_eq!(
            sent(&mut session),
            [("a".into(), Some(1), false), ("b".into(), Some(2), false)]
        );
        assert!(session.acknowledge(1));
        session.detach(5);
        session.enqueue(message("c", 1));
        session.enqueue(message("lost", 0));

        session.attach(LinkId(2), 60, 10);
        assert_eq!(
            sent(&mut session),
            [("b".into(), Some(2), true), ("c".into(), Some(3), false)]
        );
        assert_eq!(sent(&mut session), []);
    }

    #[test]
    fn the_window_holds_messages_back_until_acknowledged() {
        let mut session = Session::default();
        session.attach(LinkId(1), 0, 1);
        session.enqueue(message("a", 1));
        session.enqueue(message("b", 1));
        assert_eq!(sent(&mut session).len(), 1);
        assert_eq!(sent(&mut session).len(), 0);
        session.acknowledge(1);
        assert_eq!(sent(&mut session), [("b".into(), Some(2), false)]);
    }

    #[test]
    fn a_session_expires_when_its_time_without_connection_is_over() {
        let mut session = Session::default();
        session.attach(LinkId(1), 2, 1);
        assert!(!session.is_expired(u64::MAX));
        session.detach(1_000);
        assert!(!session.is_expired(2_999));
        assert!(session.is_expired(3_000));
    }
}
