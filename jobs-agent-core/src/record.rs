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
use jobs_proto::{JobId, limits::JOB_ID_LEN_MAX};

use crate::{
    checkpoint::BODY_LEN_MAX, config::BootId, crc::crc32, handler::OperationTag, output::Status,
};

/// Most bytes of a record; what a store must be able to keep per slot.
pub const RECORD_LEN_MAX: usize = HEADER_LEN + JOB_ID_LEN_MAX + BODY_LEN_MAX + CRC_LEN;

const MAGIC: u8 = 0x4A;
const VERSION: u8 = 1;
const HEADER_LEN: usize = 53;
const CRC_LEN: usize = 4;

const FLAG_RERUN: u8 = 1;
const FLAG_NEEDS_DOCUMENT: u8 = 1 << 1;
const FLAG_EXECUTION: u8 = 1 << 2;

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
    /// CRC right, yet a field makes no sense: written by an incompatible version.
    Field,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Length => "record torn or foreign (length): erase it",
            Self::Magic => "not a job record (magic): erase it",
            Self::Crc => "record torn or worn out (CRC): erase it",
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
        let (kind, status) = match self.kind {
            RecordKind::Started => (1, 0),
            RecordKind::Checkpoint => (2, 0),
            RecordKind::Reboot => (3, 0),
            RecordKind::Outcome(Status::Succeeded) => (4, 1),
            RecordKind::Outcome(Status::Failed) => (4, 2),
            RecordKind::Outcome(Status::Rejected) => (4, 3),
        };
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.rerun, FLAG_RERUN)
            | flag(self.needs_document, FLAG_NEEDS_DOCUMENT)
            | flag(self.execution_number.is_some(), FLAG_EXECUTION);
        let mut writer = Writer { out, len: 0 };
        writer.put(&[MAGIC, VERSION, kind, flags, self.attempts, status]);
        writer.put(&self.runs.to_le_bytes());
        writer.put(&self.step_timeout_minutes.to_le_bytes());
        writer.put(&self.tag.0.to_le_bytes());
        writer.put(&self.execution_number.unwrap_or(0).to_le_bytes());
        writer.put(&self.queued_at.to_le_bytes());
        writer.put(&self.boot.0);
        writer.put(&self.time_limit_ms.to_le_bytes());
        writer.put(&[u8::try_from(self.job_id.len()).ok()?]);
        writer.put(&u16::try_from(self.body.len()).ok()?.to_le_bytes());
        writer.put(self.job_id.as_bytes());
        writer.put(&self.body);
        let Writer { out, len } = writer;
        let crc = crc32(out.get(..len)?);
        let mut writer = Writer { out, len };
        writer.put(&crc.to_le_bytes());
        let Writer { out, len } = writer;
        out.get(..len)
    }

    /// Reads a record back. Bytes of any kind are safe to give.
    ///
    /// # Errors
    /// [`RecordError`]: the bytes are no record, and nothing in them is believed.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let split = bytes
            .len()
            .checked_sub(CRC_LEN)
            .ok_or(RecordError::Length)?;
        let (covered, crc) = bytes.split_at_checked(split).ok_or(RecordError::Length)?;
        let mut reader = Reader { rest: covered };
        let [magic, version, kind, flags, attempts, status] = reader.take::<6>()?;
        if magic != MAGIC {
            return Err(RecordError::Magic);
        }
        if crc != crc32(covered).to_le_bytes() {
            return Err(RecordError::Crc);
        }
        if version == 0 {
            return Err(RecordError::Field);
        }
        let kind = match (kind, status) {
            (1, _) => RecordKind::Started,
            (2, _) => RecordKind::Checkpoint,
            (3, _) => RecordKind::Reboot,
            (4, 1) => RecordKind::Outcome(Status::Succeeded),
            (4, 2) => RecordKind::Outcome(Status::Failed),
            (4, 3) => RecordKind::Outcome(Status::Rejected),
            (_, _) => return Err(RecordError::Field),
        };
        let runs = u16::from_le_bytes(reader.take()?);
        let step_timeout_minutes = u16::from_le_bytes(reader.take()?);
        let tag = OperationTag(u32::from_le_bytes(reader.take()?));
        let execution = i64::from_le_bytes(reader.take()?);
        let queued_at = u64::from_le_bytes(reader.take()?);
        let boot = BootId(reader.take()?);
        let time_limit_ms = u32::from_le_bytes(reader.take()?);
        let [job_id_len] = reader.take()?;
        let body_len = u16::from_le_bytes(reader.take()?);
        let job_id = reader.slice(usize::from(job_id_len))?;
        let body = reader.slice(usize::from(body_len))?;
        let job_id = core::str::from_utf8(job_id).map_err(|_| RecordError::Field)?;
        JobId::new(job_id).map_err(|_| RecordError::Field)?;
        Ok(Self {
            kind,
            job_id: String::try_from(job_id).map_err(|_| RecordError::Field)?,
            execution_number: (flags & FLAG_EXECUTION != 0).then_some(execution),
            queued_at,
            tag,
            rerun: flags & FLAG_RERUN != 0,
            needs_document: flags & FLAG_NEEDS_DOCUMENT != 0,
            attempts,
            runs,
            step_timeout_minutes,
            time_limit_ms,
            boot,
            body: Vec::from_slice(body).map_err(|_| RecordError::Field)?,
        })
    }
}

