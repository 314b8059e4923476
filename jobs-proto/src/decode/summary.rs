//! Lists of executions, read entry by entry.

use super::ErrorKind;
use crate::members::{self, Fields, Members};
use crate::scan::{Fault, Scanner};
use crate::text::EscapedStr;
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

const NAMES: [&str; 6] = [
    "jobId",
    "executionNumber",
    "queuedAt",
    "startedAt",
    "lastUpdatedAt",
    "versionNumber",
];

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
        match self {
            Self::Status => Some(WireStatus::read(name)),
            Self::Pending if name.eq_str("inProgressJobs") => {
                Some(WireStatus::Known(JobStatus::InProgress))
            }
            Self::Pending if name.eq_str("queuedJobs") => {
                Some(WireStatus::Known(JobStatus::Queued))
            }
            Self::Pending => None,
        }
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
    done: bool,
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
            done: false,
        }
    }

    /// Reads everything once, so that later readers meet no fault.
    pub(super) fn check(mut self) -> Result<(), Fault> {
        while self.step()?.is_some() {}
        Ok(())
    }

    fn step(&mut self) -> Result<Option<JobExecutionSummary<'a>>, Fault> {
        while !self.done {
            let line = match self.list {
                Some(status) => self.line(status)?,
                None => {
                    self.open_list()?;
                    None
                }
            };
            if line.is_some() {
                return Ok(line);
            }
        }
        Ok(None)
    }

    /// Goes to the first line of the next list.
    fn open_list(&mut self) -> Result<(), Fault> {
        let Some(name) = self.lists.next_key()? else {
            self.done = true;
            return Ok(());
        };
        let status = self.naming.status(name);
        let scanner = &mut self.lists.scanner;
        let token = scanner.next_token();
        if let Some(WireStatus::Known(status)) = status {
            let bit = 1_u8.wrapping_shl(status as u32);
            if self.seen & bit != 0 {
                return Err(scanner.fault(ErrorKind::DuplicateKey));
            }
            self.seen |= bit;
        }
        match (status, token) {
            (Some(status), Some(b'[')) => {
                scanner.bump();
                self.list = Some(status);
                if scanner.next_token() == Some(b']') {
                    scanner.bump();
                    self.list = None;
                }
                Ok(())
            }
            (Some(_), Some(b'n')) | (None, _) => scanner.value().map(|_| ()),
            (Some(_), Some(_)) => Err(scanner.fault(ErrorKind::WrongType)),
            (Some(_), None) => Err(scanner.unexpected()),
        }
    }

    /// Reads one line and what follows it; `None` if it is not wanted.
    fn line(&mut self, status: WireStatus) -> Result<Option<JobExecutionSummary<'a>>, Fault> {
        let scanner = &mut self.lists.scanner;
        scanner.next_token();
        let missing = scanner.fault(ErrorKind::MissingField);
        let mut slots = [None; NAMES.len()];
        members::read(scanner, &NAMES, &mut slots)?;
        match scanner.next_token() {
            Some(b',') => {}
            Some(b']') => self.list = None,
            _ => return Err(scanner.unexpected()),
        }
        scanner.bump();
        let [
            job_id,
            execution_number,
            queued_at,
            started_at,
            last_updated_at,
            version_number,
        ] = &slots;
        let mut fields = Fields::default();
        let job_id = fields.job_id(job_id);
        let execution_number = fields.int(execution_number);
        let version_number = fields.int(version_number);
        fields.finish()?;
        let line = JobExecutionSummary {
            job_id: job_id.ok_or(missing)?,
            status,
            execution_number,
            queued_at: members::time(queued_at),
            started_at: members::time(started_at),
            last_updated_at: members::time(last_updated_at),
            version_number,
        };
        Ok(self
            .wanted
            .is_none_or(|wanted| status.is(wanted))
            .then_some(line))
    }
}

impl<'a> Iterator for Summaries<'a> {
    type Item = JobExecutionSummary<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.step();
        // The payload was checked as a whole, so a fault cannot come up here; it would end it.
        self.done |= !matches!(line, Ok(Some(_)));
        line.ok().flatten()
    }
}

impl core::iter::FusedIterator for Summaries<'_> {}
