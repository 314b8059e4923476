//! How an agent comes to its connection.

use jobs_agent_core::Config;

use super::Endpoint;
use crate::link::rumqtt::RumqttLink;
use crate::link::{ConfigError, Either, Link};

/// How an agent comes to its [`Link`]: an [`Endpoint`] makes a connection of the agent's own, a
/// [`Hub`](crate::link::hub::Hub) shares one among agents, and every link is a transport itself.
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

    /// Sets what the agent should do differently on this transport, before the changes of
    /// [`Agent::configure`](crate::Agent::configure). Nothing unless said otherwise.
    fn prepare(&self, _config: &mut Config<'_>) {}
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

/// One of two transports, told at run time: one type of agent instead of two, which would be twice
/// the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<A, B> {
    /// The first.
    This(A),
    /// The second.
    That(B),
}

impl<A: Transport, B: Transport> Transport for Choice<A, B> {
    type Link = Either<A::Link, B::Link>;

    fn open(self, thing: &str, seed: u64) -> Result<Self::Link, ConfigError> {
        Ok(match self {
            Self::This(this) => Either::This(this.open(thing, seed)?),
            Self::That(that) => Either::That(that.open(thing, seed)?),
        })
    }

    fn prepare(&self, config: &mut Config<'_>) {
        match self {
            Self::This(this) => this.prepare(config),
            Self::That(that) => that.prepare(config),
        }
    }
}
