//! A count of boots in two sectors of flash: what tells this boot from the one before.
//!
//! A board without a random number that changes at each boot needs such a count: the agent must
//! know whether the machine was reset since a record was written. Each boot appends its number;
//! a full sector is left for the other one, which is erased then. A cut at any byte loses at most
//! the number being written, and the next boot writes a higher one than all that are readable.

use embedded_storage_async::nor_flash::NorFlash;

/// Bytes of an entry: the number and its complement, which a torn write does not match.
const ENTRY_LEN: usize = 8;

/// Counts this boot in the first two sectors of `flash`, and answers its number, from 1.
///
/// # Errors
/// What the flash says.
pub async fn count<F: NorFlash>(flash: &mut F) -> Result<u32, F::Error> {
    let sector_len = F::ERASE_SIZE;
    let newest = [
        newest(flash, 0, sector_len).await?,
        newest(flash, sector_len, sector_len).await?,
    ];
    let [first, second] = newest;
    // Sectors take turns: the one with the higher number is the one in use.
    let (base, found) = if second.number > first.number {
        (sector_len, second)
    } else {
        (0, first)
    };
    let number = found.number.saturating_add(1);
    let mut entry = [0; ENTRY_LEN];
    let (low, high) = entry.split_at_mut(4);
    low.copy_from_slice(&number.to_le_bytes());
    high.copy_from_slice(&(!number).to_le_bytes());
    let at = match found.free {
        Some(free) => base + free,
        None => {
            let other = sector_len - base;
            flash
                .erase(offset(other), offset(other + sector_len))
                .await?;
            other
        }
    };
    flash.write(offset(at), &entry).await?;
    Ok(number)
}

/// What a sector holds.
#[derive(Clone, Copy)]
struct Found {
    /// The highest number, 0 if none is readable.
    number: u32,
    /// Where the next entry goes; `None` if the sector is full.
    free: Option<usize>,
}

async fn newest<F: NorFlash>(flash: &mut F, base: usize, len: usize) -> Result<Found, F::Error> {
    let mut found = Found {
        number: 0,
        free: None,
    };
    for at in (0..len).step_by(ENTRY_LEN) {
        let mut entry = [0; ENTRY_LEN];
        flash.read(offset(base + at), &mut entry).await?;
        if entry == [0xFF; ENTRY_LEN] {
            found.free = Some(at);
            break;
        }
        let [a, b, c, d, e, f, g, h] = entry;
        let number = u32::from_le_bytes([a, b, c, d]);
        if number == !u32::from_le_bytes([e, f, g, h]) {
            found.number = found.number.max(number);
        }
    }
    Ok(found)
}

/// Offsets here are within two sectors.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
