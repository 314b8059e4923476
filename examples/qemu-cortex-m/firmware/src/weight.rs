//! The RAM of the agent itself, for the size table: with a link and a handler that keep nothing.
//! `cargo xtask qemu --size` reads it out of the image.

use core::future::pending;

use agent_embassy::{
    AgentResources, Checkpoint, Connection, Event, JobHandler, JobPort, Link, LinkError, Offer,
    OperationTag, Outcome, Packet, Refusal, Runner, SendError, TX_LEN_MIN, Word4,
};

use sequential_storage::{
    cache::{Cache, Uncached},
    map::MapStorage,
};

use crate::{
    JOBS, Mps2, RX_LEN,
    storage::{Part, Records},
};

type Agent = Runner<'static, NoLink, Records<'static>, Mps2, NoWork, JOBS>;

/// The log of the records.
type Log =
    MapStorage<u8, &'static mut Word4<Part<'static>>, Cache<Uncached, Uncached, Uncached, u8>>;

/// Bytes: the runner with the record store in it; the future of its `run`; what it is lent beside
/// the buffers for packets; and how much of the future is the log's, while it stores a record.
pub(crate) static AGENT_RAM: [usize; 4] = [
    size_of::<Agent>(),
    run_len(Agent::run),
    size_of::<AgentResources<JOBS, RX_LEN, TX_LEN_MIN>>() - RX_LEN - TX_LEN_MIN,
    store_len(Log::store_item::<&[u8]>),
];

/// The length of the future that a method without arguments returns.
const fn run_len<A, R, F: Fn(A) -> R + Copy>(_: F) -> usize {
    size_of::<R>()
}

/// The same, with three arguments.
const fn store_len<A, B, C, D, R, F: Fn(A, B, C, D) -> R + Copy>(_: F) -> usize {
    size_of::<R>()
}

/// A link that never connects.
struct NoLink;

impl Link for NoLink {
    type Connection<'a> = Self;

    async fn connect(&mut self) -> Result<Self, LinkError> {
        pending().await
    }
}

impl Connection for NoLink {
    async fn next(&mut self) -> Result<Event<'_>, LinkError> {
        pending().await
    }

    async fn send(&mut self, _: Packet<'_>) -> Result<(), SendError> {
        pending().await
    }
}

/// A handler that takes no job.
struct NoWork;

impl JobHandler for NoWork {
    type Plan = ();

    fn plan(&self, _: &Offer<'_>) -> Result<(OperationTag, ()), Refusal> {
        Err(Refusal::Unknown)
    }

    async fn run<P: JobPort>(&self, (): (), _: &mut P) -> Outcome {
        pending().await
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        _: Option<()>,
        _: &mut P,
    ) -> Outcome {
        pending().await
    }
}
