//! Records in NOR flash: durable over a power cut at any byte of any operation.
//!
//! The records stand in two logs of `sequential-storage`, each over its own half of the
//! partition, and are written to one after the other. `docs/decisions/0013-flash-store.md` has the
//! measurements behind it:
//!
//! - **two copies**, because an erase that is cut short leaves any bits in its page, and repairing
//!   one log after that can lose records without a word. A cut hits one log; the other is whole,
//!   and the first call after it brings both in line;
//! - **every write is read back** before it counts;
//! - **words of four bytes** at least. On flash with smaller words (RP2040) a log can lose a
//!   record that it has acknowledged (tweedegolf/sequential-storage#136); [`Word4`] closes that,
//!   and a flash with smaller words is refused at compile time;
//! - forgetting a record appends an empty one: no word is ever programmed twice, which some flashes
//!   do not allow;
//! - when neither log can be read (foreign contents), calls report [`FlashError::Unreadable`], and
//!   [`reset`](RecordStore::reset) makes an empty store. The service still has the jobs.
//!
//! A record carries its own CRC (`jobs_agent_core::Record`) beside the one of the log.

mod log;
mod partition;
mod pass;
#[cfg(test)]
mod tests;
mod word4;

use core::{future::Future, mem, ops::Range};

use embedded_storage_async::nor_flash::NorFlash;
use jobs_agent_core::RECORD_LEN_MAX;

pub use partition::{Partition, PartitionError};
pub use word4::{Word4, Word4Error};

use self::{
    log::{Item, act},
    pass::{Aim, Pass, Then, Twin},
};
use super::{RecordStore, StoreErrorKind, StoreFault};
use crate::board::BOOT_SLOT;

/// Smallest word of a flash under a log, bytes: below, it can lose what it acknowledged.
pub const WORD_LEN_MIN: usize = 4;

/// One durable record for each slot, in a range of NOR flash that belongs to this store alone.
///
/// No record is cached: what is read is what the flash says. The store holds a buffer for one
/// record, and each call another one while it lasts.
pub struct FlashStore<F> {
    flash: F,
    logs: [Range<u32>; 2],
    slots: u8,
    /// Both logs were compared since the start, and every change since then reached both.
    in_line: bool,
    /// What was read last, or is to be written.
    item: Item,
}

/// Why a record was not read or made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError<E> {
    /// The flash itself failed; whether the old or the new record is durable is not known. The
    /// call can be repeated.
    Flash(E),
    /// Neither copy can be read or repaired, and no call will succeed before
    /// [`reset`](RecordStore::reset), after which every slot is empty.
    Unreadable,
    /// The slot is none of the partition's.
    NoSuchSlot,
    /// The record is longer than the caller's buffer (give it `RECORD_LEN_MAX` bytes), or than
    /// `RECORD_LEN_MAX` of this build, which no record is.
    TooLong,
}

impl<E: core::fmt::Display> core::fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {error}"),
            Self::Unreadable => f.write_str("the records are unreadable: reset the store"),
            Self::NoSuchSlot => f.write_str("the partition has no such slot"),
            Self::TooLong => f.write_str("a record is longer than its buffer"),
        }
    }
}

impl<E: core::fmt::Display + core::fmt::Debug> core::error::Error for FlashError<E> {}

impl<E: core::fmt::Debug> StoreFault for FlashError<E> {
    fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Unreadable => StoreErrorKind::Corrupted,
            Self::TooLong => StoreErrorKind::TooLong,
            Self::Flash(_) | Self::NoSuchSlot => StoreErrorKind::Other,
        }
    }
}

