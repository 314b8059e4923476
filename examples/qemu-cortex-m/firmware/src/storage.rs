//! The flash and its partitions.
//!
//! | bytes | what |
//! |---|---|
//! | `0x0000..0x4000` | records of the agent |
//! | `0x4000..0x8000` | settings |

#[cfg(not(feature = "naive"))]
use agent_embassy::FlashStore;
use agent_embassy::Word4;
use embassy_embedded_hal::flash::partition::Partition;
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use mps2_bsp::flash::Flash;

/// Where the records of the agent begin, and how long they are, bytes.
const RECORDS: (u32, u32) = (0x0000, 0x4000);

/// Where the settings begin, and how long they are, bytes.
const SETTINGS: (u32, u32) = (0x4000, 0x4000);

/// The flash, shared by its partitions.
pub(crate) type Shared = Mutex<NoopRawMutex, Flash>;

/// Takes the flash, once.
pub(crate) fn flash() -> Option<Shared> {
    Flash::take().map(Mutex::new)
}

/// A partition of the flash.
pub(crate) type Part<'f> = Partition<'f, NoopRawMutex, Flash>;

/// Where the agent's records are kept.
#[cfg(not(feature = "naive"))]
pub(crate) type Records<'f> = FlashStore<Word4<Part<'f>>>;

/// The same, in a store that the tests must find out.
#[cfg(feature = "naive")]
pub(crate) type Records<'f> = crate::naive::NaiveStore<Part<'f>>;

/// The store of the agent's records.
#[cfg(not(feature = "naive"))]
pub(crate) fn records(flash: &Shared) -> Result<Records<'_>, &'static str> {
    let range = 0..RECORDS.1;
    let whole = agent_embassy::Partition::new(range, 1).map_err(|_| "no room for records")?;
    let part = Word4::new(Partition::new(flash, RECORDS.0, RECORDS.1));
    FlashStore::new(part, whole).map_err(|_| "no room for records")
}

/// The store that the tests must find out.
#[cfg(feature = "naive")]
pub(crate) fn records(flash: &Shared) -> Result<Records<'_>, &'static str> {
    let part = Partition::new(flash, RECORDS.0, RECORDS.1);
    Ok(crate::naive::NaiveStore(part))
}

/// The partition of the settings.
pub(crate) fn settings(flash: &Shared) -> Word4<Part<'_>> {
    Word4::new(Partition::new(flash, SETTINGS.0, SETTINGS.1))
}
