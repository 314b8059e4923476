//! The codec of records. A slot keeps the header of its record as it is stored, so that nothing is
//! moved field by field: numbers are read where they stand.

use super::RecordKind;
use crate::{
    config::BootId,
    crc::crc32,
    handler::OperationTag,
    job::{Execution, low},
};

/// Bytes before the job id.
pub(super) const HEADER_LEN: usize = 53;

pub(super) const MAGIC: u8 = 0x4A;
pub(super) const VERSION: u8 = 1;

/// Where the boot id begins.
const BOOT_AT: usize = 30;

/// The first bytes of a record; the layout is that of the module above.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Header([u8; HEADER_LEN]);

/// A number of up to 32 bits in the header: how many bytes, from where on. Wider ones are two.
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
    const EXECUTION: [Self; 2] = [Self::new(14, 4), Self::new(18, 4)];
    /// `queuedAt`, 0 if unknown.
    pub(super) const QUEUED_AT: [Self; 2] = [Self::new(22, 4), Self::new(26, 4)];
    /// Local time limit in milliseconds, 0 for none.
    pub(crate) const TIME_LIMIT: Self = Self::new(46, 4);
    const JOB_ID_LEN: Self = Self::new(50, 1);
    const BODY_LEN: Self = Self::new(51, 2);

    const fn new(at: u8, len: u8) -> Self {
        Self { at, len }
    }

    fn range(self) -> core::ops::Range<usize> {
        let at = usize::from(self.at);
        at..at.wrapping_add(self.len.into())
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
    /// Of a job of which nothing is known: copied from one place, which costs less than clearing.
    pub(crate) fn new() -> Self {
        static EMPTY: Header = {
            let mut bytes = [0; HEADER_LEN];
            bytes[0] = MAGIC;
            bytes[1] = VERSION;
            bytes[3] = Flag::RERUN.0;
            Header(bytes)
        };
        EMPTY.clone()
    }

    /// As it is stored.
    pub(super) fn of(bytes: &[u8; HEADER_LEN]) -> Self {
        Self(*bytes)
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

    pub(crate) fn attempts_mut(&mut self) -> &mut u8 {
        &mut self.0[4]
    }

    pub(crate) fn set_attempts(&mut self, attempts: u8) {
        self.0[4] = attempts;
    }

    #[inline(never)]
    pub(crate) fn get(&self, number: Number) -> u32 {
        let mut value = 0;
        for byte in self.0.get(number.range()).into_iter().flatten().rev() {
            value = value << u8::BITS | u32::from(*byte);
        }
        value
    }

    #[inline(never)]
    pub(crate) fn set(&mut self, number: Number, value: u32) {
        let mut rest = value;
        for byte in self.0.get_mut(number.range()).into_iter().flatten() {
            [*byte, ..] = rest.to_le_bytes();
            rest >>= u8::BITS;
        }
    }

    /// A number of two halves.
    pub(super) fn wide(&self, [low, high]: [Number; 2]) -> u64 {
        u64::from(self.get(high)) << u32::BITS | u64::from(self.get(low))
    }

    pub(super) fn set_wide(&mut self, [low_half, high_half]: [Number; 2], value: u64) {
        self.set(low_half, low(value));
        self.set(high_half, low(value >> u32::BITS));
    }

    /// The low two bytes of a number.
    pub(crate) fn short(&self, number: Number) -> u16 {
        let [a, b, ..] = self.get(number).to_le_bytes();
        u16::from_le_bytes([a, b])
    }

    pub(crate) fn tag(&self) -> OperationTag {
        OperationTag(self.get(Number::TAG))
    }

    /// The number of the execution, 0 if unknown.
    pub(crate) fn number(&self) -> i64 {
        self.wide(Number::EXECUTION).cast_signed()
    }

    /// The number of the execution, if known.
    pub(crate) fn known_number(&self) -> Option<i64> {
        let number = self.number();
        (number != 0).then_some(number)
    }

    /// What the record says about it.
    pub(super) fn execution_number(&self) -> Option<i64> {
        self.is(Flag::EXECUTION).then(|| self.number())
    }

    /// Which execution it is, as far as known.
    pub(crate) fn execution(&self) -> Execution {
        let ([number, _], [queued_at, _]) = (Number::EXECUTION, Number::QUEUED_AT);
        Execution {
            number: self.get(number),
            queued_at: self.get(queued_at),
        }
    }

    /// The high half is only known from a record.
    pub(crate) fn set_queued_at(&mut self, queued_at: u32) {
        let [low, _] = Number::QUEUED_AT;
        self.set(low, queued_at);
    }

    #[inline(never)]
    pub(crate) fn set_execution_number(&mut self, number: Option<i64>) {
        self.set_wide(Number::EXECUTION, number.unwrap_or(0).cast_unsigned());
        self.mark(Flag::EXECUTION, number.is_some());
    }

    pub(crate) fn boot(&self) -> BootId {
        let mut boot = BootId([0; 16]);
        for (to, from) in boot.0.iter_mut().zip(self.0.iter().skip(BOOT_AT)) {
            *to = *from;
        }
        boot
    }

    /// Whether `boot` is the one that wrote the record.
    pub(crate) fn is_of(&self, boot: &BootId) -> bool {
        let ours = self.0.iter().skip(BOOT_AT);
        ours.zip(&boot.0).all(|(ours, theirs)| ours == theirs)
    }

    pub(crate) fn set_boot(&mut self, boot: &BootId) {
        for (to, from) in self.0.iter_mut().skip(BOOT_AT).zip(&boot.0) {
            *to = *from;
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

    /// Says no more than what we understand: it is written back some time.
    pub(crate) fn understand(&mut self) {
        self.0[1] = VERSION;
        self.0[3] &= Flag::ALL;
    }

    /// Blanks what only the next writing decides.
    #[cfg(feature = "_explore")]
    pub(crate) fn blank(&mut self) {
        self.set_kind(RecordKind::Started);
        self.set_boot(&BootId([0; 16]));
        self.set(Number::JOB_ID_LEN, 0);
        self.set(Number::BODY_LEN, 0);
    }

    /// Writes a record; `None` if `out` is too short.
    pub(crate) fn write<'o>(
        &mut self,
        id: &str,
        body: &[u8],
        out: &'o mut [u8],
    ) -> Option<&'o [u8]> {
        // Neither can be longer than its place.
        let (id_len, body_len) = (
            u16::try_from(id.len()).ok()?,
            u16::try_from(body.len()).ok()?,
        );
        self.set(Number::JOB_ID_LEN, id_len.into());
        self.set(Number::BODY_LEN, body_len.into());
        let mut len = put(out, 0, &self.0);
        len = put(out, len, id.as_bytes());
        len = put(out, len, body);
        let crc = crc32(out.get(..len)?);
        len = put(out, len, &crc.to_le_bytes());
        out.get(..len)
    }
}

/// Writes `bytes` to `out` from there on, and returns where they end: nowhere if they do not fit.
#[inline(never)]
fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at.saturating_add(bytes.len());
    let Some(place) = out.get_mut(at..end) else {
        return usize::MAX;
    };
    // Of the same length, which `copy_from_slice` would check again, with a panic behind it.
    for (to, from) in place.iter_mut().zip(bytes) {
        *to = *from;
    }
    end
}
