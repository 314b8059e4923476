//! `…/rejected`: the service refuses a request.

use super::error::missing;
use super::update::{STATE, state};
use super::{DecodeError, ExecutionState};
use crate::found::{self, Found, Set};
use crate::words::member;
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
    const OUTER: Set = found::set(&[
        member::CLIENT_TOKEN,
        member::TIMESTAMP,
        member::EXECUTION_STATE,
        member::CODE,
        member::MESSAGE,
    ]);
    let mut values = found::nothing!();
    let mut found = Found::new(&mut values);
    if let Some(fault) = found.read_message(payload, OUTER, STATE) {
        return Err(fault.into());
    }
    if !found.has(member::CODE) {
        return Err(missing(payload.len()));
    }
    Ok(Rejected {
        timestamp: found.timestamp(),
        message: found.text(member::MESSAGE),
        client_token: found.text(member::CLIENT_TOKEN),
        code: found.code(),
        execution_state: state(&found),
    })
}
