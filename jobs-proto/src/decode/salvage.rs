//! What can still be said about a message that is broken.
//!
//! A job whose document cannot be read would stand at the head of the queue for ever if nobody
//! answered it. To answer it takes its job id, and that stands outside of the document.

use super::ErrorKind;
use crate::members::{self, Fields, Slot};
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

/// The slots from which a job can be told, in the order of [`WANTED`].
#[derive(Clone, Copy)]
pub(super) struct Found<'a>(pub(super) [Slot<'a>; 4]);

/// Names with their quotes, and the depth at which they stand.
const WANTED: [(&[u8], usize); 4] = [
    (b"\"jobId\"", 2),
    (b"\"executionNumber\"", 2),
    (b"\"queuedAt\"", 2),
    (b"\"clientToken\"", 1),
];

impl<'a> Found<'a> {
    /// Makes the most of what was found before `fault`.
    pub(super) fn salvage(mut self, bytes: &'a [u8], fault: Fault) -> Option<Salvage<'a>> {
        // A name that comes twice leaves a choice, and a guess could hit the wrong job.
        if matches!(self.0, [None, ..]) && fault.kind != ErrorKind::DuplicateKey {
            // What the strict parser read is met again and must not count as a second one.
            self = Self([None; 4]);
            self.search(bytes)?;
        }
        let [job_id, execution_number, queued_at, client_token] = &self.0;
        let mut fields = Fields::default();
        Some(Salvage {
            job_id: fields.job_id(job_id)?,
            execution_number: fields.int(execution_number),
            queued_at: members::time(queued_at),
            client_token: fields.string(client_token),
        })
    }

    /// Looks for the members by brackets and strings alone; `None` if a name comes twice.
    fn search(&mut self, bytes: &'a [u8]) -> Option<()> {
        let mut scanner = Scanner::new(bytes, 0);
        let mut depth: usize = 0;
        let mut in_execution = false;
        while let Some(byte) = scanner.next_token() {
            match byte {
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' => depth = depth.saturating_sub(1),
                b'"' => {
                    let Some(name) = loose_key(&mut scanner) else {
                        continue;
                    };
                    if depth == 1 {
                        in_execution = name == b"\"execution\"";
                    }
                    let wanted = WANTED.iter().position(|wanted| *wanted == (name, depth));
                    let slot = wanted.and_then(|index| self.0.get_mut(index));
                    let Some(slot) = slot.filter(|_| depth == 1 || in_execution) else {
                        continue;
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
