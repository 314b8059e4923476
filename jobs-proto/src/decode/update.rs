//! `…/update/accepted`, and the state that replies to updates can carry.

use super::{DecodeError, StatusDetails};
use crate::members::{self, Out, Target};
use crate::scan::Fault;
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
    let mut update = UpdateAccepted {
        client_token: None,
        timestamp: None,
        execution_state: None,
        job_document: None,
    };
    let members = [
        Out::Text(&mut update.client_token),
        Out::Time(&mut update.timestamp),
        Out::Inner,
        Out::Json(&mut update.job_document),
        Out::Inner,
    ];
    let names = &["clientToken", "timestamp", "executionState", "jobDocument"];
    match with_state(payload, names, members, &mut update.execution_state) {
        None => Ok(update),
        Some(fault) => Err(fault.into()),
    }
}

/// Reads a message that may have a state in the member that is [`Out::Inner`].
///
/// There may be more places than names; the last ones stay unused.
pub(super) fn with_state<'a>(
    payload: &'a [u8],
    names: &'static [&'static str],
    outs: [Out<'_, 'a>; 5],
    state: &mut Option<ExecutionState<'a>>,
) -> Option<Fault> {
    let found = state.insert(ExecutionState {
        status: WireStatus::Absent,
        status_details: None,
        version_number: None,
    });
    let mut members = [
        Out::Status(&mut found.status),
        Out::Details(&mut found.status_details),
        Out::Int(&mut found.version_number),
    ];
    // Moved, so that both targets may live as long as this call.
    let mut outs = outs;
    let mut inner = Target::new(&["status", "statusDetails", "versionNumber"], &mut members);
    let fault = members::read_message(payload, &mut Target::new(names, &mut outs), &mut inner);
    if inner.at == 0 {
        *state = None;
    }
    fault
}
