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
    apart!(count_boot(store, noise))
}

async fn count_boot<S: RecordStore>(store: &mut S, noise: u64) -> Result<Boot, S::Error> {
    let mut bytes = [0; COUNT_LEN];
    let counted = match store.load(BOOT_SLOT, &mut bytes).await {
        Ok(COUNT_LEN) => u64::from_le_bytes(bytes),
        Err(error) if error.kind() == StoreErrorKind::Other => return Err(error),
        // What is there is no count.
        Ok(_) | Err(_) => 0,
    };
    let boot = boot_of(counted.wrapping_add(1), noise);
    keep(store, &boot, BOOT_SLOT, count_of(&boot)).await?;
    Ok(boot)
}

/// Makes a record durable, or its absence if it is empty. A damaged store is emptied first; returns
/// whether it was.
///
/// An emptied store is given the count of boots again: begun anew, it would make a later boot look
/// like an earlier one. The records of other slots are not: each is there again with its next
/// write.
pub(crate) async fn keep<S: RecordStore>(
    store: &mut S,
    boot: &Boot,
    slot: u8,
    record: &[u8],
) -> Result<bool, S::Error> {
    let mut is_emptied = false;
    loop {
        match store.save(slot, record).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupted && !is_emptied => {}
            saved => return saved.map(|()| is_emptied),
        }
        error!("the record store is damaged: emptied, the service offers the jobs again");
        store.reset().await?;
        is_emptied = true;
        // Without the count the store works as far as jobs need it; the worst is a boot that is
        // counted twice.
        if let Err(error) = store.save(BOOT_SLOT, count_of(boot)).await {
            error!("the count of boots was not kept: {}", Shown(&error));
        }
    }
}

/// The count in the identity of a boot, as it is stored.
fn count_of(boot: &Boot) -> &[u8] {
    let BootId(id) = &boot.id;
    id.first_chunk::<COUNT_LEN>().map_or(&[], |count| count)
}

/// The identity of boot number `count`.
fn boot_of(count: u64, noise: u64) -> Boot {
    let entropy = mix(mix(noise) ^ count);
    let mut id = [0; 16];
    let (counted, mixed) = id.split_at_mut(COUNT_LEN);
    counted.copy_from_slice(&count.to_le_bytes());
    mixed.copy_from_slice(&mix(entropy).to_le_bytes());
    Boot {
        id: BootId(id),
        entropy,
    }
}
