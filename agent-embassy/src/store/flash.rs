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
//! - erasing a slot appends an empty record: no word is ever programmed twice, which some flashes
//!   do not allow;
//! - when neither log can be read (foreign contents), calls report [`FlashError::Unreadable`], and
//!   [`reset`](RecordStore::reset) makes an empty store. The service still has the jobs.
//!
//! A record carries its own CRC (`jobs_agent_core::Record`) beside the one of the log.

mod log;
mod partition;
#[cfg(test)]
mod tests;
mod word4;

use embedded_storage_async::nor_flash::NorFlash;
use jobs_agent_core::RECORD_LEN_MAX;

pub use partition::{Partition, PartitionError};
pub use word4::{Word4, Word4Error};

use self::log::{BUFFER_LEN, Buffer, Item, Log, LogError};
use super::{RecordStore, StoreErrorKind, StoreFault};
use crate::board::BOOT_SLOT;

/// Smallest word of a flash under a log, bytes: below, it can lose what it acknowledged.
pub const WORD_LEN_MIN: usize = 4;

/// No slot of jobs, and not that of boots: written to see whether a log can be written.
const PROBE_SLOT: u8 = BOOT_SLOT - 1;

/// One durable record for each slot, in a range of NOR flash that belongs to this store alone.
///
/// Nothing is cached in RAM but two buffers (832 bytes): what is read is what the flash says.
pub struct FlashStore<F> {
    flash: F,
    logs: [Log; 2],
    slots: u8,
    /// Both logs were compared since the start, and every change since then reached both.
    in_line: bool,
    buffer: Buffer,
    copy: Buffer,
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
    /// The caller's buffer is shorter than the record: give it `RECORD_LEN_MAX` bytes.
    BufferTooShort {
        /// Length of the record, bytes.
        needed: usize,
    },
    /// The record is longer than `RECORD_LEN_MAX` of this build, or empty: no record is.
    NoRecord,
}

impl<E: core::fmt::Display> core::fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {error}"),
            Self::Unreadable => f.write_str("the records are unreadable: reset the store"),
            Self::NoSuchSlot => f.write_str("the partition has no such slot"),
            Self::BufferTooShort { needed } => write!(f, "the buffer needs {needed} bytes"),
            Self::NoRecord => f.write_str("a record has 1 to RECORD_LEN_MAX bytes"),
        }
    }
}

impl<E: core::fmt::Display + core::fmt::Debug> core::error::Error for FlashError<E> {}

impl<E: core::fmt::Debug> StoreFault for FlashError<E> {
    fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Unreadable => StoreErrorKind::Corrupted,
            Self::BufferTooShort { .. } | Self::NoRecord => StoreErrorKind::TooLong,
            Self::Flash(_) | Self::NoSuchSlot => StoreErrorKind::Other,
        }
    }
}

