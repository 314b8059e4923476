//! The codec of records. A slot keeps the header of its record as it is stored, so that nothing is
//! moved field by field: numbers are read where they stand.

use core::str;

use jobs_proto::JobId;

use super::{CRC_LEN, RecordError, RecordKind};
use crate::{
    checkpoint::BODY_LEN_MAX, config::BootId, crc::crc32, handler::OperationTag, job::JobKey,
    output::Status,
};

/// Bytes before the job id.
pub(super) const HEADER_LEN: usize = 53;

const MAGIC: u8 = 0x4A;
pub(super) const VERSION: u8 = 1;

/// The first bytes of a record; the layout is that of the module above.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Header([u8; HEADER_LEN]);

/// A number in the header: how many bytes, from where on.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    at: u8,
    len: u8,
}

impl Number {
    pub(crate) const RUNS: Self = Self::new(6, 2);
    /// Step timer in minutes, 0 for none.
    pub(crate) const STEP_TIMEOUT: Self = Self::new(8, 2);
    pub(crate) const TAG: Self = Self::new(10, 4);
    const EXECUTION: Self = Self::new(14, 8);
    /// `queuedAt`, 0 if unknown.
    pub(crate) const QUEUED_AT: Self = Self::new(22, 8);
    /// Local time limit in milliseconds, 0 for none.
    pub(crate) const TIME_LIMIT: Self = Self::new(46, 4);
    const JOB_ID_LEN: Self = Self::new(50, 1);
    const BODY_LEN: Self = Self::new(51, 2);

    const fn new(at: u8, len: u8) -> Self {
        Self { at, len }
    }
}

/// A bit in the header.
#[derive(Clone, Copy)]
pub(crate) struct Flag(u8);

impl Flag {
    /// A start without checkpoint may be run again.
    pub(crate) const RERUN: Self = Self(1);
    /// Resuming needs the job document.
    pub(crate) const NEEDS_DOCUMENT: Self = Self(1 << 1);
    const EXECUTION: Self = Self(1 << 2);
    const ALL: u8 = Self::RERUN.0 | Self::NEEDS_DOCUMENT.0 | Self::EXECUTION.0;
}

impl Header {
    /// Of a job of which nothing is known.
    pub(crate) const fn new() -> Self {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = MAGIC;
        bytes[1] = VERSION;
        bytes[3] = Flag::RERUN.0;
        Self(bytes)
    }

    pub(crate) fn is(&self, flag: Flag) -> bool {
        self.0[3] & flag.0 != 0
    }

    pub(crate) fn mark(&mut self, flag: Flag, set: bool) {
        let flags = &mut self.0[3];
        *flags = if set {
            *flags | flag.0
        } else {
            *flags & !flag.0
        };
    }

    /// Runs since the last checkpoint, or resets asked for (P3).
    pub(crate) fn attempts(&self) -> u8 {
        self.0[4]
    }

    pub(crate) fn set_attempts(&mut self, attempts: u8) {
        self.0[4] = attempts;
    }

    /// A number of any length.
    #[inline(never)]
    pub(crate) fn wide(&self, number: Number) -> u64 {
        let end = usize::from(number.at).saturating_add(usize::from(number.len));
        let mut value = 0;
        for byte in self.0.iter().take(end).rev().take(number.len.into()) {
            value = value << u8::BITS | u64::from(*byte);
        }
        value
    }

    #[inline(never)]
    pub(crate) fn set(&mut self, number: Number, value: u64) {
        let mut rest = value;
        let bytes = self.0.iter_mut().skip(usize::from(number.at));
        for byte in bytes.take(usize::from(number.len)) {
            [*byte, ..] = rest.to_le_bytes();
            rest >>= u8::BITS;
        }
    }

