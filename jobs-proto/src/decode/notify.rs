//! `…/notify`: the lists of pending executions changed.

use super::summary::Naming;
use super::{DecodeError, ErrorKind, Summaries};
use crate::members::{self, Out, Target};
use crate::scan::Fault;
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
    let mut notify = Notify {
        timestamp: None,
        payload,
        jobs_at: 0,
    };
    let mut members = [
        Out::Time(&mut notify.timestamp),
        Out::Place(&mut notify.jobs_at),
    ];
    let mut outer = Target::new(&["timestamp", "jobs"], &mut members);
    let mut fault = members::read_message(payload, &mut outer, &mut Target::none());
    if notify.jobs_at == 0 {
        fault = fault.or(Some(Fault {
            kind: ErrorKind::MissingField,
            at: payload.len(),
        }));
    }
    let fault = fault.or_else(|| notify.all().fault());
    fault.map_or(Ok(notify), |fault| Err(fault.into()))
}
