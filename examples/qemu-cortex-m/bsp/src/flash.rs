//! NOR flash in the machine's PSRAM, which QEMU keeps in a file of the host
//! (`memory-backend-file,share=on`): each byte that is stored is in the host's page cache at once,
//! so that `kill -9` of QEMU is a power cut between two stores, with nothing flushed by a friendly
//! exit.
//!
//! The rules of NOR flash are kept here: a sector is erased to 0xFF as a whole, a write only
//! clears bits. Geometry and word size are those of the RP2040 (4 KiB, 1 byte).

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use crate::power;

/// Where the PSRAM lies.
const BASE: usize = 0x2100_0000;

/// Bytes in use of the 16 MiB there are.
pub const CAPACITY: usize = 64 * 1_024;
/// Bytes of a sector.
pub const SECTOR_LEN: usize = 4_096;
/// Places in which the erasure of a sector can be cut off.
const ERASE_STEPS: usize = 64;
/// Turns of a delay loop after each byte, and after each step of an erasure: real flash takes some
/// microseconds for a byte and some 40 ms for a sector, and a kill should find it at work as often
/// as a power cut would.
const BYTE_DELAY: u32 = 2_000;
const ERASE_STEP_DELAY: u32 = 200_000;

/// The flash; there is one.
pub struct Flash(());

/// What the flash refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Outside of the flash.
    Bounds,
    /// Not on a border of sectors.
    Alignment,
    /// A write would have to set a bit.
    NotErased,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Bounds => NorFlashErrorKind::OutOfBounds,
            Self::Alignment => NorFlashErrorKind::NotAligned,
            Self::NotErased => NorFlashErrorKind::Other,
        }
    }
}

impl Flash {
    /// Takes the flash: `None` from the second time on.
    pub fn take() -> Option<Self> {
        static TAKEN: critical_section::Mutex<core::cell::Cell<bool>> =
            critical_section::Mutex::new(core::cell::Cell::new(false));
        let taken = critical_section::with(|cs| TAKEN.borrow(cs).replace(true));
        (!taken).then_some(Self(()))
    }

    /// The address of a byte, if there is one.
    fn at(offset: usize) -> Result<*mut u8, FlashError> {
        if offset < CAPACITY {
            Ok((BASE + offset) as *mut u8)
        } else {
            Err(FlashError::Bounds)
        }
    }

    fn load(offset: usize) -> Result<u8, FlashError> {
        let place = Self::at(offset)?;
        // SAFETY: the PSRAM is mapped over its whole length, holds no object of Rust, and is only
        // reached through the one `Flash`.
        Ok(unsafe { place.read_volatile() })
    }

    fn store(offset: usize, byte: u8) -> Result<(), FlashError> {
        let place = Self::at(offset)?;
        // SAFETY: as in `load`.
        unsafe { place.write_volatile(byte) };
        Ok(())
    }

    fn range(from: u32, len: usize) -> Result<core::ops::Range<usize>, FlashError> {
        let from = usize::try_from(from).map_err(|_| FlashError::Bounds)?;
        let to = from.checked_add(len).ok_or(FlashError::Bounds)?;
        if to > CAPACITY {
            return Err(FlashError::Bounds);
        }
        Ok(from..to)
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let range = Self::range(offset, bytes.len())?;
        for (byte, offset) in bytes.iter_mut().zip(range) {
            *byte = Self::load(offset)?;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_LEN;

    /// # Cancel safety
    /// Does not wait: it blocks, as the flash of most boards does.
    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.checked_sub(from).ok_or(FlashError::Bounds)?;
        let len = usize::try_from(len).map_err(|_| FlashError::Bounds)?;
        let range = Self::range(from, len)?;
        if range.start % SECTOR_LEN != 0 || range.end % SECTOR_LEN != 0 {
            return Err(FlashError::Alignment);
        }
        for step in range.step_by(SECTOR_LEN / ERASE_STEPS) {
            power::spend();
            for offset in step..step + SECTOR_LEN / ERASE_STEPS {
                Self::store(offset, 0xFF)?;
            }
            cortex_m::asm::delay(ERASE_STEP_DELAY);
        }
        power::tell();
        Ok(())
    }

    /// # Cancel safety
    /// As `erase`.
    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let range = Self::range(offset, bytes.len())?;
        for (byte, offset) in bytes.iter().zip(range) {
            let old = Self::load(offset)?;
            if old & byte != *byte {
                return Err(FlashError::NotErased);
            }
            power::spend();
            Self::store(offset, *byte)?;
            cortex_m::asm::delay(BYTE_DELAY);
        }
        power::tell();
        Ok(())
    }
}

/// A byte may be written again as long as bits are only cleared, as on the RP2040.
impl MultiwriteNorFlash for Flash {}
