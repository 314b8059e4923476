//! What can still be said about a message that is broken.
//!
//! A job whose document cannot be read would stand at the head of the queue for ever if nobody
//! answered it. To answer it takes its job id, and that stands outside of the document.

use super::{DecodeError, ErrorKind};
use crate::found::{self, Found, Numbers, Set, bounded};
use crate::scan::{Fault, Scanner};
use crate::words::{self, member};
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

/// Makes the most of a message that is broken: what was `found` of it before the fault.
#[cold]
#[inline(never)]
pub(super) fn salvage<'a>(
    payload: &'a [u8],
    found: &mut Found<'_, 'a>,
    fault: Fault,
) -> DecodeError<'a> {
    // A name that comes twice leaves a choice, and a guess could hit the wrong job.
    let met = found.seen & found::bit(member::JOB_ID) != 0;
    let sure = met || fault.kind == ErrorKind::DuplicateKey || search(bounded(payload), found);
    if !sure || !found.has(member::JOB_ID) {
        return fault.into();
    }
    let mut numbers = Numbers::NONE;
    numbers.read(found);
    DecodeError {
        kind: fault.kind,
        offset: fault.at,
        salvage: Some(Salvage {
            job_id: found.job(),
            client_token: found.text(member::CLIENT_TOKEN),
            execution_number: numbers.execution_number,
            queued_at: numbers.queued_at,
        }),
    }
}

/// What [`search`] looks for in the message itself.
const OUTSIDE: Set = found::set(&[member::CLIENT_TOKEN]);

/// What it looks for in the execution.
const INSIDE: Set = found::set(&[member::JOB_ID, member::QUEUED_AT, member::EXECUTION_NUMBER]);

/// Looks for the members by brackets and strings alone; false if a name comes twice.
fn search<'a>(bytes: &'a [u8], found: &mut Found<'_, 'a>) -> bool {
    found.clear();
    let mut scanner = Scanner::new(bytes, 0);
    let mut depth: u32 = 0;
    let mut in_execution = false;
    loop {
        match scanner.next_token() {
            b'{' | b'[' => depth = depth.wrapping_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let Some(name) = loose_key(&mut scanner) else {
                    continue;
                };
                let index = words::find_member(name);
                let wanted = match depth {
                    1 => {
                        in_execution = index == member::EXECUTION;
                        OUTSIDE
                    }
                    2 if in_execution => INSIDE,
                    _ => 0,
                };
                let bit = found::bit(index);
                if wanted & bit == 0 {
                    continue;
                }
                let mut ahead = Scanner::new(bytes, scanner.at());
                let value = ahead.value();
                if value.is_empty() {
                    continue;
                }
                scanner.go_to(ahead.at());
                if found.seen & bit != 0 {
                    return false;
                }
                found.take(index, value, 0);
                continue;
            }
            _ if scanner.is_at_end() => return true,
            _ => {}
        }
        scanner.bump();
    }
}

/// Steps over a string, whatever it holds; returns its inside if a colon follows.
fn loose_key<'a>(scanner: &mut Scanner<'a>) -> Option<EscapedStr<'a>> {
    scanner.bump();
    let start = scanner.at();
    while !scanner.is_at_end() {
        match scanner.peek() {
            b'\\' => scanner.bump(),
            b'"' => break,
            _ => {}
        }
        scanner.bump();
    }
    let name = scanner.from(start);
    scanner.bump();
    (scanner.next_token() == b':').then(|| {
        scanner.bump();
        EscapedStr::new(name)
    })
}
