//! Many agents on one connection.
//!
//! A gateway that acts for child devices needs neither a connection nor a TLS session for each: a
//! [`Hub`] owns one [`Link`] and gives every agent one of its own, which it tells apart by the thing
//! in the topic. The gateway's policy must allow the Jobs topics of its children.
//!
//! ```no_run
//! use agent_std::link::hub::Hub;
//! use agent_std::{Agent, Endpoint, Outcome};
//!
//! # async fn gateway() -> Result<(), agent_std::AgentError> {
//! let hub = Hub::connect("gateway-1", Endpoint::plain("127.0.0.1", 1883))?;
//! for child in ["pump-1", "pump-2", "pump-3"] {
//!     let agent = Agent::new(child, hub.clone())
//!         .on("blink", |_: serde_json::Value, _| async { Outcome::succeeded() });
//!     tokio::spawn(agent.run());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What is shared: the connection with its keep-alive, its limit of sends without an answer (agents
//! wait for their turn), and its fate. What is not: the three rules of a [`Link`] hold for every
//! agent by itself, one that does not keep up with its messages loses only its own place, and what an
//! agent panics or hangs on disturbs no other, as long as it does not block its thread.
//!
//! AWS IoT takes 50 subscriptions on a connection, and an agent needs two: hence [`THINGS_MAX`].
//! More children need more hubs.

mod member;
mod switch;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::mailbox::Mailbox;
use super::rumqtt::RumqttLink;
use super::{ConfigError, Link};
use crate::agent::{AgentError, Endpoint, Transport};
use crate::boot;
pub use member::HubLink;
use switch::{Request, Switch};

/// Things on one connection to AWS IoT: it takes 50 subscriptions ("AWS IoT Core message broker and
/// protocol limits and quotas") and an agent has two.
pub const THINGS_MAX: usize = 25;

/// Shares one connection among agents. Cheap to clone; every clone is the same hub.
///
/// The connection is closed, with DISCONNECT, when the last clone and the last agent are gone.
#[derive(Debug, Clone)]
pub struct Hub {
    room: Arc<Room>,
    requests: mpsc::UnboundedSender<Request>,
    things_max: usize,
}

/// Who is there.
#[derive(Debug, Default)]
struct Room {
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    /// Every thing that ever joined; `None` while it has no agent. Its subscriptions stay on the
    /// connection, so its place does, too.
    mailboxes: HashMap<String, Option<Arc<Mailbox>>>,
    /// There is a connection, and whether the broker had kept its session.
    up: Option<bool>,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Connects as this MQTT client id, which is usually the name of the gateway's own thing.
    ///
    /// # Errors
    /// [`AgentError`] when the endpoint cannot be used as configured. A network or broker that
    /// fails is no error: the hub tries again.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O enabled.
    pub fn connect(client_id: &str, endpoint: Endpoint) -> Result<Self, AgentError> {
        let options = endpoint.into_options(client_id, boot::process_entropy()?);
        Ok(Self::over(RumqttLink::open(options)?))
    }

    /// Shares this link, for example one that a program has lent
    /// ([`BorrowedLink`](super::borrowed::BorrowedLink)).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn over(link: impl Link + 'static) -> Self {
        let room = Arc::new(Room::default());
        // Bounded by what the members may have outstanding.
        let (requests, asked) = mpsc::unbounded_channel();
        tokio::spawn(Switch::new(link, Arc::clone(&room), asked).run());
        Self {
            room,
            requests,
            things_max: THINGS_MAX,
        }
    }

    /// How many things may join, [`THINGS_MAX`] unless said otherwise: more for a broker with
    /// another limit, ten for agents that also subscribe to replies
    /// ([`Config::subscribe_replies`](crate::Config)), which have five subscriptions. Counts for
    /// this clone and those made of it.
    #[must_use]
    pub fn things_max(mut self, things_max: usize) -> Self {
        self.things_max = things_max;
        self
    }

    /// The link of one thing's agent. `Agent::new(thing, hub.clone())` does this by itself.
    ///
    /// A thing may leave and join again. It keeps its place meanwhile, because its subscriptions
    /// stay.
    ///
    /// # Errors
    /// [`ConfigError::HubFull`] for a thing more than there may be, [`ConfigError::BadValue`] when
    /// an agent of this thing is there already.
    pub fn join(&self, thing: &str) -> Result<HubLink, ConfigError> {
        let mut members = self.room.lock();
        let things = members.mailboxes.len();
        let mailbox = Arc::new(Mailbox::default());
        match members.mailboxes.entry(thing.to_owned()) {
            Entry::Occupied(there) if there.get().is_some() => {
                return Err(ConfigError::BadValue {
                    what: "an agent of this thing is on the hub already",
                });
            }
            Entry::Occupied(mut place) => *place.get_mut() = Some(Arc::clone(&mailbox)),
            Entry::Vacant(_) if things >= self.things_max => {
                return Err(ConfigError::HubFull {
                    things_max: self.things_max,
                });
            }
            Entry::Vacant(place) => {
                place.insert(Some(Arc::clone(&mailbox)));
            }
        }
        // Under the lock: the switch tells everybody who is there of what comes next.
        if let Some(session_present) = members.up {
            mailbox.put_up(session_present);
        }
        drop(members);
        let requests = self.requests.clone();
        let room = Arc::clone(&self.room);
        Ok(HubLink::new(thing.to_owned(), mailbox, requests, room))
    }
}

impl Transport for Hub {
    type Link = HubLink;

    fn open(self, thing: &str, _: u64) -> Result<HubLink, ConfigError> {
        self.join(thing)
    }
}
