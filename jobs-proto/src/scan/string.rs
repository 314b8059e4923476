//! Strings, and the characters in them.

use super::{CLOSED, Scanner};
use crate::decode::ErrorKind;
#[cfg(feature = "fast")]
use crate::swar;

/// What may follow a backslash, each with what it means.
const ESCAPES: &[[u8; 2]] = &[
    *b"\"\"", *b"\\\\", *b"//", *b"b\x08", *b"f\x0C", *b"n\n", *b"r\r", *b"t\t",
];

/// So many plain bytes at the beginning make a string long.
#[cfg(feature = "fast")]
const LONG: usize = 8 * swar::LEN;

/// What the first half of a pair of UTF-16 begins with, above ten bits of its own.
const HIGH_HALF: u32 = 0xD800 >> 10;

/// The same of the second half.
const LOW_HALF: u32 = 0xDC00 >> 10;

impl<'a> Scanner<'a> {
    /// Steps over a string and returns its inside.
    #[cfg(not(feature = "fast"))]
    pub(super) fn string(&mut self) -> &'a [u8] {
        self.byte(b'"');
        let start = self.at;
        while self.char() != CLOSED {}
        let inside = self.from(start);
        self.byte(b'"');
        inside
    }

    /// The same, a word of eight bytes at a time.
    #[cfg(feature = "fast")]
    #[inline(always)]
    pub(super) fn string(&mut self) -> &'a [u8] {
        self.byte(b'"');
        let start = self.at;
        let mut wide: u64 = 0;
        loop {
            if let Some(word) = self.eight() {
                wide |= word;
                let steps = swar::plain_len(word);
                self.at = self.at.wrapping_add(steps);
                if steps == swar::LEN {
                    // Few strings are long, and what is quickest for them is not for the others.
                    if self.at.wrapping_sub(start) == LONG {
                        wide |= self.apart(Self::words);
                    }
                    continue;
                }
            }
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    self.bump();
                    // What stands for one character is short work.
                    match self.peek() {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.bump(),
                        _ => {
                            self.apart(Self::escape);
                        }
                    }
                }
                ..b' ' => {
                    self.unexpected();
                    return &[];
                }
                byte => {
                    wide |= u64::from(byte);
                    self.bump();
                }
            }
        }
        let inside = self.from(start);
        self.bump();
        // The word may have reached behind the string, which costs a check too many at worst.
        if wide & swar::HIGH_BITS != 0
            && let Err(error) = core::str::from_utf8(inside)
        {
            self.fail_at(ErrorKind::Utf8, start.wrapping_add(error.valid_up_to()));
        }
        inside
    }

    /// Steps over the words that are plain from end to end; returns all their bits.
    #[cfg(feature = "fast")]
    #[inline(never)]
    fn words(&mut self) -> u64 {
        let mut wide = 0;
        let mut rest = self.rest();
        while let Some((bytes, behind)) = rest.split_first_chunk() {
            let word = u64::from_le_bytes(*bytes);
            if swar::ends(word) != 0 {
                break;
            }
            wide |= word;
            rest = behind;
        }
        self.at = self.bytes.len().wrapping_sub(rest.len());
        wide
    }

    /// Steps over one character of a string and returns its code point, with escapes resolved;
    /// [`CLOSED`] before the closing quote and after a fault.
    pub(crate) fn char(&mut self) -> u32 {
        let byte = self.peek();
        match byte {
            b'"' => CLOSED,
            ..b' ' => {
                self.unexpected();
                CLOSED
            }
            b'\\' => {
                self.bump();
                self.escape()
            }
            _ => self.plain_char(),
        }
    }

    /// Steps over one character and returns its code point; [`CLOSED`] at the end of the bytes
    /// and after a fault.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn plain_char(&mut self) -> u32 {
        if self.is_at_end() {
            return CLOSED;
        }
        let start = self.at;
        let mut code = u32::from(self.peek());
        self.bump();
        if code < 0x80 {
            return code;
        }
        if !(0xC2..0xF5).contains(&code) {
            return self.not_utf8(start);
        }
        // How many bytes follow the first one.
        let follow = 1_u32
            .wrapping_add(u32::from(code >= 0xE0))
            .wrapping_add(u32::from(code >= 0xF0));
        code &= 0x3F >> follow;
        let mut left = follow;
        while left > 0 {
            let next = u32::from(self.peek() ^ 0x80);
            if next >= 0x40 {
                return self.not_utf8(start);
            }
            self.bump();
            code = (code << 6) | next;
            left = left.wrapping_sub(1);
        }
        // Two bytes encode at least 2^7, which the first one has seen to, three 2^11, four 2^16.
        let short = code >> follow.wrapping_mul(5).wrapping_add(1) == 0;
        // Half a pair of UTF-16 is no character, and the last one is U+10FFFF.
        if short || code >> 11 == 0xD800 >> 11 || code >> 16 > 0x10 {
            return self.not_utf8(start);
        }
        code
    }

    /// Ends the scan because of the bytes from `start` to here.
    #[cold]
    fn not_utf8(&mut self, start: usize) -> u32 {
        // At the end of the bytes a character may have been cut.
        if !self.is_at_end() {
            self.at = start;
        }
        self.unexpected_or(ErrorKind::Utf8);
        CLOSED
    }

    /// Steps over what follows a backslash and returns the code point.
    #[cfg_attr(feature = "fast", inline(never))]
    fn escape(&mut self) -> u32 {
        let byte = self.peek();
        if byte == b'u' {
            self.bump();
            return self.utf16();
        }
        for pair in ESCAPES {
            let [escape, meaning] = *pair;
            if escape == byte {
                self.bump();
                return u32::from(meaning);
            }
        }
        self.unexpected();
        CLOSED
    }

    /// Steps over one or two units of UTF-16, from the digits of the first one on.
    fn utf16(&mut self) -> u32 {
        let mut code = self.hex4();
        if code >> 10 == HIGH_HALF {
            self.byte(b'\\');
            self.byte(b'u');
            let low = self.hex4();
            // What is no second half leaves half a pair.
            code = if low >> 10 == LOW_HALF {
                0x1_0000_u32.wrapping_add((code & 0x3FF) << 10 | low & 0x3FF)
            } else {
                LOW_HALF << 10
            };
        }
        // Half a pair on its own is no character.
        if code >> 10 == LOW_HALF {
            self.unexpected();
            return CLOSED;
        }
        code
    }

    fn hex4(&mut self) -> u32 {
        let mut value = 0;
        for _ in 0..4 {
            match char::from(self.peek()).to_digit(16) {
                Some(digit) => value = (value << 4) | digit,
                None => self.unexpected(),
            }
            self.bump();
        }
        value
    }
}
