//! The message broker: sessions, subscriptions, routing. No I/O.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::codec::encode::{Goodbye, Refusal};
use super::codec::{Connect, Publish, Will};
use super::filter::{Subscriptions, is_valid_filter, matches};
use super::limits::{RETAINED_MAX, SESSION_EXPIRY_S, SUBSCRIPTIONS_PER_SESSION};
use super::session::{LinkId, Outgoing, Session};

/// A connection as the broker knows it.
#[derive(Debug)]
struct Link {
    client_id: String,
    /// Wakes the connection's task: there is something to send, or it has to end.
    wake: Arc<Notify>,
    end: Option<Goodbye>,
    will: Option<Will>,
}

/// What is kept of a broker across a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct BrokerSnapshot {
    sessions: BTreeMap<String, Session>,
    retained: BTreeMap<String, Outgoing>,
}

/// All sessions and who is connected.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    sessions: BTreeMap<String, Session>,
    links: HashMap<LinkId, Link>,
    subscriptions: Subscriptions,
    retained: BTreeMap<String, Outgoing>,
    last_link: u64,
}

impl Broker {
    /// A broker with the sessions of a snapshot, none of them connected.
    pub(crate) fn restore(snapshot: BrokerSnapshot, now_ms: u64) -> Self {
        let mut broker = Self {
            retained: snapshot.retained,
            ..Self::default()
        };
        for (client_id, mut session) in snapshot.sessions {
            if session.offline_since_ms.is_none() {
                session.detach(now_ms);
            }
            if !session.is_expired(now_ms) {
                for (filter, &qos) in &session.subscriptions {
                    broker.subscriptions.insert(&client_id, filter, qos);
                }
                broker.sessions.insert(client_id, session);
            }
        }
        broker
    }

    /// What would be left if every connection broke now.
    pub(crate) fn snapshot(&self) -> BrokerSnapshot {
        let kept = self
            .sessions
            .iter()
            .filter(|(_, session)| session.expiry_s > 0);
        BrokerSnapshot {
            sessions: kept
                .map(|(id, session)| (id.clone(), session.clone()))
                .collect(),
            retained: self.retained.clone(),
        }
    }

    /// Takes a connection in. Returns it and whether it resumes a session.
    ///
    /// An older connection with the same client id is told to end, and its will is published.
    pub(crate) fn connect(
        &mut self,
        now_ms: u64,
        connect: Connect,
        lose_session: bool,
        wake: Arc<Notify>,
    ) -> (LinkId, bool) {
        self.sweep(now_ms);
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let id = connect.client_id;
        if let Some(old) = self.sessions.get(&id).and_then(|session| session.link) {
            self.end(old, Goodbye::TakenOver);
            if let Some(will) = self.links.get_mut(&old).and_then(|old| old.will.take()) {
                self.publish_will(will);
            }
        }
        if connect.clean || lose_session || self.is_transient(&id) {
            self.forget(&id);
        }
        let present = self.sessions.contains_key(&id);
        let expiry_s = match connect.session_expiry_s {
            Some(asked_s) => asked_s.min(SESSION_EXPIRY_S),
            None if connect.clean => 0,
            None => SESSION_EXPIRY_S,
        };
        let session = self.sessions.entry(id.clone()).or_default();
        session.attach(link, expiry_s, connect.receive_maximum);
        self.links.insert(
            link,
            Link {
                client_id: id,
                wake,
                end: None,
                will: connect.will,
            },
        );
        (link, present)
    }

    /// Whether a session would end with its connection.
    fn is_transient(&self, client_id: &str) -> bool {
        self.sessions
            .get(client_id)
            .is_some_and(|session| session.expiry_s == 0)
    }

    /// Lets a connection go, after it has been closed.
    pub(crate) fn disconnect(&mut self, now_ms: u64, link: LinkId, publish_will: bool) {
        let Some(gone) = self.links.remove(&link) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(&gone.client_id)
            && session.link == Some(link)
        {
            session.detach(now_ms);
            if session.expiry_s == 0 {
                self.forget(&gone.client_id);
            }
        }
        if publish_will && let Some(will) = gone.will {
            self.publish_will(will);
        }
    }

