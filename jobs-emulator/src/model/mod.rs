//! The service's rules in virtual time: no I/O, no clock, no randomness.
//!
//! [`Service`] is plain data. Every entry takes the time in milliseconds since the epoch and
//! answers with the messages the service would send, in order. Two services that were given the
//! same calls are equal, so a test can fork, compare, hash and store them.
//!
//! The model decodes and encodes with `serde_json` and types of its own, not with the codec of
//! the agent: a mistake made there cannot hide behind the same mistake made here.
//!
//! ```
//! use jobs_emulator::model::{Service, Settings};
//! use serde_json::json;
//!
//! let mut service = Service::new(Settings::default());
//! service.create_thing(0, "pump-7")?;
//! let sent = service.create_job(1_000, "reboot-1", &["pump-7"], &json!({"operation": "reboot"}))?;
//! assert_eq!(sent[0].topic, "$aws/things/pump-7/jobs/notify");
//! assert_eq!(sent[1].topic, "$aws/things/pump-7/jobs/notify-next");
//!
//! let reply = service.publish(2_000, "$aws/things/pump-7/jobs/start-next", b"{}");
//! assert_eq!(reply[0].topic, "$aws/things/pump-7/jobs/start-next/accepted");
//! # Ok::<(), jobs_emulator::model::ApiError>(())
//! ```

mod config_parse;
mod control;
mod control_create;
mod control_executions;
mod control_groups;
mod control_jobs;
mod control_things;
mod device;
mod doors;
mod errors;
mod events;
mod faults;
mod job_config;
mod lifecycle;
mod ops;
mod placeholders;
mod queue;
mod request;
mod retry_abort;
mod rollout;
mod service;
mod settings;
mod shortcuts;
mod state;
mod timers;
mod topic;
mod validate;
mod wire;

pub use errors::{ApiError, DeviceErrorCode};
pub use faults::Fault;
pub use ops::{Audience, ControlOp, DataOp, Message};
pub use service::Service;
pub use settings::{
    CheckOrder, EmptyPayload, LIST_LIMIT_MAX, Settings, TerminalUpdate, UnknownThing, UnknownTopic,
};
pub use state::{ExecutionStatus, ExecutionView, JobStatus};