    /// The low half of a number, which is all of it but for the two that are wide.
    pub(crate) fn low(&self, number: Number) -> u32 {
        let [a, b, c, d, ..] = self.wide(number).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// The low two bytes of a number.
    pub(crate) fn short(&self, number: Number) -> u16 {
        let [a, b, ..] = self.wide(number).to_le_bytes();
        u16::from_le_bytes([a, b])
    }

    pub(crate) fn tag(&self) -> OperationTag {
        OperationTag(self.low(Number::TAG))
    }

    /// The number of the execution, and whether it is known.
    pub(crate) fn execution(&self) -> (i64, bool) {
        let number = self.wide(Number::EXECUTION).cast_signed();
        (number, self.is(Flag::EXECUTION))
    }

    #[inline(never)]
    pub(crate) fn execution_number(&self) -> Option<i64> {
        let (number, known) = self.execution();
        known.then_some(number)
    }

    pub(crate) fn set_execution_number(&mut self, number: Option<i64>) {
        self.set(Number::EXECUTION, number.unwrap_or(0).cast_unsigned());
        self.mark(Flag::EXECUTION, number.is_some());
    }

    pub(crate) fn boot(&self) -> BootId {
        let mut boot = BootId([0; 16]);
        for (to, from) in boot.0.iter_mut().zip(self.0.iter().skip(30)) {
            *to = *from;
        }
        boot
    }

    pub(crate) fn set_boot(&mut self, boot: BootId) {
        for (to, from) in self.0.iter_mut().skip(30).zip(&boot.0) {
            *to = *from;
        }
    }

    pub(crate) fn key<'b>(&self, id: JobId<'b>) -> JobKey<'b> {
        JobKey {
            id,
            execution_number: self.execution_number(),
            queued_at: self.wide(Number::QUEUED_AT),
        }
    }

    pub(crate) fn set_kind(&mut self, kind: RecordKind) {
        let (kind, status) = match kind {
            RecordKind::Started => (1, 0),
            RecordKind::Checkpoint => (2, 0),
            RecordKind::Reboot => (3, 0),
            RecordKind::Outcome(status) => (4, status as u8),
        };
        self.0[2] = kind;
        self.0[5] = status;
    }

    /// Blanks what only the next writing decides.
    #[cfg(feature = "_explore")]
    pub(crate) fn blank(&mut self) {
        self.set_kind(RecordKind::Started);
        self.set_boot(BootId([0; 16]));
        self.set(Number::JOB_ID_LEN, 0);
        self.set(Number::BODY_LEN, 0);
    }

    /// Writes a record; `None` if `out` is too short.
    #[inline(never)]
    pub(crate) fn write<'o>(
        &mut self,
        id: &str,
        body: &[u8],
        out: &'o mut [u8],
    ) -> Option<&'o [u8]> {
        // Neither can be longer than its place.
        self.set(Number::JOB_ID_LEN, id.len() as u64);
        self.set(Number::BODY_LEN, body.len() as u64);
        let mut len = 0;
        put(out, &mut len, &self.0)?;
        put(out, &mut len, id.as_bytes())?;
        put(out, &mut len, body)?;
        let crc = crc32(out.get(..len)?);
        put(out, &mut len, &crc.to_le_bytes())?;
        out.get(..len)
    }
}

/// Appends `bytes` behind the first `len` of `out`.
#[inline(never)]
fn put(out: &mut [u8], len: &mut usize, bytes: &[u8]) -> Option<()> {
    let end = len.checked_add(bytes.len())?;
    let place = out.get_mut(*len..end)?;
    *len = end;
    // Of the same length, which `copy_from_slice` would check again, with a panic behind it.
    for (to, from) in place.iter_mut().zip(bytes) {
        *to = *from;
    }
    Some(())
}

/// A record where it is stored.
pub(crate) struct Stored<'r> {
    pub(crate) kind: RecordKind,
    header: &'r [u8; HEADER_LEN],
    pub(crate) id: JobId<'r>,
    pub(crate) body: &'r [u8],
}

impl<'r> Stored<'r> {
    /// See [`Record::decode`](super::Record::decode).
    #[inline(never)]
    pub(crate) fn read(bytes: &'r [u8]) -> Result<Self, RecordError> {
        let (covered, crc) = bytes
            .split_last_chunk::<CRC_LEN>()
            .ok_or(RecordError::Length)?;
        let (header, texts) = covered
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(RecordError::Length)?;
        let [magic, version, kind, _, _, status, ..] = *header;
        if magic != MAGIC {
            return Err(RecordError::Magic);
        }
        if *crc != crc32(covered).to_le_bytes() {
            return Err(RecordError::Crc);
        }
        let kind = match (kind, status) {
            (_, _) if version == 0 => return Err(RecordError::Field),
            (1, _) => RecordKind::Started,
            (2, _) => RecordKind::Checkpoint,
            (3, _) => RecordKind::Reboot,
            (4, 1) => RecordKind::Outcome(Status::Succeeded),
            (4, 2) => RecordKind::Outcome(Status::Failed),
            (4, 3) => RecordKind::Outcome(Status::Rejected),
            (_, _) => return Err(RecordError::Field),
        };
        let [.., id_len, body_low, body_high] = *header;
        let body_len = u16::from_le_bytes([body_low, body_high]);
        let texts = texts.split_at_checked(usize::from(id_len));
        let (id, rest) = texts.ok_or(RecordError::Length)?;
        let body = rest.get(..usize::from(body_len));
        let mut body = body.ok_or(RecordError::Length)?;
        let id = str::from_utf8(id).map_err(|_| RecordError::Field)?;
        let id = JobId::new(id).map_err(|_| RecordError::Field)?;
        if body.len() > BODY_LEN_MAX {
            // An outcome counts without its details too; a checkpoint does not.
            let RecordKind::Outcome(_) = kind else {
                return Err(RecordError::Room);
            };
            body = &[];
        }
        Ok(Self {
            kind,
            header,
            id,
            body,
        })
    }
    /// The header, saying no more than what we understand: it is written back some time.
    pub(crate) fn header(&self) -> Header {
        let mut header = Header(*self.header);
        header.0[1] = VERSION;
        header.0[3] &= Flag::ALL;
        header
    }
}
