//! The flash and its partitions.
//!
//! | bytes from the start of flash | what |
//! |---|---|
//! | `0x0_0000..0xF_0000` | program (`memory.x`) |
//! | `0xF_0000..0xF_8000` | records of the agent |
//! | `0xF_8000..0x10_0000` | settings |

use agent_embassy::{FlashStore, Partition};
use embassy_embedded_hal::{adapter::BlockingAsync, flash::partition::Partition as Part};
use embassy_nrf::{Peri, nvmc::Nvmc, peripherals::NVMC};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};

/// Where the records begin, bytes.
const RECORDS_START: u32 = 0xF_0000;
/// Where the settings begin, bytes.
const SETTINGS_START: u32 = 0xF_8000;
/// Bytes of each: eight pages, so that each is erased at every eighth change of page only.
const PART_LEN: u32 = 0x8000;

/// Erasing a page stops the program for up to 90 ms, writing a word for 41 us (product
/// specification).
type Chip = BlockingAsync<Nvmc<'static>>;
/// The flash, shared by its partitions.
pub(crate) type Shared = Mutex<NoopRawMutex, Chip>;
/// A part of it; its words have four bytes.
type Words<'f> = Part<'f, NoopRawMutex, Chip>;

/// Takes the flash.
pub(crate) fn flash(nvmc: Peri<'static, NVMC>) -> Shared {
    Mutex::new(BlockingAsync::new(Nvmc::new(nvmc)))
}

/// The store of the agent's records.
pub(crate) fn records(flash: &Shared) -> Result<FlashStore<Words<'_>>, &'static str> {
    let words = Part::new(flash, RECORDS_START, PART_LEN);
    let slots = crate::JOBS as u8;
    let partition = Partition::new(0..PART_LEN, slots).map_err(|_| "no room for the records")?;
    FlashStore::new(words, partition).map_err(|_| "the records are not in the flash")
}

/// The partition of the settings.
pub(crate) const fn settings(flash: &Shared) -> Words<'_> {
    Part::new(flash, SETTINGS_START, PART_LEN)
}
