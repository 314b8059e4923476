//! The messages that carry one execution: `notify-next`, *describe* and *start-next*.

use super::{DecodeError, Kind, Message, Number, StatusDetails, Text, Time};
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
#[cfg_attr(not(feature = "fast"), inline(never))]
fn message(payload: &[u8]) -> Result<ExecutionMessage<'_>, DecodeError<'_>> {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    match message.read(Kind::Execution, payload) {
        Ok(()) => Ok(ExecutionMessage {
            client_token: message.text(Text::ClientToken),
            timestamp: message.time(Time::Timestamp),
            execution: JobExecution::of(&message),
        }),
        Err(kind) => Err(DecodeError::of(kind, &message)),
    }
}

impl<'a> JobExecution<'a> {
    fn of(message: &Message<'_, 'a>) -> Option<Self> {
        let seconds = message.number(Number::SecondsLeft);
        Some(Self {
            job_id: message.job_id()?,
            thing_name: message.thing_name(),
            status: message.status(),
            status_details: message.status_details(),
            queued_at: message.time(Time::Queued),
            started_at: message.time(Time::Started),
            last_updated_at: message.time(Time::LastUpdated),
            // A hint, so that a strange value is none.
            approximate_seconds_before_timed_out: seconds.and_then(|left| left.try_into().ok()),
            version_number: message.number(Number::Version),
            execution_number: message.number(Number::Execution),
            job_document: message.job_document(),
        })
    }
}