impl<E> From<LogError<E>> for FlashError<E> {
    fn from(error: LogError<E>) -> Self {
        match error {
            LogError::Flash(error) => Self::Flash(error),
            LogError::Unreadable => Self::Unreadable,
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
        let [first, second] = partition.halves();
        let end = usize::try_from(second.end).unwrap_or(usize::MAX);
        if end > flash.capacity() {
            return Err(PartitionError::BeyondFlash);
        }
        Ok(Self {
            flash,
            logs: [Log::new(first), Log::new(second)],
            slots: partition.slots(),
            in_line: false,
            buffer: Buffer([0; BUFFER_LEN]),
            copy: Buffer([0; BUFFER_LEN]),
        })
    }

    /// The flash back.
    pub fn release(self) -> F {
        self.flash
    }

    fn check(&self, slot: u8) -> Result<(), FlashError<F::Error>> {
        if slot < self.slots || slot == BOOT_SLOT {
            Ok(())
        } else {
            Err(FlashError::NoSuchSlot)
        }
    }

    fn keys(&self) -> impl Iterator<Item = u8> + use<F> {
        (0..self.slots).chain([BOOT_SLOT])
    }

    /// Compares the two copies if a power cut, a failure or a dropped future may have come between
    /// them, and brings the one that lags or is damaged in line with the other.
    ///
    /// At most one is: a change goes to the second log only when it is whole in the first, and
    /// nothing else is changed before this was done. Which one it can be shows in the versions,
    /// and only that one is written to here: were the power cut again, the other would be whole.
    async fn align(&mut self) -> Result<(), FlashError<F::Error>> {
        if self.in_line {
            return Ok(());
        }
        let [first, second] = self.logs.clone();
        let (mut first_leads, mut second_leads) = (false, false);
        for key in self.keys() {
            match (
                self.version(&first, key).await,
                self.version(&second, key).await,
            ) {
                (Ok(one), Ok(other)) => {
                    first_leads |= one > other;
                    second_leads |= one < other;
                }
                (Err(LogError::Flash(error)), _) | (_, Err(LogError::Flash(error))) => {
                    return Err(FlashError::Flash(error));
                }
                (Err(LogError::Unreadable), Ok(_)) => {
                    self.rebuild(&first, &second).await?;
                    second_leads = true;
                    break;
                }
                (Ok(_), Err(LogError::Unreadable)) => {
                    self.rebuild(&second, &first).await?;
                    first_leads = true;
                    break;
                }
                (Err(LogError::Unreadable), Err(LogError::Unreadable)) => {
                    return Err(FlashError::Unreadable);
                }
            }
        }
        if first_leads && !second_leads {
            self.mend(&second, &first).await?;
        } else {
            self.mend(&first, &second).await?;
        }
        self.in_line = true;
        Ok(())
    }

    /// Repairs a log that may be damaged, and copies from the whole one what it lacks.
    async fn mend(&mut self, log: &Log, whole: &Log) -> Result<(), FlashError<F::Error>> {
        // A log is repaired when it is written to, and may lose records by that: so write, then
        // compare.
        let probe = Item {
            version: 0,
            record: &[],
        };
        let written = log
            .store(&mut self.flash, PROBE_SLOT, &probe, &mut self.buffer)
            .await;
        if matches!(written, Err(LogError::Unreadable)) {
            return Ok(self.rebuild(log, whole).await?);
        }
        written?;
        for key in self.keys() {
            match self.version(log, key).await {
                Ok(version) if version < self.version(whole, key).await? => {
                    let copied = self.copy(whole, log, key).await;
                    if matches!(copied, Err(LogError::Unreadable)) {
                        return Ok(self.rebuild(log, whole).await?);
                    }
                    copied?;
                }
                Ok(_) => {}
                Err(LogError::Unreadable) => return Ok(self.rebuild(log, whole).await?),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The version of the newest item of a key; 0, below all versions, if there is none.
    async fn version(&mut self, log: &Log, key: u8) -> Result<u32, LogError<F::Error>> {
        let found = log.fetch(&mut self.flash, key, &mut self.buffer).await?;
        Ok(found.map_or(0, |item| item.version))
    }

    /// Copies the item of a key, if there is one.
    async fn copy(&mut self, from: &Log, to: &Log, key: u8) -> Result<(), LogError<F::Error>> {
        let flash = &mut self.flash;
        match from.fetch(flash, key, &mut self.copy).await? {
            Some(item) => to.store(flash, key, &item, &mut self.buffer).await,
            None => Ok(()),
        }
    }

    /// Makes a log anew from the other.
    async fn rebuild(&mut self, log: &Log, from: &Log) -> Result<(), LogError<F::Error>> {
        error!("records of one flash copy unreadable: made anew from the other");
        log.clear(&mut self.flash).await?;
        for key in self.keys() {
            self.copy(from, log, key).await?;
        }
        Ok(())
    }

    /// Brings the copies in line, and returns the version of a slot in the first.
    async fn ready(&mut self, slot: u8) -> Result<u32, FlashError<F::Error>> {
        self.align().await?;
        let [first, _] = self.logs.clone();
        match self.version(&first, slot).await {
            Ok(version) => Ok(version),
            Err(error) => {
                // Both were whole when they were compared. Compared again, and repaired.
                self.in_line = false;
                if matches!(error, LogError::Flash(_)) {
                    return Err(error.into());
                }
                self.align().await?;
                Ok(self.version(&first, slot).await?)
            }
        }
    }

    /// Writes a record to both logs; an empty one says that there is none.
    async fn append(&mut self, slot: u8, record: &[u8]) -> Result<(), FlashError<F::Error>> {
        let version = self.ready(slot).await?.saturating_add(1);
        let [first, second] = self.logs.clone();
        let item = Item { version, record };
        self.in_line = false;
        for (log, other) in [(&first, &second), (&second, &first)] {
            let stored = log
                .store(&mut self.flash, slot, &item, &mut self.buffer)
                .await;
            if matches!(stored, Err(LogError::Unreadable)) {
                self.rebuild(log, other).await?;
                log.store(&mut self.flash, slot, &item, &mut self.buffer)
                    .await?;
            } else {
                stored?;
            }
        }
        self.in_line = true;
        Ok(())
    }
}

impl<F: NorFlash> RecordStore for FlashStore<F> {
    type Error = FlashError<F::Error>;

    /// Copies the record of `slot` into `buf` and returns its length, `None` if there is none.
    ///
    /// The first call after a power cut brings the two copies in line, and may write and erase.
    ///
    /// # Errors
    /// [`FlashError`].
    ///
    /// # Cancel safety
    /// As a power cut: nothing that is durable is lost; call again.
    async fn load(&mut self, slot: u8, buf: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        self.check(slot)?;
        if self.ready(slot).await? == 0 {
            return Ok(None);
        }
        let [first, _] = &self.logs;
        let item = match first.fetch(&mut self.flash, slot, &mut self.buffer).await {
            Ok(None) => return Ok(None),
            Ok(Some(item)) if item.record.is_empty() => return Ok(None),
            Ok(Some(item)) => item,
            Err(error) => {
                // Compared again, and repaired, by the next call.
                self.in_line = false;
                return Err(error.into());
            }
        };
        let needed = item.record.len();
        let place = buf.get_mut(..needed);
        let place = place.ok_or(FlashError::BufferTooShort { needed })?;
        place.copy_from_slice(item.record);
        Ok(Some(needed))
    }

    /// Makes `record` the record of `slot`; durable on return.
    ///
    /// # Errors
    /// [`FlashError`]; the old or the new record is durable then, and the call can be repeated.
    ///
    /// # Cancel safety
    /// As a power cut: the old or the new record is durable; later calls work.
    async fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), Self::Error> {
        self.check(slot)?;
        if record.is_empty() || record.len() > RECORD_LEN_MAX {
            return Err(FlashError::NoRecord);
        }
        self.append(slot, record).await
    }

    /// Forgets the record of `slot`; durable on return. A slot without record may be erased.
    ///
    /// # Errors
    /// As [`save`](RecordStore::save).
    ///
    /// # Cancel safety
    /// As [`save`](RecordStore::save).
    async fn erase(&mut self, slot: u8) -> Result<(), Self::Error> {
        self.check(slot)?;
        self.append(slot, &[]).await
    }

    /// Forgets every record: erases all pages of the partition.
    ///
    /// # Errors
    /// [`FlashError::Flash`]; some pages may be erased then.
    ///
    /// # Cancel safety
    /// As a power cut: what is left is in line again or unreadable; call again.
    async fn reset(&mut self) -> Result<(), Self::Error> {
        self.in_line = false;
        for log in &self.logs {
            log.clear(&mut self.flash).await?;
        }
        Ok(())
    }
}
