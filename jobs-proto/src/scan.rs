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
use crate::text::{self, EscapedStr};

/// What is wrong, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    /// Offset into the scanned bytes.
    pub(crate) at: usize,
}

/// What stands where nothing stands any more. In JSON, this byte belongs nowhere.
pub(crate) const END: u8 = 0;

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
    pub(crate) fn next_token(&mut self) -> u8 {
        loop {
            let byte = self.peek();
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.bump();
        }
    }

    /// Ends the scan for this reason, unless it has ended before.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail_at(&mut self, kind: ErrorKind, at: usize) {
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
    #[cold]
    #[inline(never)]
    pub(crate) fn unexpected(&mut self) {
        self.unexpected_or(ErrorKind::Syntax);
    }

    /// The same, with another name for the byte that does not belong.
    #[cold]
    pub(crate) fn unexpected_or(&mut self, kind: ErrorKind) {
        self.fail(if self.is_at_end() {
            ErrorKind::Truncated
        } else {
            kind
        });
    }

    /// Everything from `start` to here; empty after a fault.
    pub(crate) fn from(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or(&[])
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
    pub(crate) fn key(&mut self) -> EscapedStr<'a> {
        self.next_token();
        let key = self.string();
        self.next_token();
        self.byte(b':');
        EscapedStr::new(key)
    }

    /// Steps over a string and returns its inside.
    fn string(&mut self) -> &'a str {
        self.byte(b'"');
        let start = self.at;
        loop {
            let byte = self.peek();
            if byte == b'"' {
                break;
            }
            if byte < b' ' {
                self.unexpected();
                return "";
            }
            self.bump();
            if byte == b'\\' {
                self.escape();
            }
        }
        let inside = self.from(start);
        self.bump();
        match core::str::from_utf8(inside) {
            Ok(text) => text,
            Err(error) => {
                self.fail_at(ErrorKind::Utf8, start.wrapping_add(error.valid_up_to()));
                ""
            }
        }
    }

    /// Steps over what follows a backslash.
    fn escape(&mut self) {
        let at = self.at;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.bump(),
            b'u' => {
                self.bump();
                let unit = self.hex4();
                if text::is_high(unit) {
                    self.byte(b'\\');
                    self.byte(b'u');
                    let at = self.at;
                    if !text::is_low(self.hex4()) {
                        self.fail_at(ErrorKind::Syntax, at);
                    }
                } else if text::is_low(unit) {
                    // Half a pair on its own is no character.
                    self.fail_at(ErrorKind::Syntax, at);
                }
            }
            _ => self.unexpected(),
        }
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

    fn word(&mut self, word: &[u8]) {
        for byte in word {
            self.byte(*byte);
        }
    }

    /// Steps over digits; at least one.
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

    fn number(&mut self) {
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits();
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

    /// Steps over white space and one whole value of any kind; returns the value, which is empty
    /// only after a fault.
    pub(crate) fn value(&mut self) -> &'a [u8] {
        // The open brackets around the current place: one bit for each, 1 for an object and 0
        // for an array, the innermost lowest.
        let mut objects: u32 = 0;
        let mut depth: u32 = 0;
        self.next_token();
        let start = self.at;
        loop {
            let byte = self.next_token();
            match byte {
                b'{' | b'[' => {
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
                }
                b'"' => {
                    self.string();
                }
                b't' => self.word(b"true"),
                b'f' => self.word(b"false"),
                b'n' => self.word(b"null"),
                _ => self.number(),
            }
            // After a value: close what ends here, or go on to the next one.
            loop {
                if depth == 0 {
                    return self.from(start);
                }
                let byte = self.next_token();
                if byte == b',' {
                    self.bump();
                    self.key_in(objects);
                    break;
                }
                if byte != closing(objects) {
                    self.unexpected();
                    return &[];
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
