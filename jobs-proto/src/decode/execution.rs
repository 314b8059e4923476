//! The messages that carry one execution: `notify-next`, *describe* and *start-next*.

use super::salvage::Found;
use super::{DecodeError, ErrorKind, StatusDetails, bounded};
use crate::members::{self, Nested, Slot};
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

const TOP: [&str; 2] = ["clientToken", "timestamp"];

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
fn message(payload: &[u8]) -> Result<ExecutionMessage<'_>, DecodeError<'_>> {
    let (payload, length) = bounded(payload);
    let mut top = [None; TOP.len()];
    let mut slots = [None; NAMES.len()];
    let mut whole = None;
    let nested = Nested {
        name: "execution",
        whole: &mut whole,
        names: &NAMES,
        slots: &mut slots,
    };
    let result = length
        .and(members::read_message(payload, &TOP, &mut top, nested))
        .and_then(|()| build(&top, whole, &slots));
    result.map_err(|fault| {
        let [client_token, _] = top;
        let [job_id, _, _, _, queued_at, _, _, _, _, execution_number, _] = slots;
        let found = Found {
            job_id,
            execution_number,
            queued_at,
            client_token,
        };
        let salvage = found.salvage(payload, fault);
        DecodeError {
            kind: fault.kind,
            offset: fault.at,
            salvage,
        }
    })
}

fn build<'a>(
    top: &[Slot<'a>; TOP.len()],
    whole: Slot<'a>,
    slots: &[Slot<'a>; NAMES.len()],
) -> Result<ExecutionMessage<'a>, Fault> {
    let [client_token, timestamp] = *top;
    let execution = match members::object(whole)? {
        // The guide calls the member "empty" when it means absent.
        Some(_) if slots.iter().all(Option::is_none) => None,
        Some(raw) => match execution(slots)? {
            Some(execution) => Some(execution),
            None => return Err(raw.fault(ErrorKind::MissingField)),
        },
        None => None,
    };
    Ok(ExecutionMessage {
        client_token: members::string(client_token)?,
        timestamp: members::time(timestamp),
        execution,
    })
}

/// `None` without a job id.
fn execution<'a>(slots: &[Slot<'a>; NAMES.len()]) -> Result<Option<JobExecution<'a>>, Fault> {
    let [
        job_id,
        thing_name,
        status,
        status_details,
        queued_at,
        started_at,
        last_updated_at,
        seconds_left,
        version_number,
        execution_number,
        job_document,
    ] = *slots;
    let Some(job_id) = members::job_id(job_id)? else {
        return Ok(None);
    };
    Ok(Some(JobExecution {
        job_id,
        thing_name: self::thing_name(thing_name)?,
        status: members::status(status)?,
        status_details: members::object(status_details)?.map(StatusDetails::new),
        queued_at: members::time(queued_at),
        started_at: members::time(started_at),
        last_updated_at: members::time(last_updated_at),
        approximate_seconds_before_timed_out: members::int(seconds_left)
            .ok()
            .flatten()
            .and_then(|seconds| u32::try_from(seconds).ok()),
        version_number: members::int(version_number)?,
        execution_number: members::int(execution_number)?,
        job_document: members::present(job_document).map(|raw| raw.text),
    }))
}

fn thing_name(slot: Slot<'_>) -> Result<Option<ThingName<'_>>, Fault> {
    let (Some(text), Some(raw)) = (members::string(slot)?, slot) else {
        return Ok(None);
    };
    let name = ThingName::new(text.as_escaped());
    name.map(Some).map_err(|_| raw.fault(ErrorKind::InvalidId))
}
