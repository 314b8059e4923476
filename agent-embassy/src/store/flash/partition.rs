//! The range of flash that belongs to the records.

use core::{marker::PhantomData, ops::Range};

use embedded_storage_async::nor_flash::NorFlash;
use jobs_agent_core::{JOBS_MAX, RECORD_LEN_MAX};

use super::log::{KEY_LEN, VERSION_LEN};

/// The records stand in two logs.
const LOGS: u32 = 2;

/// Fewest pages of a log: one to write to, one that is kept erased to move to.
const PAGES_MIN: u32 = 2;

/// Header of each record in the log, bytes, on flash with words up to this size.
const HEADER_LEN: usize = 8;

/// Records beside those of the slots: the count of boots, and the one that is being written.
const RECORDS_BESIDE: usize = 2;

/// The largest record with what stands before it, bytes.
const RECORD_LEN: usize = KEY_LEN + VERSION_LEN + RECORD_LEN_MAX;

/// Marks at both ends of a page, one word each.
const MARKS: usize = 2;

/// A range of a flash, checked: an even number of whole pages, at least four, large enough for
/// the slots.
///
/// Made at compile time, a mistake does not build:
///
/// ```ignore
/// const RECORDS: Partition<Word4<Flash>> = match Partition::new(0x1F_C000..0x20_0000, 1) {
///     Ok(partition) => partition,
///     Err(_) => panic!("the records' partition"),
/// };
/// ```
pub struct Partition<F> {
    start: u32,
    end: u32,
    slots: u8,
    flash: PhantomData<fn() -> F>,
}

impl<F> Clone for Partition<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Partition<F> {}

/// Why a range cannot hold the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionError {
    /// Its start, its middle or its end is not at a boundary of pages (the flash's `ERASE_SIZE`).
    NotAligned,
    /// It has less than four pages.
    TooShort,
    /// A page cannot hold the largest record of each slot and two more (the count of boots, and
    /// the record that is being written): there would be a record that cannot be stored. Give the agent fewer slots, or take flash with larger pages.
    PagesTooSmall,
    /// An agent has at most 32 slots; numbers above are the store's own.
    TooManySlots,
    /// It ends behind the flash.
    BeyondFlash,
}

impl core::fmt::Display for PartitionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotAligned => "the partition is no even number of whole pages",
            Self::TooShort => "the partition needs four pages",
            Self::PagesTooSmall => "a page cannot hold the records of all slots and two more",
            Self::TooManySlots => "an agent has at most 32 slots",
            Self::BeyondFlash => "the partition ends behind the flash",
        })
    }
}

impl core::error::Error for PartitionError {}

impl<F: NorFlash> Partition<F> {
    /// Takes `range` of the flash, in bytes from its start, for the records of `slots` slots
    /// and the count of boots.
    ///
    /// # Errors
    /// [`PartitionError`], except `BeyondFlash`, which only a flash can tell.
    pub const fn new(range: Range<u32>, slots: u8) -> Result<Self, PartitionError> {
        #[allow(clippy::cast_possible_truncation)] // No flash has pages of 4 GiB.
        let page = F::ERASE_SIZE as u32;
        let len = range.end.saturating_sub(range.start);
        let (Some(0), Some(0)) = (
            range.start.checked_rem(page),
            len.checked_rem(page.saturating_mul(LOGS)),
        ) else {
            return Err(PartitionError::NotAligned);
        };
        if len < page.saturating_mul(LOGS * PAGES_MIN) {
            return Err(PartitionError::TooShort);
        }
        if slots as usize > JOBS_MAX {
            return Err(PartitionError::TooManySlots);
        }
        if (slots as usize).saturating_add(RECORDS_BESIDE) > Self::records_per_page() {
            return Err(PartitionError::PagesTooSmall);
        }
        Ok(Self {
            start: range.start,
            end: range.end,
            slots,
            flash: PhantomData,
        })
    }

    /// How many records of the largest size one page holds.
    #[must_use]
    pub const fn records_per_page() -> usize {
        let word = if F::WRITE_SIZE > F::READ_SIZE {
            F::WRITE_SIZE
        } else {
            F::READ_SIZE
        };
        let header = HEADER_LEN.next_multiple_of(word);
        let record = header.saturating_add(RECORD_LEN.next_multiple_of(word));
        let room = F::ERASE_SIZE.saturating_sub(word.saturating_mul(MARKS));
        match room.checked_div(record) {
            Some(records) => records,
            None => 0,
        }
    }

    /// One range for each log.
    pub(super) const fn halves(&self) -> [Range<u32>; 2] {
        let middle = self.start.midpoint(self.end);
        [self.start..middle, middle..self.end]
    }

    pub(super) const fn slots(&self) -> u8 {
        self.slots
    }
}
