//! `…/rejected`: the service refuses a request.

use super::update::with_state;
use super::{DecodeError, ErrorKind, ExecutionState};
use crate::members::Out;
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
    let mut code = None;
    let mut rejected = Rejected {
        code: ErrorCode::Unknown,
        message: None,
        client_token: None,
        timestamp: None,
        execution_state: None,
    };
    let members = [
        Out::Text(&mut rejected.client_token),
        Out::Time(&mut rejected.timestamp),
        Out::Inner,
        Out::Code(&mut code),
        Out::Text(&mut rejected.message),
    ];
    let fault = with_state(payload, &NAMES, members, &mut rejected.execution_state);
    match (fault, code) {
        (Some(fault), _) => Err(fault.into()),
        (None, Some(code)) => {
            rejected.code = code;
            Ok(rejected)
        }
        (None, None) => Err(DecodeError {
            kind: ErrorKind::MissingField,
            offset: payload.len(),
            salvage: None,
        }),
    }
}

const NAMES: [&str; 5] = [
    "clientToken",
    "timestamp",
    "executionState",
    "code",
    "message",
];
