//! What can still be said about a message that is broken.
//!
//! A job whose document cannot be read would stand at the head of the queue for ever if nobody
//! answered it. To answer it takes its job id, and that stands outside of the document.

use super::{DecodeError, ErrorKind, ExecutionMessage};
use crate::members::{Out, bounded};
use crate::scan::{Fault, Scanner};
use crate::text;
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

impl<'a> Salvage<'a> {
    /// Nothing told yet.
    fn nothing() -> Self {
        Self {
            job_id: JobId::ABSENT,
            execution_number: None,
            queued_at: None,
            client_token: None,
        }
    }
}

/// Makes the most of a message that is broken: what was `read` of it before the fault, and
/// whether a job id was `met` by then.
pub(super) fn broken<'a>(
    payload: &'a [u8],
    fault: Fault,
    met: bool,
    read: &ExecutionMessage<'a>,
) -> DecodeError<'a> {
    let mut error = DecodeError {
        kind: fault.kind,
        offset: fault.at,
        salvage: Some(Salvage::nothing()),
    };
    if let (Some(found), Some(job)) = (&mut error.salvage, &read.execution) {
        // A name that comes twice leaves a choice, and a guess could hit the wrong job.
        if met || fault.kind == ErrorKind::DuplicateKey {
            found.job_id = job.job_id;
            found.execution_number = job.execution_number;
            found.queued_at = job.queued_at;
            found.client_token = read.client_token;
        } else if !search(bounded(payload), found) {
            found.job_id = JobId::ABSENT;
        }
        if !found.job_id.is_present() {
            error.salvage = None;
        }
    }
    error
}

/// What [`search`] looks for in the message itself.
const OUTSIDE: [&str; 1] = ["clientToken"];

/// What it looks for in the execution. The first place is taken by the name outside; no name is
/// a quote.
const INSIDE: [&str; 4] = ["\"", "jobId", "queuedAt", "executionNumber"];

/// Looks for the members by brackets and strings alone; false if a name comes twice.
fn search<'a>(bytes: &'a [u8], found: &mut Salvage<'a>) -> bool {
    let mut outs = [
        Out::Text(&mut found.client_token),
        Out::Job(&mut found.job_id),
        Out::Time(&mut found.queued_at),
        Out::Int(&mut found.execution_number),
    ];
    let mut seen: u32 = 0;
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
                let index = match depth {
                    1 => {
                        in_execution = name == b"execution";
                        text::find(&OUTSIDE, name)
                    }
                    2 if in_execution => text::find(&INSIDE, name),
                    _ => None,
                };
                let Some(index) = index else {
                    continue;
                };
                let mut ahead = scanner.clone();
                let value = ahead.value();
                if value.is_empty() {
                    continue;
                }
                scanner = ahead;
                let bit = 1_u32.wrapping_shl(u32::from(index));
                if seen & bit != 0 {
                    return false;
                }
                seen |= bit;
                if let Some(out) = outs.get_mut(usize::from(index)) {
                    out.put(value, 0);
                }
                continue;
            }
            _ if scanner.is_at_end() => return true,
            _ => {}
        }
        scanner.bump();
    }
}

/// Steps over a string, whatever it holds; returns its inside if a colon follows.
fn loose_key<'a>(scanner: &mut Scanner<'a>) -> Option<&'a [u8]> {
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
        name
    })
}
