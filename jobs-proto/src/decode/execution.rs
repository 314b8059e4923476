//! The messages that carry one execution: `notify-next`, *describe* and *start-next*.

use super::salvage::Found;
use super::{DecodeError, ErrorKind, StatusDetails, bounded};
use crate::members::{self, Fields, Nested, Slot};
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
    // Also what is too long is read as far as it may be, for the sake of its job id.
    let read = members::read_message(payload, &TOP, &mut top, nested);
    let fault = match length.and(read) {
        Ok(()) => {
            let mut fields = Fields::default();
            let message = build(&mut fields, &top, &whole, &slots);
            match fields.finish() {
                Ok(()) => return Ok(message),
                Err(fault) => fault,
            }
        }
        Err(fault) => fault,
    };
    let [client_token, _] = top;
    let [job_id, _, _, _, queued_at, _, _, _, _, execution_number, _] = slots;
    let found = Found([job_id, execution_number, queued_at, client_token]);
    let salvage = found.salvage(payload, fault);
    Err(DecodeError {
        kind: fault.kind,
        offset: fault.at,
        salvage,
    })
}

fn build<'a>(
    fields: &mut Fields,
    [client_token, timestamp]: &[Slot<'a>; TOP.len()],
    whole: &Slot<'a>,
    slots: &[Slot<'a>; NAMES.len()],
) -> ExecutionMessage<'a> {
    let mut execution = None;
    if let Some(raw) = fields.object(whole) {
        execution = self::execution(fields, slots);
        // The guide calls the member "empty" when it means absent.
        if execution.is_none() && slots.iter().any(Option::is_some) {
            fields.note(&raw, ErrorKind::MissingField);
        }
    }
    ExecutionMessage {
        client_token: fields.string(client_token),
        timestamp: members::time(timestamp),
        execution,
    }
}

/// `None` without a job id.
fn execution<'a>(fields: &mut Fields, slots: &[Slot<'a>; NAMES.len()]) -> Option<JobExecution<'a>> {
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
    ] = slots;
    Some(JobExecution {
        job_id: fields.job_id(job_id)?,
        thing_name: fields.thing_name(thing_name),
        status: fields.status(status),
        status_details: fields.object(status_details).map(StatusDetails::new),
        queued_at: members::time(queued_at),
        started_at: members::time(started_at),
        last_updated_at: members::time(last_updated_at),
        // A hint, so a strange value is none.
        approximate_seconds_before_timed_out: Fields::default()
            .int(seconds_left)
            .and_then(|seconds| u32::try_from(seconds).ok()),
        version_number: fields.int(version_number),
        execution_number: fields.int(execution_number),
        job_document: members::present(job_document).map(|raw| raw.text),
    })
}
