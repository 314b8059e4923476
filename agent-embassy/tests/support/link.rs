//! A link without MQTT: publishes go straight into the model of the service.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use agent_embassy::{Connection, Event, Filters, Link, LinkError, Packet, SendError};
use jobs_emulator::model::{Audience, Message};

use super::{Shared, State, now_ms, one_poll};

/// The network, and what the broker knows of the device.
#[derive(Default)]
pub struct Net {
    inbox: VecDeque<Message>,
    filters: Vec<String>,
    suback: Option<bool>,
    connected: bool,
    cut: bool,
    waker: Option<Waker>,
    /// Topics that the device published to, in order.
    pub published: Vec<String>,
    /// Their payloads.
    pub payloads: Vec<Vec<u8>>,
    pub connects: usize,
    pub subscribes: usize,
    /// How many SUBSCRIBE packets the broker refuses.
    pub refuse_subscribes: usize,
    /// The broker takes CONNECT and says nothing.
    pub mute: bool,
    /// How many connects fail, and with what.
    pub refuse_connects: Vec<LinkError>,
    /// Maximum Packet Size: a larger message is dropped without a word, bytes.
    pub packet_max: Option<usize>,
    /// Requests are taken and never answered.
    pub deaf: bool,
    /// The broker ends the connection at the first publish: a policy without iot:Publish.
    pub forbid_publish: bool,
}

impl Net {
    pub fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            let wanted = match message.audience {
                Audience::Requester => true,
                Audience::Subscribers => self.filters.contains(&message.topic),
            };
            let size = message.topic.len() + message.payload.len();
            let fits = self.packet_max.is_none_or(|max| size <= max);
            if wanted && fits && self.connected {
                self.inbox.push_back(message);
            }
        }
        self.wake();
    }

    /// The connection breaks; what is on its way down is lost.
    pub fn cut(&mut self) {
        self.cut = true;
        self.wake();
    }

    /// The device is gone.
    pub fn hang_up(&mut self) {
        self.connected = false;
        self.filters.clear();
        self.inbox.clear();
        self.suback = None;
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

pub struct ScriptedLink(Shared);

impl ScriptedLink {
    pub fn new(state: Shared) -> Self {
        Self(state)
    }
}

impl Link for ScriptedLink {
    type Connection<'a> = ScriptedConnection;

    async fn connect(&mut self) -> Result<ScriptedConnection, LinkError> {
        one_poll().await;
        self.0.borrow_mut().net.connects += 1;
        if self.0.borrow().net.mute {
            std::future::pending::<()>().await;
        }
        let mut state = self.0.borrow_mut();
        if let Some(error) = state.net.refuse_connects.pop() {
            return Err(error);
        }
        state.net.hang_up();
        state.net.connected = true;
        state.net.cut = false;
        drop(state);
        Ok(ScriptedConnection {
            state: self.0.clone(),
            held: None,
        })
    }
}

pub struct ScriptedConnection {
    state: Shared,
    /// The message that is lent.
    held: Option<Message>,
}

impl Connection for ScriptedConnection {
    async fn next(&mut self) -> Result<Event<'_>, LinkError> {
        enum Came {
            Suback(bool),
            Message(Message),
        }
        let state = &self.state;
        let came = poll_fn(|cx| {
            let net = &mut state.borrow_mut().net;
            if net.cut {
                return Poll::Ready(Err(LinkError::Ended));
            }
            if let Some(granted) = net.suback.take() {
                return Poll::Ready(Ok(Came::Suback(granted)));
            }
            if let Some(message) = net.inbox.pop_front() {
                return Poll::Ready(Ok(Came::Message(message)));
            }
            net.waker = Some(cx.waker().clone());
            Poll::Pending
        });
        match came.await? {
            Came::Suback(granted) => Ok(Event::Subscribed { granted }),
            Came::Message(message) => {
                let message = self.held.insert(message);
                Ok(Event::Message {
                    topic: &message.topic,
                    payload: &message.payload,
                })
            }
        }
    }

    async fn send(&mut self, packet: Packet<'_>) -> Result<(), SendError> {
        one_poll().await;
        match packet {
            Packet::Publish { topic, payload, .. } => {
                self.state.borrow_mut().take(topic, payload)?;
                one_poll().await;
            }
            Packet::Subscribe(filters) => self.state.borrow_mut().subscribe(filters),
        }
        Ok(())
    }
}

impl State {
    /// The broker takes a SUBSCRIBE of the device.
    fn subscribe(&mut self, filters: Filters<'_>) {
        self.net.subscribes += 1;
        let granted = self.net.refuse_subscribes == 0;
        if granted {
            self.net.filters = filters.iter().map(str::to_owned).collect();
        } else {
            self.net.refuse_subscribes -= 1;
        }
        self.net.suback = Some(granted);
    }

    /// The broker takes a publish of the device.
    fn take(&mut self, topic: &str, payload: &[u8]) -> Result<(), SendError> {
        if self.net.cut {
            return Err(SendError::Lost(LinkError::Stream));
        }
        if self.net.forbid_publish {
            return Err(SendError::Lost(LinkError::Ended));
        }
        self.net.published.push(topic.to_owned());
        self.net.payloads.push(payload.to_vec());
        if !self.net.deaf {
            let messages = self.service.publish(now_ms(), topic, payload);
            self.net.send(messages);
        }
        Ok(())
    }
}
