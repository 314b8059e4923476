//! Where the fronts meet: the service, the broker and the faults behind one lock.
//!
//! Every entry takes the time once, lets the service act, and hands the resulting messages to the
//! broker before the lock is released. So what a client sees is in the order the service acted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::certificates::{Certificates, Identity};
use crate::clock::RunningClock;
use crate::faults::{Cut, Fate, Faults};
use crate::model::{Audience, Message, Service};
use crate::mqtt::broker::{Broker, BrokerSnapshot};
use crate::mqtt::codec::encode::{Goodbye, Refusal};
use crate::mqtt::codec::{Connect, Publish};
use crate::mqtt::filter::is_within_limits;
use crate::mqtt::limits::{FILTERS_PER_SUBSCRIBE, PAYLOAD_MAX_BYTES};
use crate::mqtt::session::LinkId;
use crate::trace::Trace;

/// Most messages held back by delay faults; more are delivered at once. Ours.
const HELD_MAX_MESSAGES: usize = 10_000;

/// Everything that survives a restart.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// When it was taken; the clock never shows less afterwards.
    pub(crate) now_ms: u64,
    pub(crate) service: Service,
    pub(crate) broker: BrokerSnapshot,
    pub(crate) certificates: Certificates,
}

/// Who a reply goes to.
#[derive(Clone, Debug)]
struct Requester {
    link: LinkId,
    client_id: String,
    qos: u8,
}

/// A message that a fault keeps back.
#[derive(Debug)]
struct Held {
    due_ms: u64,
    message: Message,
    requester: Option<Requester>,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) service: Service,
    pub(crate) certificates: Certificates,
    pub(crate) faults: Faults,
    broker: Broker,
    held: Vec<Held>,
}

/// Shared by all fronts.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    pub(crate) clock: RunningClock,
    pub(crate) trace: Trace,
    /// A deadline may have moved.
    pub(crate) timers: Notify,
    /// Something worth saving has changed.
    pub(crate) dirty: Notify,
    /// Turns true when the emulator stops.
    pub(crate) stop: watch::Sender<bool>,
}

/// The answer to a CONNECT.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) link: LinkId,
    pub(crate) session_present: bool,
    pub(crate) connack_delay_ms: u64,
}

impl Hub {
    pub(crate) fn new(
        clock: RunningClock,
        service: Service,
        broker: BrokerSnapshot,
        certificates: Certificates,
        faults: Faults,
    ) -> Self {
        let broker = Broker::restore(broker, clock.now_ms());
        Self {
            state: Mutex::new(State {
                service,
                certificates,
                faults,
                broker,
                held: Vec::new(),
            }),
            clock,
            trace: Trace::default(),
            timers: Notify::new(),
            dirty: Notify::new(),
            stop: watch::Sender::new(false),
        }
    }

    /// The state without any side effect. A panic of a user's closure leaves plain data behind, so
    /// a poisoned lock is taken all the same.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `act` use the service and delivers what it sends.
    pub(crate) fn with_service<R>(
        &self,
        act: impl FnOnce(&mut Service, u64) -> (R, Vec<Message>),
    ) -> R {
        let mut state = self.lock();
        let now_ms = self.clock.now_ms();
        let (result, messages) = act(&mut state.service, now_ms);
        state.deliver(now_ms, messages, None);
        drop(state);
        self.changed();
        result
    }

    /// Resolves when the emulator stops, at once if it already did.
    ///
    /// # Cancel safety
    /// Cancel safe: it holds nothing.
    pub(crate) async fn stopped(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// The service acted: deadlines may have moved, and there is something to save.
    pub(crate) fn changed(&self) {
        self.timers.notify_one();
        self.dirty.notify_one();
    }

    /// Only sessions changed: there is something to save.
    fn sessions_changed(&self) {
        self.dirty.notify_one();
    }

    /// When something is due next, in ms.
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        let state = self.lock();
        let held_ms = state.held.iter().map(|held| held.due_ms).min();
        state
            .service
            .next_deadline_ms()
            .into_iter()
            .chain(held_ms)
            .min()
    }

    /// Fires what is due: timers of the service, then messages that were held back.
    pub(crate) fn fire_due(&self) {
        let mut state = self.lock();
        let now_ms = self.clock.now_ms();
        let messages = state.service.advance(now_ms);
        let acted = !messages.is_empty();
        state.deliver(now_ms, messages, None);
        state.release_held(now_ms);
        state.broker.sweep(now_ms);
        drop(state);
        if acted {
            self.changed();
        }
    }

    pub(crate) fn connect(
        &self,
        identity: &Identity,
        connect: Connect,
        wake: Arc<Notify>,
    ) -> Result<Admitted, Refusal> {
        let mut state = self.lock();
        let now_ms = self.clock.now_ms();
        if !state.certificates.may_connect(identity) {
            return Err(Refusal::NotAuthorized);
        }
        let will = connect.will.as_ref();
        if will.is_some_and(|will| !state.certificates.may_publish(identity, &will.topic)) {
            return Err(Refusal::NotAuthorized);
        }
        if will.is_some_and(|will| will.qos > 1 || !is_within_limits(&will.topic)) {
            return Err(Refusal::Quota);
        }
        let lose_session = state.faults.next_session_is_lost();
        let (link, session_present) = state.broker.connect(now_ms, connect, lose_session, wake);
        let connack_delay_ms = state.faults.connack_delay_ms;
        drop(state);
        self.sessions_changed();
        Ok(Admitted {
            link,
            session_present,
            connack_delay_ms,
        })
    }

