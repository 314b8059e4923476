//! The flash and its partitions.
//!
//! | bytes | what |
//! |---|---|
//! | `0x0000..0x4000` | records of the agent |
//! | `0x4000..0x8000` | settings |

use agent_embassy::RamStore;
use embassy_embedded_hal::flash::partition::Partition;
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use mps2_bsp::flash::Flash;

/// Where the settings begin, and how long they are, bytes.
const SETTINGS: (u32, u32) = (0x4000, 0x4000);

/// The flash, shared by its partitions.
pub(crate) type Shared = Mutex<NoopRawMutex, Flash>;

/// Takes the flash, once.
pub(crate) fn flash() -> Option<Shared> {
    Flash::take().map(Mutex::new)
}

/// The store of the agent's records.
pub(crate) fn records(_: &Shared) -> Result<RamStore<2>, &'static str> {
    Ok(RamStore::new())
}

/// The partition of the settings.
pub(crate) fn settings(flash: &Shared) -> Partition<'_, NoopRawMutex, Flash> {
    Partition::new(flash, SETTINGS.0, SETTINGS.1)
}
