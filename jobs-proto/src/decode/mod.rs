//! Reading what the service sends, in place and without copies.
//!
//! Each function checks the whole payload: what it returns needs no further checks, and a job
//! document it hands out is well-formed JSON. Members that are not known are stepped over, texts
//! that are not known are values, times in milliseconds are taken, `null` means absent. A known
//! member that comes twice is an error, however its name is spelled.
//!
//! Source of all shapes: AWS IoT developer guide, jobs-mqtt-api.

mod error;
mod execution;
mod get_pending;
mod notify;
mod rejected;
mod salvage;
mod status_details;
mod summary;
mod update;

pub use error::{DecodeError, ErrorKind};
pub use execution::{
    ExecutionMessage, JobExecution, describe_accepted, notify_next, start_next_accepted,
};
pub use get_pending::{Pending, get_pending_accepted};
pub use notify::{Notify, notify};
pub use rejected::{Rejected, rejected};
pub use salvage::Salvage;
pub use status_details::{StatusDetails, StatusDetailsIter};
pub use summary::{JobExecutionSummary, Summaries};
pub use update::{ExecutionState, UpdateAccepted, update_accepted};

use crate::limits::MQTT_PAYLOAD_LEN_MAX;
use crate::members::{self, Slot};
use crate::scan::{Fault, Scanner};

/// At most one payload's worth of bytes, and the fault if there are more.
fn bounded(bytes: &[u8]) -> (&[u8], Result<(), Fault>) {
    match bytes.split_at_checked(MQTT_PAYLOAD_LEN_MAX) {
        Some((head, rest)) if !rest.is_empty() => (
            head,
            Err(Fault {
                kind: ErrorKind::TooLong,
                at: MQTT_PAYLOAD_LEN_MAX,
            }),
        ),
        _ => (bytes, Ok(())),
    }
}

/// Reads a message in which no object is looked into on the way.
fn flat<'a>(payload: &'a [u8], names: &[&str], slots: &mut [Slot<'a>]) -> Result<(), Fault> {
    let mut scanner = Scanner::new(payload, 0);
    members::read(&mut scanner, names, slots)?;
    scanner.end()
}
