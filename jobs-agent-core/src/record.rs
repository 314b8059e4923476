//! The stored record of one slot: what must survive a power cut, as bytes.
//!
//! Hand-written fixed layout, little endian (`docs/decisions/0001-record-codec.md` has the
//! measurement against CBOR):
//!
//! ```text
//!  0  magic 0x4A ('J')          30  boot id, 16 bytes
//!  1  version, now 1            46  time limit, u32 ms (0 = none)
//!  2  kind                      50  job id length, u8
//!  3  flags                     51  body length, u16
//!  4  attempts, u8              53  job id, then body
//!  5  outcome status            ..  fields of later versions
//!  6  runs, u16                 -4  CRC-32 (IEEE) of everything before, u32
//!  8  step timeout, u16 minutes (0 = none)
//! 10  operation tag, u32
//! 14  execution number, i64 (flag 4 says whether there is one)
//! 22  queuedAt, u64 seconds (0 = unknown)
//! ```
//!
//! Compatibility promise: a later version only appends fields between body and CRC, so that a
//! firmware that was rolled back still reads what the newer one wrote. A change that cannot keep
//! this takes another magic. Anything that does not decode is [`RecordError`]; the safe choice is
//! then to erase it and let the service offer the job again.

use heapless::{String, Vec};
use jobs_proto::limits::JOB_ID_LEN_MAX;

use self::header::HEADER_LEN;
pub(crate) use self::header::{Flag, Header, Number};
pub(crate) use self::stored::Stored;
use crate::{checkpoint::BODY_LEN_MAX, config::BootId, handler::OperationTag, output::Status};

mod header;
mod stored;

/// Most bytes of a record; what a store must be able to keep per slot.
pub const RECORD_LEN_MAX: usize = HEADER_LEN + JOB_ID_LEN_MAX + BODY_LEN_MAX + CRC_LEN;

const CRC_LEN: usize = 4;

/// What a record says about the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// The work may have begun; no checkpoint yet.
    Started,
    /// The work has begun; `body` is the checkpoint.
    Checkpoint,
    /// A reset is wanted in the boot whose id is stored; `body` is the checkpoint.
    Reboot,
    /// The work is over; `body` is the packed statusDetails of this outcome.
    Outcome(Status),
}

/// A record, decoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// What it says.
    pub kind: RecordKind,
    /// The job.
    pub job_id: String<JOB_ID_LEN_MAX>,
    /// The execution of the job.
    pub execution_number: Option<i64>,
    /// `queuedAt` of the execution, epoch seconds, 0 if unknown: tells a re-used job id apart.
    pub queued_at: u64,
    /// The operation.
    pub tag: OperationTag,
    /// Whether a start without checkpoint may be run again.
    pub rerun: bool,
    /// Whether resuming needs the job document.
    pub needs_document: bool,
    /// Runs since the last checkpoint, or resets asked for in this boot.
    pub attempts: u8,
    /// Runs in all.
    pub runs: u16,
    /// Step timer in minutes, 0 for none.
    pub step_timeout_minutes: u16,
    /// Local time limit in milliseconds, 0 for none.
    pub time_limit_ms: u32,
    /// The boot that wrote the record.
    pub boot: BootId,
    /// Checkpoint or packed details.
    pub body: Vec<u8, BODY_LEN_MAX>,
}

/// Why stored bytes are no record: erase them, the service will offer the job again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordError {
    /// Too short, or lengths that do not fit: torn or foreign.
    Length,
    /// The magic is not ours.
    Magic,
    /// The CRC does not match: torn or worn out.
    Crc,
    /// Sound, but its checkpoint is longer than this build has room for (feature
    /// `large-details`): erase it to begin the job anew, or go back to the build that wrote it.
    Room,
    /// CRC right, yet a field makes no sense: written by an incompatible version.
    Field,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Length => "record torn or foreign (length): erase it",
            Self::Magic => "not a job record (magic): erase it",
            Self::Crc => "record torn or worn out (CRC): erase it",
            Self::Room => "checkpoint of a build with more room (large-details): erase it",
            Self::Field => "record of an incompatible version: erase it",
        })
    }
}

impl core::error::Error for RecordError {}

impl Record {
    /// Writes the record into `out` and returns the bytes; `None` if `out` is shorter than
    /// [`RECORD_LEN_MAX`] and the record does not fit.
    #[must_use]
    pub fn encode<'o>(&self, out: &'o mut [u8]) -> Option<&'o [u8]> {
        let mut header = Header::new();
        header.set_kind(self.kind);
        header.mark(Flag::RERUN, self.rerun);
        header.mark(Flag::NEEDS_DOCUMENT, self.needs_document);
        header.set_attempts(self.attempts);
        header.set(Number::RUNS, self.runs.into());
        header.set(Number::STEP_TIMEOUT, self.step_timeout_minutes.into());
        header.set(Number::TAG, self.tag.0);
        header.set_execution_number(self.execution_number);
        header.set_wide(Number::QUEUED_AT, self.queued_at);
        header.set_boot(&self.boot);
        header.set(Number::TIME_LIMIT, self.time_limit_ms);
        header.write(&self.job_id, &self.body, out)
    }

    /// Reads a record back. Bytes of any kind are safe to give.
    ///
    /// # Errors
    /// [`RecordError`]: the bytes are no record, and nothing in them is believed.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored = Stored::read(bytes)?;
        let mut header = stored.header();
        header.understand();
        Ok(Self {
            kind: stored.kind().ok_or(RecordError::Field)?,
            // Both lengths were checked.
            job_id: String::try_from(stored.id()).map_err(|_| RecordError::Field)?,
            execution_number: header.execution_number(),
            queued_at: header.wide(Number::QUEUED_AT),
            tag: header.tag(),
            rerun: header.is(Flag::RERUN),
            needs_document: header.is(Flag::NEEDS_DOCUMENT),
            attempts: header.attempts(),
            runs: header.short(Number::RUNS),
            step_timeout_minutes: header.short(Number::STEP_TIMEOUT),
            time_limit_ms: header.get(Number::TIME_LIMIT),
            boot: header.boot(),
            body: Vec::from_slice(stored.body).map_err(|_| RecordError::Room)?,
        })
    }
}

#[cfg(test)]
mod tests;