impl<F: NorFlash> FlashStore<F> {
    /// A store in `partition` of `flash`. Reads and writes nothing yet; erased flash is an empty
    /// store, so a new partition needs no preparation.
    ///
    /// A flash whose words are shorter than [`WORD_LEN_MIN`] does not compile: wrap it in
    /// [`Word4`].
    ///
    /// # Errors
    /// [`PartitionError::BeyondFlash`] if the flash is smaller than the partition says.
    pub fn new(flash: F, partition: Partition<F>) -> Result<Self, PartitionError> {
        const {
            assert!(
                F::WRITE_SIZE >= WORD_LEN_MIN || F::READ_SIZE >= WORD_LEN_MIN,
                "words shorter than four bytes can lose records: wrap the flash in Word4"
            );
        }
        let logs = partition.halves();
        let [_, second] = &logs;
        let end = usize::try_from(second.end).unwrap_or(usize::MAX);
        if end > flash.capacity() {
            return Err(PartitionError::BeyondFlash);
        }
        Ok(Self {
            flash,
            logs,
            slots: partition.slots(),
            in_line: false,
            item: Item::new(),
        })
    }

    /// The flash back.
    pub fn release(self) -> F {
        self.flash
    }

    /// Does what a call is for, with `self.item`. Brings the copies in line first if a power cut, a
    /// failure or a dropped future may have come between them.
    ///
    /// At most one lags or is damaged: a change goes to the second only when it is whole in the
    /// first, and nothing else is changed before they are in line. Which one it can be shows in
    /// the versions, and only that one is written to: were the power cut again, the other would be
    /// whole.
    async fn perform(
        &mut self,
        aim: Aim,
        slot: u8,
        record: &[u8],
    ) -> Result<(), FlashError<F::Error>> {
        if slot >= self.slots && slot != BOOT_SLOT {
            return Err(FlashError::NoSuchSlot);
        }
        if record.len() > RECORD_LEN_MAX {
            return Err(FlashError::TooLong);
        }
        let in_line = mem::take(&mut self.in_line);
        let mut pass = Pass::new(aim, slot, self.slots, in_line);
        loop {
            let deed = pass.deed();
            match deed.put {
                Some(0) => self.item.put(0, &[]),
                Some(version) => self.item.put(version, record),
                None => {}
            }
            let [first, second] = &self.logs;
            let pages = match deed.copy {
                Twin::First => first.clone(),
                Twin::Second => second.clone(),
            };
            let acted = act(&mut self.flash, pages, deed.act, deed.key, &mut self.item).await;
            let found = match acted {
                Ok(version) => Some(version),
                Err(FlashError::Unreadable) => None,
                Err(error) => return Err(error),
            };
            match pass.did(found) {
                Then::Next => {}
                Then::Unreadable => return Err(FlashError::Unreadable),
                Then::Done => break,
            }
        }
        self.in_line = true;
        Ok(())
    }
}

impl<F: NorFlash> RecordStore for FlashStore<F> {
    type Error = FlashError<F::Error>;

    /// Copies the record of `slot` into `buf` and returns its length, 0 if there is none.
    ///
    /// The first call after a power cut brings the two copies in line, and may write and erase.
    ///
    /// # Errors
    /// [`FlashError`].
    ///
    /// # Cancel safety
    /// As a power cut: nothing that is durable is lost; call again.
    async fn load(&mut self, slot: u8, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.perform(Aim::Load, slot, &[]).await?;
        let record = self.item.record();
        let place = buf.get_mut(..record.len()).ok_or(FlashError::TooLong)?;
        place.copy_from_slice(record);
        Ok(record.len())
    }

    /// Makes `record` the record of `slot`, none if it is empty; durable on return.
    ///
    /// # Errors
    /// [`FlashError`]; the old or the new record is durable then, and the call can be repeated.
    ///
    /// # Cancel safety
    /// As a power cut: the old or the new record is durable; later calls work.
    fn save(&mut self, slot: u8, record: &[u8]) -> impl Future<Output = Result<(), Self::Error>> {
        self.perform(Aim::Save, slot, record)
    }

    /// Forgets every record: erases all pages of the partition.
    ///
    /// # Errors
    /// [`FlashError::Flash`]; some pages may be erased then.
    ///
    /// # Cancel safety
    /// As a power cut: what is left is in line again or unreadable; call again.
    fn reset(&mut self) -> impl Future<Output = Result<(), Self::Error>> {
        self.perform(Aim::Reset, BOOT_SLOT, &[])
    }
}
