//! An AWS IoT Jobs agent for Linux gateways, on tokio.
//!
//! ```no_run
//! use agent_std::{Agent, Endpoint, Job, Outcome};
//!
//! #[derive(serde::Deserialize)]
//! struct Blink {
//!     times: u32,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), agent_std::AgentError> {
//! Agent::new("pump-17", Endpoint::plain("127.0.0.1", 1883))
//!     .on("blink", |document: Blink, job: Job| async move {
//!         println!("{}: blink {} times", job.id(), document.times);
//!         Outcome::succeeded()
//!     })
//!     .run()
//!     .await
//! # }
//! ```
//!
//! This crate performs effects and reports events; what a job is and what is promised about it is
//! in `jobs-agent-core`.
//!
//! * [`Agent`]: build it, give it handlers, run it. [`Handlers`] and [`Job`] are for typed
//!   closures; any [`JobHandler`] works too, also one that runs on a board.
//! * [`Reboot`]: how the machine is reset when a job asks for it.
//! * [`Metrics`]: counters to watch; [`Happening`]: what a journal is made of.
//! * [`link`]: what the agent needs from MQTT, and [`link::rumqtt`], the client behind it;
//!   [`link::borrowed`], the connection that a program already has; [`link::hub`], many agents on
//!   one connection.
//! * `HttpsEndpoint` and `link::https`, with the feature `https`: the same over the HTTPS data plane,
//!   for devices without MQTT.
//! * [`store`]: the durable records of the agent, as files.
//! * [`boot`]: which boot of the machine this is, and entropy for client tokens.
//! * [`redact`]: log text without the secrets that presigned URLs carry.
//!
//! # What goes to the log
//!
//! `tracing` events, with a span `job` (`job_id`, `execution_number`, `attempt`) around everything
//! a handler does. Documents, payloads and status details are never logged; texts that may quote
//! a document go through [`redact`] first.
#![forbid(unsafe_code)]
// A refusal of the core carries its reason by value, as boards need it.
#![allow(clippy::result_large_err)]

mod agent;
pub mod boot;
mod driver;
mod happening;
pub mod link;
mod metrics;
mod reboot;
pub mod redact;
pub mod store;
mod typed;

#[cfg(feature = "https")]
pub use agent::HttpsEndpoint;
pub use agent::{Agent, AgentError, Choice, Endpoint, STATE_ROOT, STOP_GRACE_MS, Transport};
pub use happening::Happening;
pub use metrics::{Counts, Metrics};
pub use reboot::{ProcessExit, Reboot, RebootError, SystemReboot};
pub use typed::{Begin, CheckpointError, Handlers, IntoOutcome, Job};

pub use jobs_agent_core::{
    Attempt, Checkpoint, Config, Details, Ending, Ignored, JobHandler, JobPort, NoRoute, Offer,
    OperationTag, Outcome, Progress, Reason, Refusal, RunPolicy, StopReason, Stopped, Unclaimed,
};
