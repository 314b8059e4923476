//! The flash and its partitions.
//!
//! | bytes from the start of flash | what |
//! |---|---|
//! | `0x00_0000..0x1F_0000` | program (`memory.x`) |
//! | `0x1F_0000..0x1F_8000` | records of the agent |
//! | `0x1F_8000..0x20_0000` | settings |

use agent_embassy::{FlashStore, Partition, Word4};
use embassy_embedded_hal::{adapter::BlockingAsync, flash::partition::Partition as Part};
use embassy_rp::{
    Peri,
    flash::{Blocking, Flash},
    peripherals::FLASH,
};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};

/// Flash of the Pico W, bytes.
const FLASH_LEN: usize = 2 * 1024 * 1024;
/// Where the records begin, bytes.
const RECORDS_START: u32 = 0x1F_0000;
/// Where the settings begin, bytes.
const SETTINGS_START: u32 = 0x1F_8000;
/// Bytes of each: eight sectors, so that each is erased at every eighth change of page only.
const PART_LEN: u32 = 0x8000;

/// Erasing and writing stop the program for up to 400 ms and 3 ms (data sheet of the W25Q16JV):
/// the code itself is in this flash.
type Chip = BlockingAsync<Flash<'static, FLASH, Blocking, FLASH_LEN>>;
/// The flash, shared by its partitions.
pub(crate) type Shared = Mutex<NoopRawMutex, Chip>;
/// The chip's driver has words of one byte, with which the log below can lose a record.
type Words<'f> = Word4<Part<'f, NoopRawMutex, Chip>>;

/// Takes the flash.
pub(crate) fn flash(flash: Peri<'static, FLASH>) -> Shared {
    Mutex::new(BlockingAsync::new(Flash::new_blocking(flash)))
}

/// The store of the agent's records.
pub(crate) fn records(flash: &Shared) -> Result<FlashStore<Words<'_>>, &'static str> {
    let words = Word4::new(Part::new(flash, RECORDS_START, PART_LEN));
    let slots = crate::JOBS as u8;
    let partition = Partition::new(0..PART_LEN, slots).map_err(|_| "no room for the records")?;
    FlashStore::new(words, partition).map_err(|_| "the records are not in the flash")
}

/// The partition of the settings.
pub(crate) const fn settings(flash: &Shared) -> Words<'_> {
    Word4::new(Part::new(flash, SETTINGS_START, PART_LEN))
}
