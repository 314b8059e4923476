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

    /// For flash not inlined: what is written is short, and the calls are many.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.put(self.len, byte);
        // What is written stands in memory, so its length cannot overflow.
        self.len = self.len.wrapping_add(1);
    }

    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        #[cfg(feature = "fast")]
        {
            let end = self.len.wrapping_add(bytes.len());
            if let Some(place) = self.out.get_mut(self.len..end) {
                place
                    .iter_mut()
                    .zip(bytes)
                    .for_each(|(to, from)| *to = *from);
                self.len = end;
                return;
            }
        }
        for byte in bytes {
            self.byte(*byte);
        }
    }

    pub(crate) fn char(&mut self, char: char) {
        let code = u32::from(char);
        // How many bytes follow the first one, which begins with as many ones as there are bytes.
        let follow: u32 = match code {
            ..0x80 => return self.low_byte(code),
            0x80..0x800 => 1,
            0x800..0x1_0000 => 2,
            _ => 3,
        };
        self.low_byte((0xF80 >> follow) | (code >> (follow.wrapping_mul(6))));
        for left in (0..follow).rev() {
            self.low_byte(0x80 | (code >> (left.wrapping_mul(6))) & 0x3F);
        }
    }

    fn low_byte(&mut self, bits: u32) {
        let [low, ..] = bits.to_le_bytes();
        self.byte(low);
    }

    pub(crate) fn int(&mut self, value: i64) {
        if value < 0 {
            self.byte(b'-');
        }
        // The digits come from the last one on, so they are counted first.
        let mut rest = value.unsigned_abs();
        loop {
            number::divide_by_10(&mut rest);
            self.len = self.len.wrapping_add(1);
            if rest == 0 {
                break;
            }
        }
        let mut at = self.len;
        rest = value.unsigned_abs();
        loop {
            let digit = number::divide_by_10(&mut rest);
            at = at.wrapping_sub(1);
            self.put(at, b'0' | digit);
            if rest == 0 {
                return;
            }
        }
    }

    fn put(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.out.get_mut(at) {
            *place = byte;
        }
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
