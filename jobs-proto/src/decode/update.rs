//! `…/update/accepted`, and the state that replies to updates can carry.

use super::{DecodeError, StatusDetails};
use crate::found::{self, Found, Set};
use crate::words::member;
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
    const OUTER: Set = found::set(&[
        member::CLIENT_TOKEN,
        member::TIMESTAMP,
        member::EXECUTION_STATE,
        member::JOB_DOCUMENT,
    ]);
    let mut values = found::nothing!();
    let mut found = Found::new(&mut values);
    if let Some(fault) = found.read_message(payload, OUTER, STATE) {
        return Err(fault.into());
    }
    Ok(UpdateAccepted {
        client_token: found.text(member::CLIENT_TOKEN),
        timestamp: found.timestamp(),
        job_document: found.json(member::JOB_DOCUMENT),
        execution_state: state(&found),
    })
}

/// The members of a state.
pub(super) const STATE: Set = found::set(&[
    member::STATUS,
    member::STATUS_DETAILS,
    member::VERSION_NUMBER,
]);

/// The state that a message has.
#[cfg_attr(not(feature = "fast"), inline(never))]
pub(super) fn state<'a>(found: &Found<'_, 'a>) -> Option<ExecutionState<'a>> {
    if found.object_at == 0 {
        return None;
    }
    let mut version_number = None;
    found.int(member::VERSION_NUMBER, &mut version_number);
    Some(ExecutionState {
        version_number,
        status: found.status(),
        status_details: found.details(),
    })
}
