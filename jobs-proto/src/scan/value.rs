//! Values of all kinds, without recursion.

use super::Scanner;
use crate::decode::ErrorKind;
use crate::limits::DEPTH_MAX;
#[cfg(feature = "fast")]
use crate::swar;

impl<'a> Scanner<'a> {
    /// Steps over these bytes.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn word(&mut self, word: &[u8]) {
        for byte in word {
            self.byte(*byte);
        }
    }

    /// Steps over digits; at least one.
    #[cfg_attr(feature = "fast", inline(always))]
    fn digits(&mut self) {
        let start = self.at;
        #[cfg(feature = "fast")]
        if self.eight().is_some_and(swar::are_digits) {
            self.at = self.at.wrapping_add(swar::LEN);
        }
        while self.peek().is_ascii_digit() {
            self.bump();
        }
        if self.at == start {
            self.unexpected();
        }
    }

    #[cfg_attr(feature = "fast", inline(always))]
    fn number(&mut self) {
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits();
        }
        #[cfg(feature = "fast")]
        if matches!(self.peek(), b',' | b'}') {
            return;
        }
        if self.skip(b'.') {
            self.digits();
        }
        if self.skip(b'e') || self.skip(b'E') {
            if !self.skip(b'+') {
                self.skip(b'-');
            }
            self.digits();
        }
        // A number has no end of its own: at the end of the bytes it may have been cut.
        if self.is_at_end() {
            self.unexpected();
        }
    }

    /// Steps over a value that begins with this byte and holds no other values.
    #[cfg_attr(feature = "fast", inline(always))]
    fn scalar(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.string();
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Steps over white space and one whole value of any kind; returns the value, which is empty
    /// only after a fault.
    #[cfg_attr(feature = "fast", inline(always))]
    pub(crate) fn value(&mut self) -> &'a [u8] {
        let byte = self.next_token();
        let start = self.at;
        if matches!(byte, b'{' | b'[') {
            self.apart(Self::nested);
        } else {
            self.scalar(byte);
        }
        self.from(start)
    }

    /// Steps over an object or an array, with all that is in it.
    #[cfg_attr(feature = "fast", inline(never))]
    fn nested(&mut self) {
        self.apart(Self::brackets);
    }

    #[cfg_attr(feature = "fast", inline(always))]
    fn brackets(&mut self) {
        // The open brackets around the current place: one bit for each, 1 for an object and 0
        // for an array, the innermost lowest.
        let mut objects: u32 = 0;
        let mut depth: u32 = 0;
        loop {
            let byte = self.next_token();
            if matches!(byte, b'{' | b'[') {
                if depth >= DEPTH_MAX {
                    self.fail(ErrorKind::TooDeep);
                }
                depth = depth.wrapping_add(1);
                objects = (objects << 1) | u32::from(byte >> 5 & 1);
                self.bump();
                if self.next_token() != closing(objects) {
                    self.key_in(objects);
                    continue;
                }
            } else {
                self.scalar(byte);
            }
            // After a value: close what ends here, or go on to the next one.
            loop {
                if depth == 0 {
                    return;
                }
                if self.take(b',') {
                    self.key_in(objects);
                    break;
                }
                if !self.skip(closing(objects)) {
                    self.unexpected();
                    return;
                }
                depth = depth.wrapping_sub(1);
                objects >>= 1;
            }
        }
    }

    /// In an object, steps over the key of the next member.
    fn key_in(&mut self, objects: u32) {
        if objects & 1 == 1 {
            self.key();
        }
    }
}

/// The bracket that closes the innermost level: brackets and braces differ in one bit.
fn closing(objects: u32) -> u8 {
    let [brace, ..] = (objects & 1).to_le_bytes();
    b']' | brace << 5
}
