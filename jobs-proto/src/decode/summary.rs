//! Lists of executions, read entry by entry.

use super::ErrorKind;
use crate::found::{self, Found, Numbers, Set};
use crate::members::Members;
use crate::scan::{Fault, Scanner};
use crate::text::EscapedStr;
use crate::words::{member, words};
use crate::{EpochSeconds, JobId, JobStatus, WireStatus};

/// One line of a list of executions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobExecutionSummary<'a> {
    /// The job.
    pub job_id: JobId<'a>,
    /// The state, told by the list in which the line stood.
    pub status: WireStatus,
    /// Which execution of the job this is; old examples lack it.
    pub execution_number: Option<i64>,
    /// When it was queued.
    pub queued_at: Option<EpochSeconds>,
    /// When it was first IN_PROGRESS.
    pub started_at: Option<EpochSeconds>,
    /// When it last changed.
    pub last_updated_at: Option<EpochSeconds>,
    /// Grows with every change.
    pub version_number: Option<i64>,
}

/// The members of a line.
const LINE: Set = found::set(&[
    member::JOB_ID,
    member::EXECUTION_NUMBER,
    member::QUEUED_AT,
    member::STARTED_AT,
    member::LAST_UPDATED_AT,
    member::VERSION_NUMBER,
]);

words! {
    /// The lists of the states that come first in [`JobStatus::ALL`].
    LISTS, find_list: "queuedJobs", "inProgressJobs",
}

/// How the lists of a message are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Naming {
    /// By state: the lists of `notify`.
    Status,
    /// `inProgressJobs` and `queuedJobs`, among members that are no lists.
    Pending,
}

impl Naming {
    /// The state of the lines in the list with this name; `None` if that is no list.
    fn status(self, name: EscapedStr<'_>) -> Option<WireStatus> {
        if self == Self::Status {
            return Some(WireStatus::read(name));
        }
        let index = find_list(name);
        let status = JobStatus::ALL.get(usize::from(index))?;
        Some(WireStatus::Known(*status))
    }
}

/// The lines of one or of all lists of a message, read while iterating.
#[derive(Clone, Debug)]
pub struct Summaries<'a> {
    lists: Members<'a>,
    naming: Naming,
    /// The list that is being read; the scanner stands behind its bracket or behind a line.
    list: Option<WireStatus>,
    /// Only lines of this state.
    wanted: Option<JobStatus>,
    /// States whose list was met, one bit each.
    seen: u8,
}

impl<'a> Summaries<'a> {
    /// `object_at` is where the object stands that holds the lists.
    pub(super) fn new(
        payload: &'a [u8],
        object_at: usize,
        naming: Naming,
        wanted: Option<JobStatus>,
    ) -> Self {
        let lists = Members::new(Scanner::new(payload, object_at));
        Self {
            lists,
            naming,
            list: None,
            wanted,
            seen: 0,
        }
    }

    /// Reads everything once, so that later readers meet no fault.
    pub(super) fn fault(mut self) -> Option<Fault> {
        while self.next().is_some() {}
        self.lists.scanner.fault()
    }

    /// Goes to the first line of the next list; false if there is none.
    fn open_list(&mut self) -> bool {
        let Some(name) = self.lists.next_key() else {
            // What follows belongs to another object.
            self.lists.scanner.close();
            return false;
        };
        let scanner = &mut self.lists.scanner;
        let token = scanner.next_token();
        let Some(status) = self.naming.status(name) else {
            scanner.value();
            return true;
        };
        if let WireStatus::Known(status) = status {
            let bit = 1_u8.wrapping_shl(status as u32);
            if self.seen & bit != 0 {
                scanner.fail(ErrorKind::DuplicateKey);
            }
            self.seen |= bit;
        }
        match token {
            b'[' => {
                scanner.bump();
                if scanner.next_token() == b']' {
                    scanner.bump();
                } else {
                    self.list = Some(status);
                }
            }
            b'n' => {
                scanner.value();
            }
            _ => scanner.unexpected_or(ErrorKind::WrongType),
        }
        true
    }

    /// Reads one line and what follows it; false after a fault.
    fn line(&mut self, found: &mut Found<'_, 'a>) -> bool {
        self.lists.scanner.next_token();
        let at = self.lists.scanner.at();
        self.lists.restart();
        let mut fault = found.read(&mut self.lists, LINE, 0);
        let scanner = &mut self.lists.scanner;
        match scanner.next_token() {
            b',' => {}
            b']' => self.list = None,
            _ => scanner.unexpected(),
        }
        scanner.bump();
        if !found.has(member::JOB_ID) {
            let kind = ErrorKind::MissingField;
            fault = fault.or(Some(Fault { kind, at }));
        }
        if let Some(fault) = fault {
            scanner.fail_at(fault.kind, fault.at);
        }
        scanner.is_sound()
    }
}

impl<'a> Iterator for Summaries<'a> {
    type Item = JobExecutionSummary<'a>;

    /// The payload was checked as a whole, so no fault can come up; it would end the iteration.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(status) = self.list else {
                if self.open_list() {
                    continue;
                }
                return None;
            };
            let mut values = found::nothing!();
            let mut found = Found::new(&mut values);
            if !self.line(&mut found) {
                return None;
            }
            if self.wanted.is_none_or(|wanted| status.is(wanted)) {
                return Some(line(&found, status));
            }
        }
    }
}

#[cfg_attr(not(feature = "fast"), inline(never))]
fn line<'a>(found: &Found<'_, 'a>, status: WireStatus) -> JobExecutionSummary<'a> {
    let mut numbers = Numbers::NONE;
    numbers.read(found);
    JobExecutionSummary {
        job_id: found.job(),
        status,
        execution_number: numbers.execution_number,
        queued_at: numbers.queued_at,
        started_at: numbers.started_at,
        last_updated_at: numbers.last_updated_at,
        version_number: numbers.version_number,
    }
}

impl core::iter::FusedIterator for Summaries<'_> {}
