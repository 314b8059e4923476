//! `…/get/accepted`: the lists of pending executions, on request.

use super::{DecodeError, Kind, Message, Summaries, Text, Time};
use crate::{EpochSeconds, EscapedStr, JobStatus};

/// The pending executions of this thing, or as many as fit
/// ([`crate::limits::LIST_ENTRIES_MAX`]).
#[derive(Clone, Debug)]
pub struct Pending<'a> {
    /// The token of the request, if it had one.
    pub client_token: Option<EscapedStr<'a>>,
    /// When the service sent the message.
    pub timestamp: Option<EpochSeconds>,
    lines: Summaries<'a>,
}

impl<'a> Pending<'a> {
    fn lines(&self, wanted: Option<JobStatus>) -> Summaries<'a> {
        self.lines.only(wanted)
    }

    /// The executions that were started.
    #[must_use]
    pub fn in_progress(&self) -> Summaries<'a> {
        self.lines(Some(JobStatus::InProgress))
    }

    /// The executions that wait.
    #[must_use]
    pub fn queued(&self) -> Summaries<'a> {
        self.lines(Some(JobStatus::Queued))
    }

    /// The executions of both lists.
    #[must_use]
    pub fn all(&self) -> Summaries<'a> {
        self.lines(None)
    }
}

/// Reads the payload of `…/get/accepted`.
///
/// A list that is missing is empty.
///
/// # Errors
///
/// [`DecodeError`] when the payload is no such message, without salvage: no single job is meant.
pub fn get_pending_accepted(payload: &[u8]) -> Result<Pending<'_>, DecodeError<'_>> {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    match message.read(Kind::Pending, payload) {
        Ok(()) => Ok(Pending {
            client_token: message.text(Text::ClientToken),
            timestamp: message.time(Time::Timestamp),
            lines: Summaries::of(&message),
        }),
        Err(kind) => Err(DecodeError::of(kind, &message)),
    }
}
