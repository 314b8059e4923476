//! A strict JSON scanner: one pass, no recursion, no copies.
//!
//! It checks everything it steps over, also what nobody reads, because the bytes of a job document
//! are handed on to other parsers. Text is checked to be UTF-8 string by string, so that a message
//! stays readable up to the string that is not.
//!
//! The first fault ends the scan: the scanner keeps it and is at the end of its bytes from then
//! on. Whoever drives it needs no test after each step, which is what makes it small; asking for
//! [`Scanner::fault`] once is enough.

use crate::decode::ErrorKind;
use crate::limits::DEPTH_MAX;
#[cfg(feature = "fast")]
use crate::swar;
use crate::text::EscapedStr;

/// What is wrong, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    /// Offset into the scanned bytes.
    pub(crate) at: usize,
}

/// What stands where nothing stands any more. In JSON, this byte belongs nowhere.
pub(crate) const END: u8 = 0;

/// Where no character is: no code point.
pub(crate) const CLOSED: u32 = u32::MAX;

/// What may follow a backslash, each with what it means.
const ESCAPES: &[[u8; 2]] = &[
    *b"\"\"", *b"\\\\", *b"//", *b"b\x08", *b"f\x0C", *b"n\n", *b"r\r", *b"t\t",
];

/// A place in a message.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    fault: Option<Fault>,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            fault: None,
        }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes on from another place.
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The first fault that was met.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Whether no fault was met.
    pub(crate) fn is_sound(&self) -> bool {
        self.fault.is_none()
    }

    /// The byte here, [`END`] behind the last one.
    pub(crate) fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(END)
    }

    /// Whether no byte is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn bump(&mut self) {
        self.at = self.at.wrapping_add(1);
    }

    /// Steps over white space and looks at what follows.
    #[cfg_attr(feature = "fast", inline(always))]
    pub(crate) fn next_token(&mut self) -> u8 {
        loop {
            let byte = self.peek();
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.bump();
        }
    }

    /// Does something rare.
    ///
    /// On a copy: what is never lent can stay in registers, and nothing else is as quick.
    #[cfg(feature = "fast")]
    #[inline(always)]
    fn apart<T>(&mut self, rare: impl FnOnce(&mut Self) -> T) -> T {
        let mut copy = self.clone();
        let result = rare(&mut copy);
        *self = copy;
        result
    }

    /// Does something rare.
    #[cfg(not(feature = "fast"))]
    fn apart<T>(&mut self, rare: impl FnOnce(&mut Self) -> T) -> T {
        rare(self)
    }

    /// Ends the scan for this reason, unless it has ended before.
    pub(crate) fn fail_at(&mut self, kind: ErrorKind, at: usize) {
        self.apart(|scanner| scanner.end_for(kind, at));
    }

    #[cold]
    #[inline(never)]
    fn end_for(&mut self, kind: ErrorKind, at: usize) {
        if self.fault.is_none() {
            self.fault = Some(Fault { kind, at });
        }
        self.close();
    }

    /// Ends the scan.
    pub(crate) fn close(&mut self) {
        self.bytes = &[];
    }

    /// Ends the scan for this reason, here.
    pub(crate) fn fail(&mut self, kind: ErrorKind) {
        self.fail_at(kind, self.at);
    }

    /// Ends the scan because of what is here: the end of the message, or a byte that does not
    /// belong.
    pub(crate) fn unexpected(&mut self) {
        self.apart(Self::end_here);
    }

    #[cold]
    #[inline(never)]
    fn end_here(&mut self) {
        self.end_here_for(ErrorKind::Syntax);
    }

    /// The same, with another name for the byte that does not belong.
    pub(crate) fn unexpected_or(&mut self, kind: ErrorKind) {
        self.apart(|scanner| scanner.end_here_for(kind));
    }

    #[cold]
    #[cfg_attr(feature = "fast", inline(never))]
    fn end_here_for(&mut self, kind: ErrorKind) {
        let kind = if self.is_at_end() {
            ErrorKind::Truncated
        } else {
            kind
        };
        self.end_for(kind, self.at);
    }

    /// Everything from `start` to here; empty after a fault.
    pub(crate) fn from(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or(&[])
    }

    /// Everything from here on.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Steps over this byte.
    pub(crate) fn byte(&mut self, byte: u8) {
        if self.peek() == byte {
            self.bump();
        } else {
            self.unexpected();
        }
    }

    /// Only white space may be left.
    pub(crate) fn end(&mut self) {
        self.next_token();
        if !self.is_at_end() {
            self.fail(ErrorKind::Syntax);
        }
    }

    /// Steps over white space, a key and its colon.
    #[cfg_attr(feature = "fast", inline(always))]
    pub(crate) fn key(&mut self) -> EscapedStr<'a> {
        self.next_token();
        let key = self.string();
        self.next_token();
        self.byte(b':');
        EscapedStr::new(key)
    }

    /// Steps over a string and returns its inside.
    #[cfg(not(feature = "fast"))]
    fn string(&mut self) -> &'a [u8] {
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
    fn string(&mut self) -> &'a [u8] {
        self.byte(b'"');
        let start = self.at;
        let mut wide: u64 = 0;
        loop {
            if let Some(bytes) = self.rest().first_chunk() {
                let word = u64::from_le_bytes(*bytes);
                wide |= word;
                let steps = swar::plain_len(word);
                self.at = self.at.wrapping_add(steps);
                if steps == swar::LEN {
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
        // How many bytes follow the first one.
        let follow: u32 = match code {
            0xC2..0xE0 => 1,
            0xE0..0xF0 => 2,
            0xF0..0xF5 => 3,
            _ => return self.not_utf8(start),
        };
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
        let long = code >> follow.wrapping_mul(5).wrapping_add(1) != 0;
        if long && char::from_u32(code).is_some() {
            code
        } else {
            self.not_utf8(start)
        }
    }

    /// Ends the scan because of the bytes from `start` to here.
    #[cold]
    #[inline(never)]
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
        let mut at = self.at;
        let mut code = self.hex4();
        if code & !0x3FF == 0xD800 {
            self.byte(b'\\');
            self.byte(b'u');
            at = self.at;
            let low = self.hex4().wrapping_sub(0xDC00);
            // What is no second half leaves half a pair.
            code = if low < 0x400 {
                0x1_0000_u32.wrapping_add((code & 0x3FF) << 10) | low
            } else {
                0xDC00
            };
        }
        // Half a pair on its own is no character.
        if code & !0x3FF == 0xDC00 {
            self.fail_at(ErrorKind::Syntax, at);
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
        if !self.peek().is_ascii_digit() {
            self.unexpected();
        }
        while self.peek().is_ascii_digit() {
            self.bump();
        }
    }

    fn skip(&mut self, byte: u8) -> bool {
        let here = self.peek() == byte;
        if here {
            self.bump();
        }
        here
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
        if self.peek() | 0x20 == b'e' {
            self.bump();
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
                objects = (objects << 1) | u32::from(byte == b'{');
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
                let byte = self.next_token();
                if byte == b',' {
                    self.bump();
                    self.key_in(objects);
                    break;
                }
                if byte != closing(objects) {
                    self.unexpected();
                    return;
                }
                self.bump();
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

/// The bracket that closes the innermost level.
fn closing(objects: u32) -> u8 {
    if objects & 1 == 1 { b'}' } else { b']' }
}
