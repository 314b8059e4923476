//! One of two links.

use super::{Link, LinkEvent, Qos, SendError, SendId};

/// One of two links, told at run time.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The first.
    This(A),
    /// The second.
    That(B),
}

impl<A: Link, B: Link> Link for Either<A, B> {
    async fn next(&mut self) -> LinkEvent {
        match self {
            Self::This(link) => link.next().await,
            Self::That(link) => link.next().await,
        }
    }

    fn publish(&mut self, topic: &str, payload: &[u8], qos: Qos) -> Result<SendId, SendError> {
        match self {
            Self::This(link) => link.publish(topic, payload, qos),
            Self::That(link) => link.publish(topic, payload, qos),
        }
    }

    fn subscribe(&mut self, filters: &[&str]) -> Result<SendId, SendError> {
        match self {
            Self::This(link) => link.subscribe(filters),
            Self::That(link) => link.subscribe(filters),
        }
    }

    async fn close(&mut self) {
        match self {
            Self::This(link) => link.close().await,
            Self::That(link) => link.close().await,
        }
    }
}