struct Writer<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl Writer<'_> {
    /// Goes on counting when there is no room left: one question at the end is enough.
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(place) = self.out.get_mut(self.len..end) {
            // Of the same length, which `copy_from_slice` would check again, with a panic
            // behind it.
            place
                .iter_mut()
                .zip(bytes)
                .for_each(|(to, from)| *to = *from);
        }
        self.len = end;
    }
}

struct Reader<'r> {
    rest: &'r [u8],
}

impl<'r> Reader<'r> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(RecordError::Length)?;
        self.rest = rest;
        Ok(*head)
    }

    fn slice(&mut self, len: usize) -> Result<&'r [u8], RecordError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(RecordError::Length)?;
        self.rest = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec as StdVec;

    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = RecordKind> {
        prop_oneof![
            Just(RecordKind::Started),
            Just(RecordKind::Checkpoint),
            Just(RecordKind::Reboot),
            Just(RecordKind::Outcome(Status::Succeeded)),
            Just(RecordKind::Outcome(Status::Failed)),
            Just(RecordKind::Outcome(Status::Rejected)),
        ]
    }

    prop_compose! {
        fn records()(
            kind in kinds(),
            job_id in "[a-zA-Z0-9_-]{1,64}",
            execution_number in any::<Option<i64>>(),
            numbers in any::<(u64, u32, u8, u16, u16, u32)>(),
            flags in any::<(bool, bool)>(),
            boot in any::<[u8; 16]>(),
            body in prop::collection::vec(any::<u8>(), 0..=BODY_LEN_MAX),
        ) -> Record {
            let (queued_at, tag, attempts, runs, step_timeout_minutes, time_limit_ms) = numbers;
            Record {
                kind,
                job_id: String::try_from(job_id.as_str()).unwrap(),
                execution_number,
                queued_at,
                tag: OperationTag(tag),
                rerun: flags.0,
                needs_document: flags.1,
                attempts,
                runs,
                step_timeout_minutes,
                time_limit_ms,
                boot: BootId(boot),
                body: Vec::from_slice(&body).unwrap(),
            }
        }
    }

    fn encoded(record: &Record) -> StdVec<u8> {
        let mut out = [0; RECORD_LEN_MAX];
        record.encode(&mut out).unwrap().to_vec()
    }

    proptest! {
        #[test]
        fn a_record_is_read_back_as_it_was_written(record in records()) {
            prop_assert_eq!(Record::decode(&encoded(&record)), Ok(record));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Record::decode(&bytes);
        }

        #[test]
        fn one_flipped_bit_is_noticed(record in records(), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = encoded(&record);
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(Record::decode(&bytes).is_err());
        }

        #[test]
        fn a_torn_record_is_noticed(record in records(), cut in any::<prop::sample::Index>()) {
            let bytes = encoded(&record);
            prop_assert!(Record::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn fields_that_a_later_version_appends_are_passed_over(record in records(), extra in prop::collection::vec(any::<u8>(), 1..40)) {
            let mut bytes = encoded(&record);
            bytes.truncate(bytes.len() - CRC_LEN);
            bytes[1] = VERSION + 1;
            bytes.extend(extra);
            bytes.extend(crc32(&bytes).to_le_bytes());
            prop_assert_eq!(Record::decode(&bytes), Ok(record));
        }
    }

    #[test]
    fn the_longest_record_is_as_long_as_the_constant_says() {
        let record = Record {
            kind: RecordKind::Checkpoint,
            job_id: String::try_from("j".repeat(JOB_ID_LEN_MAX).as_str()).unwrap(),
            execution_number: Some(i64::MAX),
            queued_at: u64::MAX,
            tag: OperationTag(u32::MAX),
            rerun: true,
            needs_document: true,
            attempts: u8::MAX,
            runs: u16::MAX,
            step_timeout_minutes: u16::MAX,
            time_limit_ms: u32::MAX,
            boot: BootId([0xFF; 16]),
            body: Vec::from_slice(&[0xFF; BODY_LEN_MAX]).unwrap(),
        };
        assert_eq!(encoded(&record).len(), RECORD_LEN_MAX);
        let mut short = [0; RECORD_LEN_MAX - 1];
        assert_eq!(record.encode(&mut short), None);
    }

    /// The bytes of version 1, for ever: a field that moves breaks the devices in the field.
    #[test]
    fn the_golden_record_of_version_1_is_read() {
        let record = Record {
            kind: RecordKind::Outcome(Status::Failed),
            job_id: String::try_from("job-7").unwrap(),
            execution_number: Some(3),
            queued_at: 1_700_000_000,
            tag: OperationTag::of("firmwareUpdate"),
            rerun: true,
            needs_document: false,
            attempts: 2,
            runs: 5,
            step_timeout_minutes: 15,
            time_limit_ms: 60_000,
            boot: BootId(*b"0123456789abcdef"),
            body: Vec::from_slice(b"\x06reason\x03\x00bad").unwrap(),
        };
        let golden = include_bytes!("record.v1.golden.bin");
        assert_eq!(Record::decode(golden), Ok(record.clone()));
        assert_eq!(encoded(&record), golden);
    }
}
