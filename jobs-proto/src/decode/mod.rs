//! Reading what the service sends, in place and without copies.
//!
//! Each function checks the whole payload: what it returns needs no further checks, and a job
//! document it hands out is well-formed JSON. Members that are not known are stepped over, texts
//! that are not known are values, times in milliseconds are taken, `null` means absent. A known
//! member that comes twice is an error, however its name is spelled.
//!
//! There are two ways to the same: [`Message`] is room that the caller lends and asks, which is
//! small in flash; the other functions return structs, which is handy.
//!
//! Source of all shapes: AWS IoT developer guide, jobs-mqtt-api.

mod error;
mod execution;
mod get_pending;
mod lines;
mod message;
mod notify;
mod rejected;
mod salvage;
mod shape;
mod status_details;
mod summary;
mod table;
mod update;

pub use error::{DecodeError, ErrorKind, Salvage};
pub use execution::{
    ExecutionMessage, JobExecution, describe_accepted, notify_next, start_next_accepted,
};
pub use get_pending::{Pending, get_pending_accepted};
pub use message::{Message, Number, Text, Time};
pub use notify::{Notify, notify};
pub use rejected::{Rejected, rejected};
pub use shape::Kind;
pub use status_details::{StatusDetails, StatusDetailsIter};
pub use summary::{JobExecutionSummary, Summaries};
pub use table::Room;
pub use update::{ExecutionState, UpdateAccepted, update_accepted};
