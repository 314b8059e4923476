//! `…/get/accepted`: the lists of pending executions, on request.

use super::summary::Naming;
use super::{DecodeError, Summaries};
use crate::found::{self, Found, Set};
use crate::words::member;
use crate::{EpochSeconds, EscapedStr, JobStatus};

/// The pending executions of this thing, or as many as fit
/// ([`crate::limits::LIST_ENTRIES_MAX`]).
#[derive(Clone, Copy, Debug)]
pub struct Pending<'a> {
    /// The token of the request, if it had one.
    pub client_token: Option<EscapedStr<'a>>,
    /// When the service sent the message.
    pub timestamp: Option<EpochSeconds>,
    payload: &'a [u8],
}

impl<'a> Pending<'a> {
    #[cfg_attr(not(feature = "fast"), inline(never))]
    fn lines(&self, wanted: Option<JobStatus>) -> Summaries<'a> {
        Summaries::new(self.payload, 0, Naming::Pending, wanted)
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
    const OUTER: Set = found::set(&[member::CLIENT_TOKEN, member::TIMESTAMP]);
    let mut values = found::nothing!();
    let mut found = Found::new(&mut values);
    let fault = found.read_message(payload, OUTER, 0);
    let lists = || Summaries::new(payload, 0, Naming::Pending, None).fault();
    match fault.or_else(lists) {
        Some(fault) => Err(fault.into()),
        None => Ok(Pending {
            timestamp: found.timestamp(),
            client_token: found.text(member::CLIENT_TOKEN),
            payload,
        }),
    }
}