    fn publish_will(&mut self, will: Will) {
        self.publish(&Publish {
            topic: will.topic,
            payload: will.payload,
            qos: will.qos.min(1),
            retain: will.retain,
            dup: false,
            packet_id: None,
        });
    }

    fn forget(&mut self, client_id: &str) {
        if let Some(session) = self.sessions.remove(client_id) {
            for filter in session.subscriptions.keys() {
                self.subscriptions.remove(client_id, filter);
            }
        }
    }

    /// Forgets the sessions whose time is over.
    pub(crate) fn sweep(&mut self, now_ms: u64) {
        let expired = self
            .sessions
            .iter()
            .filter(|(_, session)| session.is_expired(now_ms));
        let expired: Vec<String> = expired.map(|(id, _)| id.clone()).collect();
        for client_id in expired {
            self.forget(&client_id);
        }
    }

    /// Subscribes. The second value says that the connection has to end afterwards, because it
    /// asked for more subscriptions than a session may have.
    pub(crate) fn subscribe(
        &mut self,
        link: LinkId,
        filters: &[(String, u8)],
        is_allowed: impl Fn(&str) -> bool,
    ) -> (Vec<Result<u8, Refusal>>, bool) {
        let Some(client_id) = self.client_id(link).map(str::to_owned) else {
            return (Vec::new(), true);
        };
        let mut over = false;
        let mut grants = Vec::with_capacity(filters.len());
        for (filter, qos) in filters {
            let count = self
                .sessions
                .get(&client_id)
                .map_or(0, |s| s.subscriptions.len());
            let known = self
                .sessions
                .get(&client_id)
                .is_some_and(|session| session.subscriptions.contains_key(filter));
            grants.push(if filter.starts_with("$share/") {
                Err(Refusal::Shared)
            } else if !is_valid_filter(filter) {
                Err(Refusal::BadFilter)
            } else if !is_allowed(filter) {
                Err(Refusal::NotAuthorized)
            } else if !known && count >= SUBSCRIPTIONS_PER_SESSION {
                over = true;
                Err(Refusal::Quota)
            } else {
                Ok(self.add_subscription(&client_id, filter, (*qos).min(1)))
            });
        }
        (grants, over)
    }

    fn add_subscription(&mut self, client_id: &str, filter: &str, qos: u8) -> u8 {
        self.subscriptions.insert(client_id, filter, qos);
        let retained = self
            .retained
            .values()
            .filter(|kept| matches(filter, &kept.topic));
        let retained: Vec<Outgoing> = retained.cloned().collect();
        if let Some(session) = self.sessions.get_mut(client_id) {
            session.subscriptions.insert(filter.to_owned(), qos);
            for message in retained {
                let qos = message.qos.min(qos);
                session.enqueue(Outgoing {
                    qos,
                    retain: true,
                    ..message
                });
            }
        }
        qos
    }

    /// Unsubscribes; says for each filter whether there was such a subscription.
    pub(crate) fn unsubscribe(&mut self, link: LinkId, filters: &[String]) -> Vec<bool> {
        let Some(client_id) = self.client_id(link).map(str::to_owned) else {
            return Vec::new();
        };
        let Some(session) = self.sessions.get_mut(&client_id) else {
            return Vec::new();
        };
        let existed = filters.iter().map(|filter| {
            self.subscriptions.remove(&client_id, filter);
            session.subscriptions.remove(filter).is_some()
        });
        existed.collect()
    }

    /// Routes an ordinary publish.
    pub(crate) fn publish(&mut self, publish: &Publish) {
        if publish.retain {
            if publish.payload.is_empty() {
                self.retained.remove(&publish.topic);
            } else if self.retained.len() < RETAINED_MAX
                || self.retained.contains_key(&publish.topic)
            {
                let kept = Outgoing {
                    topic: publish.topic.as_str().into(),
                    payload: publish.payload.as_slice().into(),
                    qos: publish.qos,
                    retain: true,
                };
                self.retained.insert(publish.topic.clone(), kept);
            }
        }
        self.route(&publish.topic, &publish.payload, publish.qos);
    }

