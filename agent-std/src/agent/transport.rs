//! How an agent comes to its connection.

use super::Endpoint;
use crate::link::rumqtt::RumqttLink;
use crate::link::{ConfigError, Link};

/// How an agent comes to its [`Link`]: an [`Endpoint`] makes a connection of the agent's own, and
/// every link is a transport itself.
pub trait Transport: Send {
    /// The link it comes to.
    type Link: Link;

    /// Makes the link of the agent for this thing; called once, when the agent starts.
    ///
    /// `seed` is entropy of this process, for the jitter of waits.
    ///
    /// # Errors
    /// [`ConfigError`] when it cannot work as configured. A network or broker that fails is no
    /// error but an event of the link.
    fn open(self, thing: &str, seed: u64) -> Result<Self::Link, ConfigError>;
}

impl Transport for Endpoint {
    type Link = RumqttLink;

    fn open(self, thing: &str, seed: u64) -> Result<RumqttLink, ConfigError> {
        RumqttLink::open(self.into_options(thing, seed))
    }
}

impl<L: Link> Transport for L {
    type Link = L;

    fn open(self, _: &str, _: u64) -> Result<L, ConfigError> {
        Ok(self)
    }
}
