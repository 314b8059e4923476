//! Words of four bytes over a flash with smaller ones.

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use super::WORD_LEN_MIN;

/// A flash seen in words of four bytes, which is what [`FlashStore`](super::FlashStore) needs to
/// be safe over two power cuts (RP2040: `embassy_rp::flash::Flash` has words of one byte).
///
/// Rules: offsets and lengths are multiples of four, anything else is refused with
/// [`Word4Error::NotAligned`] and touches nothing. This adapter never pads: whoever writes less
/// than a word fills it up. The log does, with zero bytes behind each record, and keeps the exact
/// length in its header.
///
/// A word need not be written at once: a cut may leave one to three of its bytes. What matters is
/// that no two records ever begin in one word.
#[derive(Clone, Debug)]
pub struct Word4<F> {
    pub(super) flash: F,
}

/// What a [`Word4`] flash refuses, or the flash below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word4Error<E> {
    /// Offset or length is no multiple of four.
    NotAligned,
    /// The flash below failed.
    Flash(E),
}

impl<E: core::fmt::Display> core::fmt::Display for Word4Error<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAligned => f.write_str("not a multiple of four bytes"),
            Self::Flash(error) => error.fmt(f),
        }
    }
}

impl<E: NorFlashError> NorFlashError for Word4Error<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::Flash(error) => error.kind(),
        }
    }
}

impl<F> Word4<F> {
    /// The same flash, in words of four bytes.
    pub const fn new(flash: F) -> Self {
        Self { flash }
    }

    /// The flash below.
    pub fn release(self) -> F {
        self.flash
    }
}

const fn aligned<E>(offset: u32, len: usize) -> Result<(), Word4Error<E>> {
    if offset.is_multiple_of(4) && len.is_multiple_of(WORD_LEN_MIN) {
        Ok(())
    } else {
        Err(Word4Error::NotAligned)
    }
}

impl<F: ErrorType> ErrorType for Word4<F> {
    type Error = Word4Error<F::Error>;
}

impl<F: ReadNorFlash> ReadNorFlash for Word4<F> {
    const READ_SIZE: usize = {
        assert!(
            F::READ_SIZE == 1 || F::READ_SIZE == 2 || F::READ_SIZE == 4,
            "Word4 is for flash with words of one, two or four bytes"
        );
        WORD_LEN_MIN
    };

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        aligned(offset, bytes.len())?;
        self.flash
            .read(offset, bytes)
            .await
            .map_err(Word4Error::Flash)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for Word4<F> {
    const WRITE_SIZE: usize = {
        assert!(
            F::WRITE_SIZE == 1 || F::WRITE_SIZE == 2 || F::WRITE_SIZE == 4,
            "Word4 is for flash with words of one, two or four bytes"
        );
        WORD_LEN_MIN
    };
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.flash.erase(from, to).await.map_err(Word4Error::Flash)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        aligned(offset, bytes.len())?;
        self.flash
            .write(offset, bytes)
            .await
            .map_err(Word4Error::Flash)
    }
}