    /// Sends a message to everyone who subscribed, at the lower of both QoS.
    pub(crate) fn route(&mut self, topic: &str, payload: &[u8], qos: u8) {
        let (name, payload): (Arc<str>, Arc<[u8]>) = (topic.into(), payload.into());
        for (client_id, granted) in self.subscriptions.subscribers(topic) {
            let message = Outgoing {
                topic: Arc::clone(&name),
                payload: Arc::clone(&payload),
                qos: qos.min(granted),
                retain: false,
            };
            self.enqueue(&client_id, message);
        }
    }

    /// Sends a reply to the client that asked, subscribed or not.
    ///
    /// A subscription decides the QoS; without one it is the QoS of the request (inferred: the
    /// public documents do not say). After the asking connection is gone, only a session that
    /// outlives it gets the reply.
    pub(crate) fn reply(
        &mut self,
        client_id: &str,
        link: LinkId,
        request_qos: u8,
        topic: &str,
        payload: &[u8],
    ) {
        let Some(session) = self.sessions.get(client_id) else {
            return;
        };
        if session.link != Some(link) && session.expiry_s == 0 {
            return;
        }
        let granted = session
            .subscriptions
            .iter()
            .filter(|(filter, _)| matches(filter, topic));
        let qos = granted
            .map(|(_, &qos)| qos)
            .max()
            .unwrap_or_else(|| request_qos.min(1));
        let message = Outgoing {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain: false,
        };
        self.enqueue(client_id, message);
    }

    fn enqueue(&mut self, client_id: &str, message: Outgoing) {
        let Some(session) = self.sessions.get_mut(client_id) else {
            return;
        };
        if session.enqueue(message) > 0 && session.link.is_some() {
            tracing::warn!(client_id, "the client does not read; a message was lost");
        }
        if let Some(link) = session.link.and_then(|link| self.links.get(&link)) {
            link.wake.notify_one();
        }
    }

    /// Whether a connection may go on, or why it has to end.
    pub(crate) fn check(&self, link: LinkId) -> Result<(), Goodbye> {
        let end = self
            .links
            .get(&link)
            .map_or(Some(Goodbye::Administrative), |known| known.end);
        end.map_or(Ok(()), Err)
    }

    /// What a connection may send now, or why it has to end.
    pub(crate) fn take_sendable(&mut self, link: LinkId) -> Result<Vec<Publish>, Goodbye> {
        self.check(link)?;
        let Some(known) = self.links.get(&link) else {
            return Err(Goodbye::Administrative);
        };
        let session = self.sessions.get_mut(&known.client_id);
        Ok(session.map(Session::take_sendable).unwrap_or_default())
    }

    /// Takes a PUBACK of a client.
    pub(crate) fn acknowledge(&mut self, link: LinkId, packet_id: u16) {
        let client_id = self.links.get(&link).map(|known| known.client_id.as_str());
        if let Some(session) = client_id.and_then(|id| self.sessions.get_mut(id)) {
            session.acknowledge(packet_id);
        }
    }

    /// Tells a connection to end.
    fn end(&mut self, link: LinkId, goodbye: Goodbye) {
        if let Some(link) = self.links.get_mut(&link) {
            link.end = Some(goodbye);
            link.wake.notify_one();
        }
    }

    /// Tells the connection of a client id to end; false if there is none.
    pub(crate) fn kick(&mut self, client_id: &str) -> bool {
        let Some(link) = self
            .sessions
            .get(client_id)
            .and_then(|session| session.link)
        else {
            return false;
        };
        self.end(link, Goodbye::Administrative);
        true
    }

    /// The client id of a connection that is not gone yet.
    pub(crate) fn client_id(&self, link: LinkId) -> Option<&str> {
        self.links.get(&link).map(|known| known.client_id.as_str())
    }

    /// Every client id that is connected.
    pub(crate) fn connected(&self) -> Vec<String> {
        let connected = self
            .sessions
            .iter()
            .filter(|(_, session)| session.link.is_some());
        connected.map(|(id, _)| id.clone()).collect()
    }
}
