//! The messages that carry one execution: `notify-next`, *describe* and *start-next*.

use super::salvage::broken;
use super::{DecodeError, ErrorKind, StatusDetails};
use crate::members::{self, Out, Target};
use crate::scan::Fault;
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

const TOP: [&str; 3] = ["clientToken", "timestamp", "execution"];

const NAMES: [&str; 11] = [
    "jobId",
    "thingName",
    "status",
    "statusDetails",
    "queuedAt",
    "startedAt",
    "lastUpdatedAt",
    "approximateSecondsBeforeTimedOut",
    "versionNumber",
    "executionNumber",
    "jobDocument",
];

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
/// The message is built in the place where it is returned: moving a whole one costs flash.
fn message(payload: &[u8]) -> Result<ExecutionMessage<'_>, DecodeError<'_>> {
    let mut result = Ok(ExecutionMessage {
        client_token: None,
        timestamp: None,
        execution: Some(nothing()),
    });
    let Ok(message) = &mut result else {
        return result;
    };
    let Some(job) = &mut message.execution else {
        return result;
    };
    let mut top = [
        Out::Text(&mut message.client_token),
        Out::Time(&mut message.timestamp),
        Out::Inner,
    ];
    let mut members = [
        Out::Job(&mut job.job_id),
        Out::Thing(&mut job.thing_name),
        Out::Status(&mut job.status),
        Out::Details(&mut job.status_details),
        Out::Time(&mut job.queued_at),
        Out::Time(&mut job.started_at),
        Out::Time(&mut job.last_updated_at),
        Out::Seconds(&mut job.approximate_seconds_before_timed_out),
        Out::Int(&mut job.version_number),
        Out::Int(&mut job.execution_number),
        Out::Json(&mut job.job_document),
    ];
    let mut inner = Target::new(&NAMES, &mut members);
    let fault = members::read_message(payload, &mut Target::new(&TOP, &mut top), &mut inner);
    let (seen, at) = (inner.seen, inner.at);
    let fault = match fault {
        Some(fault) => fault,
        None if job.job_id.is_present() => return result,
        None if seen == 0 => {
            // The guide calls the member "empty" when it means absent.
            message.execution = None;
            return result;
        }
        None => Fault {
            kind: ErrorKind::MissingField,
            at,
        },
    };
    Err(broken(payload, fault, seen & 1 != 0, message))
}

/// An execution of which nothing is known.
fn nothing<'a>() -> JobExecution<'a> {
    JobExecution {
        job_id: JobId::ABSENT,
        thing_name: None,
        status: WireStatus::Absent,
        status_details: None,
        queued_at: None,
        started_at: None,
        last_updated_at: None,
        approximate_seconds_before_timed_out: None,
        version_number: None,
        execution_number: None,
        job_document: None,
    }
}
