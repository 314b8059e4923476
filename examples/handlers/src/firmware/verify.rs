//! The checksum of what stands in the spare slot.

use jobs_agent_core::JobPort;
use sha2::{Digest as _, Sha256};

use super::{
    document::Digest,
    download::{End, slot_fault},
    platform::{BLOCK_LEN, FirmwareSlots},
};
use crate::line::line;

/// Reads `len` bytes back and compares them with `expected`.
///
/// The slot is hashed, not the stream: so a resumed download needs no kept hash state, and what
/// is checked is what will be booted.
///
/// # Cancel safety
/// Only reads.
pub(crate) async fn verify<S: FirmwareSlots, P: JobPort>(
    slots: &S,
    len: u64,
    expected: Digest,
    port: &mut P,
) -> Result<(), End> {
    let mut hash = Sha256::new();
    let mut block = [0; BLOCK_LEN];
    let mut offset: u64 = 0;
    while offset < len {
        if let Some(reason) = port.stop_requested() {
            return Err(End::Stopped(reason));
        }
        let rest = len.saturating_sub(offset);
        let want = usize::try_from(rest).unwrap_or(BLOCK_LEN).min(BLOCK_LEN);
        let part = block.get_mut(..want).unwrap_or_default();
        slots.read(offset, part).await.map_err(slot_fault)?;
        hash.update(&*part);
        offset = offset.saturating_add(want as u64);
    }
    let found = Digest(hash.finalize().into());
    if found == expected {
        Ok(())
    } else {
        Err(End::Failed(line(format_args!(
            "checksum mismatch: expected {expected}, got {found}"
        ))))
    }
}
