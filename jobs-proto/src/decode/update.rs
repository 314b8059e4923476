//! `…/update/accepted`, and the state that replies to updates can carry.

use super::{DecodeError, Kind, Message, Number, StatusDetails, Text, Time};
use crate::{EpochSeconds, EscapedStr, WireStatus};

/// An update was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UpdateAccepted<'a> {
    /// The token of the request, if it had one.
    pub client_token: Option<EscapedStr<'a>>,
    /// When the service sent the message.
    pub timestamp: Option<EpochSeconds>,
    /// The state after the update, if the request asked for it.
    pub execution_state: Option<ExecutionState<'a>>,
    /// The job document, if the request asked for it: well-formed JSON as received.
    pub job_document: Option<&'a [u8]>,
}

/// The state of an execution, as replies to updates carry it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExecutionState<'a> {
    /// The state.
    pub status: WireStatus,
    /// What was last reported about it; `None` if nothing ever was.
    pub status_details: Option<StatusDetails<'a>>,
    /// Grows with every change; for `expectedVersion`.
    pub version_number: Option<i64>,
}

/// Reads the payload of `…/{jobId}/update/accepted`; the topic tells the job.
///
/// # Errors
///
/// [`DecodeError`] when the payload is no such message.
pub fn update_accepted(payload: &[u8]) -> Result<UpdateAccepted<'_>, DecodeError<'_>> {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    match message.read(Kind::Updated, payload) {
        Ok(()) => Ok(UpdateAccepted {
            client_token: message.text(Text::ClientToken),
            timestamp: message.time(Time::Timestamp),
            execution_state: ExecutionState::of(&message),
            job_document: message.job_document(),
        }),
        Err(kind) => Err(DecodeError::of(kind, &message)),
    }
}

impl<'a> ExecutionState<'a> {
    pub(super) fn of(message: &Message<'_, 'a>) -> Option<Self> {
        message.has_state().then(|| Self {
            status: message.status(),
            status_details: message.status_details(),
            version_number: message.number(Number::Version),
        })
    }
}