    pub(crate) fn disconnect(&self, link: LinkId, publish_will: bool) {
        let mut state = self.lock();
        let now_ms = self.clock.now_ms();
        state.broker.disconnect(now_ms, link, publish_will);
        drop(state);
        self.sessions_changed();
    }

    /// Takes a publish of a client. `Ok(Some(cut))` asks the connection to end at that point.
    pub(crate) fn publish(
        &self,
        identity: &Identity,
        link: LinkId,
        publish: &Publish,
    ) -> Result<Option<Cut>, Goodbye> {
        if publish.qos > 1 {
            return Err(Goodbye::QosNotSupported);
        }
        if publish.payload.len() > PAYLOAD_MAX_BYTES {
            return Err(Goodbye::TooLarge);
        }
        if !is_within_limits(&publish.topic) {
            return Err(Goodbye::Quota);
        }
        let mut state = self.lock();
        let now_ms = self.clock.now_ms();
        // A connection that was told to end has no say any more.
        state.broker.check(link)?;
        if !state.certificates.may_publish(identity, &publish.topic) {
            return Err(Goodbye::NotAuthorized);
        }
        let mut cut = None;
        if Service::is_jobs_topic(&publish.topic) {
            cut = state.faults.next_cut();
            if cut == Some(Cut::BeforeTaken) {
                return Ok(cut);
            }
            let client_id = state.broker.client_id(link).unwrap_or_default().to_owned();
            let requester = Requester {
                link,
                client_id,
                qos: publish.qos,
            };
            let messages = state
                .service
                .publish(now_ms, &publish.topic, &publish.payload);
            state.deliver(now_ms, messages, Some(&requester));
        } else {
            state.broker.publish(publish);
        }
        drop(state);
        self.changed();
        Ok(cut)
    }

    /// Subscribes; the second value says that the connection has to end after SUBACK.
    pub(crate) fn subscribe(
        &self,
        identity: &Identity,
        link: LinkId,
        filters: &[(String, u8)],
    ) -> Result<(Vec<Result<u8, Refusal>>, bool), Goodbye> {
        if filters.len() > FILTERS_PER_SUBSCRIBE {
            return Err(Goodbye::Quota);
        }
        let mut state = self.lock();
        let State {
            broker,
            certificates,
            ..
        } = &mut *state;
        let granted = broker.subscribe(link, filters, |filter| {
            certificates.may_subscribe(identity, filter)
        });
        drop(state);
        self.sessions_changed();
        Ok(granted)
    }

    pub(crate) fn unsubscribe(&self, link: LinkId, filters: &[String]) -> Vec<bool> {
        let existed = self.lock().broker.unsubscribe(link, filters);
        self.sessions_changed();
        existed
    }

    pub(crate) fn acknowledge(&self, link: LinkId, packet_id: u16) {
        self.lock().broker.acknowledge(link, packet_id);
        self.sessions_changed();
    }

    pub(crate) fn take_sendable(&self, link: LinkId) -> Result<Vec<Publish>, Goodbye> {
        self.lock().broker.take_sendable(link)
    }

    pub(crate) fn kick(&self, client_id: &str) -> bool {
        self.lock().broker.kick(client_id)
    }

    pub(crate) fn connected(&self) -> Vec<String> {
        self.lock().broker.connected()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            now_ms: self.clock.now_ms(),
            service: state.service.clone(),
            broker: state.broker.snapshot(),
            certificates: state.certificates.clone(),
        }
    }
}

impl State {
    fn deliver(&mut self, now_ms: u64, messages: Vec<Message>, requester: Option<&Requester>) {
        for message in messages {
            let faults = match message.audience {
                Audience::Requester => &mut self.faults.replies,
                Audience::Subscribers => &mut self.faults.notifications,
            };
            match faults.next_fate() {
                Fate::Deliver => self.send(&message, requester),
                Fate::Drop => {}
                Fate::Duplicate => {
                    self.send(&message, requester);
                    self.send(&message, requester);
                }
                Fate::Delay { .. } if self.held.len() >= HELD_MAX_MESSAGES => {
                    self.send(&message, requester);
                }
                Fate::Delay { by_ms } => self.held.push(Held {
                    due_ms: now_ms.saturating_add(by_ms),
                    message,
                    requester: requester.cloned(),
                }),
            }
        }
    }

    fn send(&mut self, message: &Message, requester: Option<&Requester>) {
        match message.audience {
            // AWS sends notifications at QoS 1 to those who subscribed so (developer guide, MQTT).
            Audience::Subscribers => self.broker.route(&message.topic, &message.payload, 1),
            Audience::Requester => {
                if let Some(Requester {
                    link,
                    client_id,
                    qos,
                }) = requester
                {
                    self.broker
                        .reply(client_id, *link, *qos, &message.topic, &message.payload);
                }
            }
        }
    }

    fn release_held(&mut self, now_ms: u64) {
        let all = std::mem::take(&mut self.held);
        let (mut due, held): (Vec<Held>, Vec<Held>) =
            all.into_iter().partition(|held| held.due_ms <= now_ms);
        self.held = held;
        // Stable: messages due at the same time keep their order.
        due.sort_by_key(|held| held.due_ms);
        for held in due {
            self.send(&held.message, held.requester.as_ref());
        }
    }
}
