//! `…/rejected`: the service refuses a request.

use super::update::execution_state;
use super::{DecodeError, ErrorKind, ExecutionState, bounded};
use crate::members::{self, Fields};
use crate::scan::Fault;
use crate::{EpochSeconds, ErrorCode, EscapedStr};

/// A request was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejected<'a> {
    /// Why.
    pub code: ErrorCode,
    /// Why, for people; the text is not stable.
    pub message: Option<EscapedStr<'a>>,
    /// The token of the request; missing if the service could not read the request.
    pub client_token: Option<EscapedStr<'a>>,
    /// When the service sent the message.
    pub timestamp: Option<EpochSeconds>,
    /// The state as it is, with `InvalidStateTransition` and `VersionMismatch`.
    pub execution_state: Option<ExecutionState<'a>>,
}

/// Reads the payload of any `…/rejected`; the topic tells the request.
///
/// # Errors
///
/// [`DecodeError`] when the payload is no such message or has no `code`.
pub fn rejected(payload: &[u8]) -> Result<Rejected<'_>, DecodeError<'_>> {
    read(payload).map_err(DecodeError::from)
}

fn read(payload: &[u8]) -> Result<Rejected<'_>, Fault> {
    let (payload, length) = bounded(payload);
    length?;
    let mut slots = [None; 5];
    let names = [
        "code",
        "message",
        "clientToken",
        "timestamp",
        "executionState",
    ];
    super::flat(payload, &names, &mut slots)?;
    let [code, message, client_token, timestamp, state] = &slots;
    let mut fields = Fields::default();
    let code = fields.string(code);
    let rejected = Rejected {
        code: code.map_or(ErrorCode::Unknown, known),
        message: fields.string(message),
        client_token: fields.string(client_token),
        timestamp: members::time(timestamp),
        execution_state: execution_state(&mut fields, payload, state)?,
    };
    fields.finish()?;
    if code.is_none() {
        return Err(Fault {
            kind: ErrorKind::MissingField,
            at: payload.len(),
        });
    }
    Ok(rejected)
}

fn known(text: EscapedStr<'_>) -> ErrorCode {
    let known = ErrorCode::ALL
        .into_iter()
        .find(|known| text.eq_str(known.as_str()));
    known.unwrap_or(ErrorCode::Unknown)
}
