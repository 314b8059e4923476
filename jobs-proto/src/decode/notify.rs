//! `…/notify`: the lists of pending executions changed.

use super::error::missing;
use super::summary::Naming;
use super::{DecodeError, Summaries};
use crate::found::{self, Found, Set};
use crate::words::member;
use crate::{EpochSeconds, JobStatus};

/// The pending executions of this thing, or as many as fit
/// ([`crate::limits::LIST_ENTRIES_MAX`]).
#[derive(Clone, Copy, Debug)]
pub struct Notify<'a> {
    /// When the service sent the message.
    pub timestamp: Option<EpochSeconds>,
    payload: &'a [u8],
    /// Where the object with the lists stands.
    jobs_at: usize,
}

impl<'a> Notify<'a> {
    #[cfg_attr(not(feature = "fast"), inline(never))]
    fn lines(&self, wanted: Option<JobStatus>) -> Summaries<'a> {
        Summaries::new(self.payload, self.jobs_at, Naming::Status, wanted)
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
    const OUTER: Set = found::set(&[member::TIMESTAMP, member::JOBS]);
    let mut values = found::nothing!();
    let mut found = Found::new(&mut values);
    let fault = found.read_message(payload, OUTER, 0);
    let jobs_at = found.object_at;
    if fault.is_none() && jobs_at == 0 {
        return Err(missing(payload.len()));
    }
    let lists = || Summaries::new(payload, jobs_at, Naming::Status, None).fault();
    match fault.or_else(lists) {
        Some(fault) => Err(fault.into()),
        None => Ok(Notify {
            timestamp: found.timestamp(),
            payload,
            jobs_at,
        }),
    }
}
