//! `…/rejected`: the service refuses a request.

use super::{DecodeError, ExecutionState, Kind, Message, Text, Time};
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
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    match message.read(Kind::Rejected, payload) {
        Ok(()) => Ok(Rejected {
            code: message.code(),
            message: message.text(Text::Message),
            client_token: message.text(Text::ClientToken),
            timestamp: message.time(Time::Timestamp),
            execution_state: ExecutionState::of(&message),
        }),
        Err(kind) => Err(DecodeError::of(kind, &message)),
    }
}
