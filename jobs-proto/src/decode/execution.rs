//! The messages that carry one execution: `notify-next`, *describe* and *start-next*.

use super::error::missing;
use super::salvage::salvage;
use super::{DecodeError, StatusDetails};
use crate::found::{self, Found, Numbers, Set};
use crate::words::member;
use crate::{EpochSeconds, EscapedStr, JobId, ThingName, WireStatus};

/// A message about one execution, or about none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExecutionMessage<'a> {
    /// The token of the request, in replies to one that had a token.
    pub client_token: Option<EscapedStr<'a>>,
    /// When the service sent the message.
    pub timestamp: Option<EpochSeconds>,
    /// The execution; `None` when nothing is pending.
    pub execution: Option<JobExecution<'a>>,
}

/// One execution of a job on this thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobExecution<'a> {
    /// The job.
    pub job_id: JobId<'a>,
    /// The thing; no captured MQTT message has it.
    pub thing_name: Option<ThingName<'a>>,
    /// The state.
    pub status: WireStatus,
    /// What was last reported about it; `None` if nothing ever was.
    pub status_details: Option<StatusDetails<'a>>,
    /// When it was queued.
    pub queued_at: Option<EpochSeconds>,
    /// When it was first IN_PROGRESS.
    pub started_at: Option<EpochSeconds>,
    /// When it last changed.
    pub last_updated_at: Option<EpochSeconds>,
    /// Seconds until a timer ends it; the service may be up to
    /// [`crate::limits::TIMEOUT_LATENESS_MAX_SECONDS`] late.
    pub approximate_seconds_before_timed_out: Option<u32>,
    /// Grows with every change; for `expectedVersion`.
    pub version_number: Option<i64>,
    /// Which execution of the job this is.
    pub execution_number: Option<i64>,
    /// The job document: well-formed JSON, byte for byte as received.
    pub job_document: Option<&'a [u8]>,
}

const OUTER: Set = found::set(&[member::CLIENT_TOKEN, member::TIMESTAMP, member::EXECUTION]);

const INNER: Set = found::set(&[
    member::JOB_ID,
    member::THING_NAME,
    member::STATUS,
    member::STATUS_DETAILS,
    member::QUEUED_AT,
    member::STARTED_AT,
    member::LAST_UPDATED_AT,
    member::SECONDS_LEFT,
    member::VERSION_NUMBER,
    member::EXECUTION_NUMBER,
    member::JOB_DOCUMENT,
]);

/// Reads the payload of `…/notify-next`.
///
/// # Errors
///
/// [`DecodeError`] when the payload is no such message; it carries the job id if that was readable.
pub fn notify_next(payload: &[u8]) -> Result<ExecutionMessage<'_>, DecodeError<'_>> {
    message(payload)
}

/// Reads the payload of `…/{jobId}/get/accepted` and `…/$next/get/accepted`.
///
/// # Errors
///
/// [`DecodeError`] when the payload is no such message; it carries the job id if that was readable.
pub fn describe_accepted(payload: &[u8]) -> Result<ExecutionMessage<'_>, DecodeError<'_>> {
    message(payload)
}

/// Reads the payload of `…/start-next/accepted`.
///
/// # Errors
///
/// [`DecodeError`] when the payload is no such message; it carries the job id if that was readable.
pub fn start_next_accepted(payload: &[u8]) -> Result<ExecutionMessage<'_>, DecodeError<'_>> {
    message(payload)
}

/// The three messages have one shape.
///
/// Each result is built in the place where it is returned: moving a whole one costs flash.
#[cfg_attr(not(feature = "fast"), inline(never))]
fn message(payload: &[u8]) -> Result<ExecutionMessage<'_>, DecodeError<'_>> {
    let mut values = found::nothing!();
    let mut found = Found::new(&mut values);
    let fault = found.read_message(payload, OUTER, INNER);
    if let Some(fault) = fault {
        return Err(salvage(payload, &mut found, fault));
    }
    if found.seen & INNER != 0 && !found.has(member::JOB_ID) {
        return Err(missing(found.object_at));
    }
    Ok(ExecutionMessage {
        client_token: found.text(member::CLIENT_TOKEN),
        timestamp: found.timestamp(),
        execution: execution(&found),
    })
}

#[cfg_attr(not(feature = "fast"), inline(never))]
fn execution<'a>(found: &Found<'_, 'a>) -> Option<JobExecution<'a>> {
    // The guide calls the member "empty" when it means absent.
    if found.seen & INNER == 0 {
        return None;
    }
    let mut numbers = Numbers::NONE;
    numbers.read(found);
    Some(JobExecution {
        approximate_seconds_before_timed_out: found.seconds(member::SECONDS_LEFT),
        status: found.status(),
        job_id: found.job(),
        thing_name: found.thing(),
        status_details: found.details(),
        job_document: found.json(member::JOB_DOCUMENT),
        queued_at: numbers.queued_at,
        started_at: numbers.started_at,
        last_updated_at: numbers.last_updated_at,
        version_number: numbers.version_number,
        execution_number: numbers.execution_number,
    })
}
