//! What the agent needs of the board itself: which boot this is, and a reset.

use jobs_agent_core::{Boot, BootId};

use crate::{
    backoff::mix,
    fmt::Shown,
    store::{RecordStore, StoreErrorKind, StoreFault},
};

/// The board, as far as an agent changes it.
pub trait Board {
    /// Resets the board, so that the next boot has another [`BootId`]. Everything that must
    /// survive is durable when this is called; it should not return.
    ///
    /// It may wait (for a watchdog to bite, for a bootloader's mark to be written), at most
    /// ten seconds; then the reset counts as failed and is asked for again.
    ///
    /// On a Cortex-M: `cortex_m::peripheral::SCB::sys_reset()`.
    ///
    /// # Cancel safety
    /// May be dropped at any await and called again.
    async fn reset(&mut self) -> ResetFailed;
}

/// The board was not reset; the agent asks again after a while, and gives the job up in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetFailed;

/// Where [`start_boot`] counts: a slot that no job can have.
pub const BOOT_SLOT: u8 = u8::MAX;

/// Bytes of the counted number.
const COUNT_LEN: usize = 8;

/// Counts this boot in `store` and makes its identity. Call it once after each reset of the board,
/// before the agent runs.
///
/// `noise` is whatever the board has that differs: a random number (RP2040: ring oscillator; nRF:
/// RNG), mixed with a unique id of the chip. Without any, 0 will do: the count alone makes every
/// boot of this board unlike the others, only not unlike those of other boards; but where a damaged
/// store had to be emptied, the count begins anew.
///
/// # Errors
/// The store's own, if the count could not be made durable. A damaged store is emptied instead:
/// the service offers the jobs again.
///
/// # Cancel safety
/// Dropped, it may or may not have counted; call it again.
pub async fn start_boot<S: RecordStore>(store: &mut S, noise: u64) -> Result<Boot, S::Error> {
    let mut bytes = [0; COUNT_LEN];
    let counted = match store.load(BOOT_SLOT, &mut bytes).await {
        Ok(Some(COUNT_LEN)) => u64::from_le_bytes(bytes),
        // What is there is no count.
        Ok(_) => 0,
        Err(error) if error.kind() == StoreErrorKind::TooLong => 0,
        Err(error) => {
            emptied(store, error).await?;
            0
        }
    };
    let count = counted.wrapping_add(1);
    if let Err(error) = store.save(BOOT_SLOT, &count.to_le_bytes()).await {
        // Damage can show only when something is written.
        emptied(store, error).await?;
        store.save(BOOT_SLOT, &count.to_le_bytes()).await?;
    }
    Ok(boot_of(count, noise))
}

/// Empties a store that is damaged; any other error is passed on.
async fn emptied<S: RecordStore>(store: &mut S, error: S::Error) -> Result<(), S::Error> {
    if error.kind() != StoreErrorKind::Corrupted {
        return Err(error);
    }
    error!("the record store is damaged: emptied, the service offers the jobs again");
    store.reset().await
}

/// Empties a damaged store in the middle of this boot, and keeps the count: begun anew, it would
/// make a later boot look like an earlier one.
pub(crate) async fn empty<S: RecordStore>(store: &mut S, boot: &Boot) -> Result<(), S::Error> {
    store.reset().await?;
    if let Some(count) = boot.id.0.first_chunk::<COUNT_LEN>()
        && let Err(error) = store.save(BOOT_SLOT, count).await
    {
        // The store works as far as jobs need it; the worst is a boot that is counted twice.
        error!("the count of boots was not kept: {}", Shown(&error));
    }
    Ok(())
}

/// The identity of boot number `count`.
fn boot_of(count: u64, noise: u64) -> Boot {
    let entropy = mix(mix(noise) ^ count);
    let mut id = [0; 16];
    let parts = count
        .to_le_bytes()
        .into_iter()
        .chain(mix(entropy).to_le_bytes());
    for (place, byte) in id.iter_mut().zip(parts) {
        *place = byte;
    }
    Boot {
        id: BootId(id),
        entropy,
    }
}
