//! A strict JSON scanner: one pass, no recursion, no copies.
//!
//! It checks everything it steps over, also what nobody reads, because the bytes of a job document
//! are handed on to other parsers. Text is checked to be UTF-8 string by string, so that a message
//! stays readable up to the string that is not.
//!
//! The first fault ends the scan: the scanner keeps it and is at the end of its bytes from then
//! on. Whoever drives it needs no test after each step, which is what makes it small; asking for
//! [`Scanner::fault`] once is enough.

mod string;
mod value;

use crate::decode::ErrorKind;
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

    /// All bytes that are scanned.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Begins anew, with other bytes or at another place.
    pub(crate) fn begin(&mut self, bytes: &'a [u8], at: usize) {
        self.bytes = bytes;
        self.at = at;
        self.fault = None;
    }

    /// Goes on from another place.
    #[cfg(feature = "fast")]
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

    /// Steps over white space, and over this byte if it follows.
    #[cfg_attr(feature = "fast", inline(always))]
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        self.next_token();
        self.skip(byte)
    }

    /// Steps over this byte if it stands here.
    #[cfg_attr(feature = "fast", inline(always))]
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn skip(&mut self, byte: u8) -> bool {
        let here = self.peek() == byte;
        if here {
            self.bump();
        }
        here
    }

    /// Does something rare.
    ///
    /// On a copy: what is never lent can stay in registers, and nothing else is as quick.
    #[cfg(feature = "fast")]
    #[inline(always)]
    pub(crate) fn apart<T>(&mut self, rare: impl FnOnce(&mut Self) -> T) -> T {
        let mut copy = self.clone();
        let result = rare(&mut copy);
        *self = copy;
        result
    }

    /// Does something rare.
    #[cfg(not(feature = "fast"))]
    pub(crate) fn apart<T>(&mut self, rare: impl FnOnce(&mut Self) -> T) -> T {
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

    /// Ends the scan for this reason, whatever else was met.
    #[cfg_attr(not(feature = "fast"), inline(always))]
    pub(crate) fn overrule(&mut self, kind: ErrorKind, at: usize) {
        self.fault = None;
        self.fail_at(kind, at);
    }

    /// Ends the scan.
    pub(crate) fn close(&mut self) {
        self.bytes = &[];
    }

    /// Ends the scan for this reason, here.
    #[cfg_attr(not(feature = "fast"), inline(always))]
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
    #[cfg(feature = "fast")]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// The next eight bytes, the first of which is the lowest.
    #[cfg(feature = "fast")]
    #[inline(always)]
    fn eight(&self) -> Option<u64> {
        let behind = self.at.wrapping_add(swar::LEN);
        let bytes = self.bytes.get(self.at..behind)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    }

    /// Steps over this byte.
    pub(crate) fn byte(&mut self, byte: u8) {
        if !self.skip(byte) {
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
}
