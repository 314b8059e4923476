//! `…/update/accepted`, and the state that replies to updates can carry.

use super::{DecodeError, StatusDetails, bounded};
use crate::members::{self, Fields, Slot};
use crate::scan::{Fault, Scanner};
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
    read(payload).map_err(DecodeError::from)
}

fn read(payload: &[u8]) -> Result<UpdateAccepted<'_>, Fault> {
    let (payload, length) = bounded(payload);
    length?;
    let mut slots = [None; 4];
    let names = ["clientToken", "timestamp", "executionState", "jobDocument"];
    super::flat(payload, &names, &mut slots)?;
    let [client_token, timestamp, state, job_document] = &slots;
    let mut fields = Fields::default();
    let update = UpdateAccepted {
        client_token: fields.string(client_token),
        timestamp: members::time(timestamp),
        execution_state: execution_state(&mut fields, payload, state)?,
        job_document: members::present(job_document).map(|raw| raw.text),
    };
    fields.finish()?;
    Ok(update)
}

/// Reads the `executionState` of a reply.
pub(super) fn execution_state<'a>(
    fields: &mut Fields,
    payload: &'a [u8],
    slot: &Slot<'a>,
) -> Result<Option<ExecutionState<'a>>, Fault> {
    let Some(raw) = fields.object(slot) else {
        return Ok(None);
    };
    let mut slots = [None; 3];
    let names = ["status", "statusDetails", "versionNumber"];
    members::read(&mut Scanner::new(payload, raw.at), &names, &mut slots)?;
    let [status, status_details, version_number] = &slots;
    Ok(Some(ExecutionState {
        status: fields.status(status),
        status_details: fields.object(status_details).map(StatusDetails::new),
        version_number: fields.int(version_number),
    }))
}
