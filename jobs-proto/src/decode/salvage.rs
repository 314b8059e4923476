//! What can still be said about a message that is broken.
//!
//! A job whose document cannot be read would stand at the head of the queue for ever if nobody
//! answered it. To answer it takes its job id, and that stands outside of the document.

use super::ErrorKind;
use crate::members::{self, Slot};
use crate::scan::{Fault, Raw, Scanner};
use crate::{EpochSeconds, EscapedStr, JobId};

/// Which job a broken message was about.
///
/// The members before the fault are read by the strict parser. When the job id is not among them,
/// the rest is searched with brackets and strings as the only landmarks; it then counts only if
/// it is there exactly once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Salvage<'a> {
    /// The job.
    pub job_id: JobId<'a>,
    /// Which execution of the job, if it was readable.
    pub execution_number: Option<i64>,
    /// When the execution was queued, if it was readable.
    pub queued_at: Option<EpochSeconds>,
    /// The token of the request that this answers, if it was readable.
    pub client_token: Option<EscapedStr<'a>>,
}

/// The slots from which a job can be told.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) job_id: Slot<'a>,
    pub(super) execution_number: Slot<'a>,
    pub(super) queued_at: Slot<'a>,
    pub(super) client_token: Slot<'a>,
}

impl<'a> Found<'a> {
    /// Makes the most of what was found before `fault`.
    pub(super) fn salvage(mut self, bytes: &'a [u8], fault: Fault) -> Option<Salvage<'a>> {
        // A name that comes twice leaves a choice, and a guess could hit the wrong job.
        if self.job_id.is_none() && fault.kind != ErrorKind::DuplicateKey {
            self.search(bytes)?;
        }
        Some(Salvage {
            job_id: members::job_id(self.job_id).ok()??,
            execution_number: members::int(self.execution_number).ok().flatten(),
            queued_at: members::time(self.queued_at),
            client_token: members::string(self.client_token).ok().flatten(),
        })
    }

    /// Looks for the members by brackets and strings alone; `None` if a name comes twice.
    fn search(&mut self, bytes: &'a [u8]) -> Option<()> {
        let mut scanner = Scanner::new(bytes, 0);
        let mut depth: usize = 0;
        let mut in_execution = false;
        // What the strict parser read is met again here and must not count as a second one.
        *self = Self {
            job_id: None,
            execution_number: None,
            queued_at: None,
            client_token: None,
        };
        while let Some(byte) = scanner.next_token() {
            match byte {
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    in_execution &= depth > 1;
                }
                b'"' => {
                    let Some(name) = loose_key(&mut scanner) else {
                        continue;
                    };
                    if depth == 1 {
                        in_execution = name == b"\"execution\"";
                    }
                    let slot = match (name, depth) {
                        (b"\"jobId\"", 2) if in_execution => &mut self.job_id,
                        (b"\"executionNumber\"", 2) if in_execution => &mut self.execution_number,
                        (b"\"queuedAt\"", 2) if in_execution => &mut self.queued_at,
                        (b"\"clientToken\"", 1) => &mut self.client_token,
                        _ => continue,
                    };
                    let mut ahead = scanner.clone();
                    if let Ok(value) = ahead.value() {
                        if slot.replace(value).is_some() {
                            return None;
                        }
                        scanner = ahead;
                    }
                    continue;
                }
                _ => {}
            }
            scanner.bump();
        }
        Some(())
    }
}

/// Steps over a string, whatever it holds; returns it with its quotes if a colon follows.
fn loose_key<'a>(scanner: &mut Scanner<'a>) -> Option<&'a [u8]> {
    let start = scanner.at();
    scanner.bump();
    while let Some(byte) = scanner.peek() {
        scanner.bump();
        match byte {
            b'\\' => scanner.bump(),
            b'"' => break,
            _ => {}
        }
    }
    let Raw { text, .. } = scanner.raw_from(start);
    if scanner.next_token() != Some(b':') {
        return None;
    }
    scanner.bump();
    Some(text)
}
