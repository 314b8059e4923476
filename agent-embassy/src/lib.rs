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
// Boards have no Send: futures here stay on the executor that polls them.
#![allow(async_fn_in_trait)]
// A refusal carries its reason by value: there is no allocator to box it.
#![allow(clippy::result_large_err)]
//! An AWS IoT Jobs agent for boards: `no_std`, no allocation, one task, any executor.
//!
//! Everything about jobs is decided by `jobs-agent-core`; this crate performs its effects. The
//! firmware lends it memory ([`AgentResources`]) and four parts:
//!
//! | part | trait | what is here |
//! |---|---|---|
//! | the way to the broker | [`Link`] | [`MqttLink`]: MQTT 5 over any stream that a [`Connect`] opens |
//! | what survives a power cut | [`RecordStore`] | [`FlashStore`]: any NOR flash; [`RamStore`] for tests |
//! | the board itself | [`Board`] | [`start_boot`] counts boots in any [`RecordStore`] |
//! | the work | [`JobHandler`] | the same source as on Linux |
//!
//! ```
//! use agent_embassy::{AgentResources, Board, Config, Connect, JobHandler, MqttLink, MqttOptions,
//!     Parts, RecordStore, Runner, TX_LEN_MIN, ThingName, start_boot};
//!
//! async fn agent<C: Connect, S: RecordStore>(
//!     resources: &mut AgentResources<1, 4096, TX_LEN_MIN>,
//!     tcp: C,
//!     mut store: S,
//!     board: impl Board,
//!     handlers: impl JobHandler,
//!     noise: u64,
//! ) {
//!     let Ok(thing) = ThingName::new("pump-17") else { return };
//!     let config = Config::new(thing);
//!     let Ok(boot) = start_boot(&mut store, noise).await else { return };
//!     let lent = resources.lend();
//!     let Ok(link) = MqttLink::new(lent.buffers, &MqttOptions::new("pump-17"), tcp) else { return };
//!     let parts = Parts { link, store, board, handlers };
//!     let Err(error) = Runner::new(lent.room, &config, boot, parts).run().await;
//!     // The records cannot be read: nothing was started. Reset, or say so to a person.
//!     let _ = error;
//! }
//! ```
//!
//! # Cancel safety
//!
//! Dropping [`Runner::run`] at any await is, for the jobs, a power cut: what was durable goes on
//! with the next `run`, what was not is offered again by the service. Nothing is lost and nothing
//! is run twice that P1 forbids. It counts as an attempt at the work that was on.

#[cfg(test)]
extern crate std;

#[macro_use]
mod apart;
#[macro_use]
mod fmt;

mod backoff;
mod board;
mod clock;
mod desk;
mod driver;
mod link;
mod port;
mod resources;
mod restore;
mod runner;
mod store;
mod work;

pub use board::{BOOT_SLOT, Board, ResetFailed, start_boot};
pub use jobs_agent_core::{
    Attempt, Boot, BootId, Checkpoint, Config, Details, JobHandler, JobPort, NoRoute, Offer,
    OperationTag, Outcome, Progress, Reason, Refusal, RunPolicy, StopReason, Stopped, Unclaimed,
};
pub use jobs_proto::ThingName;
pub use link::{
    Connect, Connection, Event, Filters, Link, LinkError, MqttConnection, MqttLink, MqttOptions,
    OptionsError, Packet, SendError,
};
pub use resources::{AgentResources, Buffers, Lent, RX_LEN_MIN, Room, TX_LEN_MIN};
pub use runner::{Parts, RunError, Runner};
pub use store::{
    RamStore, RecordStore, StoreErrorKind, StoreFault,
    flash::{FlashError, FlashStore, Partition, PartitionError, WORD_LEN_MIN, Word4, Word4Error},
};
