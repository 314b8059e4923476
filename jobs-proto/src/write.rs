//! Writing into a lent buffer: never fails on the way, counts what it would have needed.

use core::fmt;

use crate::number;

/// The buffer is too small; lend one of `needed` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TooSmall {
    /// The exact length needed, in bytes.
    pub needed: usize,
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffer too small: lend {} bytes", self.needed)
    }
}

impl core::error::Error for TooSmall {}

/// Appends to a buffer and goes on counting when it is full.
pub(crate) struct Writer<'b> {
    out: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(out: &'b mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// How many bytes were asked for so far.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        if let Some(slot) = self.out.get_mut(self.len) {
            *slot = byte;
        }
        self.len = self.len.saturating_add(1);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    pub(crate) fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn char(&mut self, char: char) {
        self.bytes(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    pub(crate) fn int(&mut self, value: i64) {
        if value < 0 {
            self.byte(b'-');
        }
        let mut digits = [0; number::DIGITS_MAX];
        let zeros = number::digits(value.unsigned_abs(), &mut digits);
        self.bytes(digits.get(zeros..).unwrap_or(&[]));
    }

    pub(crate) fn finish(self) -> Result<&'b [u8], TooSmall> {
        let Self { out, len } = self;
        out.get(..len).ok_or(TooSmall { needed: len })
    }

    /// For writers that were given whole characters only.
    pub(crate) fn finish_str(self) -> Result<&'b str, TooSmall> {
        let needed = self.len;
        let bytes = self.finish()?;
        core::str::from_utf8(bytes).map_err(|_| TooSmall { needed })
    }
}
