//! `…/notify`: the lists of pending executions changed.

use super::{DecodeError, Kind, Message, Summaries, Time};
use crate::{EpochSeconds, JobStatus};

/// The pending executions of this thing, or as many as fit
/// ([`crate::limits::LIST_ENTRIES_MAX`]).
#[derive(Clone, Debug)]
pub struct Notify<'a> {
    /// When the service sent the message.
    pub timestamp: Option<EpochSeconds>,
    lines: Summaries<'a>,
}

impl<'a> Notify<'a> {
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

    /// The executions of all lists, also of lists for states that are not known.
    #[must_use]
    pub fn all(&self) -> Summaries<'a> {
        self.lines(None)
    }
}

/// Reads the payload of `…/notify`.
///
/// `"jobs":{}` means that nothing is pending; a message without `jobs` says nothing and is an
/// error, because an empty list would look like a cancel.
///
/// # Errors
///
/// [`DecodeError`] when the payload is no such message, without salvage: no single job is meant.
pub fn notify(payload: &[u8]) -> Result<Notify<'_>, DecodeError<'_>> {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    match message.read(Kind::Notify, payload) {
        Ok(()) => Ok(Notify {
            timestamp: message.time(Time::Timestamp),
            lines: Summaries::of(&message),
        }),
        Err(kind) => Err(DecodeError::of(kind, &message)),
    }
}
