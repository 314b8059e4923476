#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        clippy::cast_possible_truncation
    )
)]
// A refusal carries its reason by value: there is no allocator to box it.
#![allow(clippy::result_large_err)]
//! An AWS IoT Jobs device agent as a state machine: no I/O, no clock, no allocation, no
//! randomness. Everything comes in as an argument, everything goes out as one ordered stream of
//! effects that an adapter performs.
//!
//! What it promises (ARCHITECTURE.md has all nine, and where each is tested):
//! - work starts only when its start is durable and the service has confirmed it;
//! - an outcome is durable before it is sent, is sent until it is answered, and only then erased;
//! - a power cut at any point leads to a defined state: resume, re-plan or report;
//! - cancel, removal and time-out reach the running handler, and nobody else's job is touched.
//!
//! # The driving loop
//!
//! ```
//! use jobs_agent_core::{Agent, Boot, BootId, Completion, Config, Handled, JobHandler, Millis,
//!     Output, Scratch};
//! use jobs_proto::ThingName;
//!
//! # fn now() -> Millis { Millis(0) }
//! # fn main() -> Result<(), jobs_proto::IdError> {
//! let config = Config::new(ThingName::new("pump-17")?);
//! let boot = Boot { id: BootId([1; 16]), entropy: 0x5EED };
//! let mut agent: Agent<'_, 1> = Agent::new(&config, boot);
//! // Stored records go in here: agent.restore(slot, bytes)
//! let mut scratch = Scratch::new();
//!
//! agent.handle_connected(now()); // 3. hand an event in
//! loop {
//!     match agent.poll(now(), &mut scratch) { // 1. drain
//!         Output::Subscribe { receipt, filters } => {
//!             assert_eq!(filters.iter().next(), Some("$aws/things/pump-17/jobs/notify"));
//!             agent.handle_done(now(), receipt, Completion::Done);
//!         }
//!         Output::Transmit { receipt, topic, .. } => {
//!             assert_eq!(topic, "$aws/things/pump-17/jobs/$next/get");
//!             agent.handle_done(now(), receipt, Completion::Done);
//!         }
//!         Output::Wait(_until) => break, // 2. wait for a message, a receipt, or the time
//!         other => unreachable!("{other:?}"),
//!     }
//! }
//! # Ok(()) }
//! ```

#[cfg(test)]
extern crate std;

mod agent;
mod backoff;
mod checkpoint;
mod common;
mod config;
mod crc;
mod done;
mod emit;
#[cfg(feature = "_explore")]
mod explore;
mod handler;
mod hash;
mod inbound;
mod job;
mod offer;
mod outcome;
mod output;
mod poll;
mod queue;
mod record;
mod refused;
mod reply;
mod request;
mod restore;
mod rng;
mod router;
mod silence;
mod slot;
mod slots;
mod table;
mod time;
mod token;
mod words;

pub use agent::{Agent, JOBS_MAX, Stale, Ticket};
pub use checkpoint::{BODY_LEN_MAX, Checkpoint, CheckpointTooLong};
pub use config::{Backoff, Boot, BootId, Config, Unclaimed};
pub use handler::{
    Attempt, JobHandler, JobPort, Offer, OperationTag, Refusal, RunPolicy, StopReason, Stopped,
};
pub use inbound::{Handled, Ignored};
pub use outcome::{
    Details, DetailsError, Outcome, PROGRESS_LEN_MAX, Pairs, Progress, REASON_KEY, REASON_LEN_MAX,
    Reason,
};
pub use output::{
    Completion, Ending, FILTERS_MAX, Filters, Output, RebootPermit, Receipt, RunId, RunPermit,
    Start, Status,
};
pub use poll::Scratch;
pub use record::{RECORD_LEN_MAX, Record, RecordError, RecordKind};
pub use router::{NoRoute, OPERATION_KEY, Route, Routed};
pub use table::{Event, Phase};
pub use time::Millis;
