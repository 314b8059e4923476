//! A strict JSON scanner: one pass, no recursion, no copies.
//!
//! It checks everything it steps over, also what nobody reads, because the bytes of a job document
//! are handed on to other parsers. Text is checked to be UTF-8 string by string, so that a message
//! stays readable up to the string that is not.

use crate::decode::ErrorKind;
use crate::limits::DEPTH_MAX;
use crate::text::EscapedStr;

/// What is wrong, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    /// Offset into the scanned bytes.
    pub(crate) at: usize,
}

/// A checked JSON value as it stands in the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) text: &'a [u8],
    /// Offset into the scanned bytes.
    pub(crate) at: usize,
}

impl<'a> Raw<'a> {
    pub(crate) fn is_null(&self) -> bool {
        self.text == b"null"
    }

    /// The inside, when the value is a string.
    pub(crate) fn string(&self) -> Option<EscapedStr<'a>> {
        let inside = self.text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        core::str::from_utf8(inside).ok().map(EscapedStr::new)
    }

    pub(crate) fn fault(&self, kind: ErrorKind) -> Fault {
        Fault { kind, at: self.at }
    }
}

/// The open brackets around the current place, innermost in the lowest bit.
#[derive(Default)]
struct Nesting {
    depth: u32,
    /// One bit for each level: 1 is an object, 0 an array.
    objects: u32,
}

impl Nesting {
    fn push(&mut self, object: bool) -> Result<(), ErrorKind> {
        if self.depth >= DEPTH_MAX {
            return Err(ErrorKind::TooDeep);
        }
        self.depth = self.depth.wrapping_add(1);
        self.objects = (self.objects << 1) | u32::from(object);
        Ok(())
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// A place in a message.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn bump(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    /// Steps over white space and looks at what follows.
    pub(crate) fn next_token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.bump();
        }
        self.peek()
    }

    pub(crate) fn fault(&self, kind: ErrorKind) -> Fault {
        Fault { kind, at: self.at }
    }

    /// The fault of meeting what is here: the end of the message, or a byte that does not belong.
    pub(crate) fn unexpected(&self) -> Fault {
        self.fault(if self.peek().is_none() {
            ErrorKind::Truncated
        } else {
            ErrorKind::Syntax
        })
    }

    fn bytes_from(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or(&[])
    }

    pub(crate) fn raw_from(&self, start: usize) -> Raw<'a> {
        Raw {
            text: self.bytes_from(start),
            at: start,
        }
    }

    /// Steps over white space and this byte.
    pub(crate) fn token(&mut self, byte: u8) -> Result<(), Fault> {
        if self.next_token() == Some(byte) {
            self.bump();
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Only white space may be left.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        if self.next_token().is_some() {
            Err(self.fault(ErrorKind::Syntax))
        } else {
            Ok(())
        }
    }

    /// Steps over a key and its colon.
    pub(crate) fn key(&mut self) -> Result<EscapedStr<'a>, Fault> {
        self.next_token();
        let start = self.at;
        self.string()?;
        let key = self.raw_from(start);
        self.token(b':')?;
        // The string was checked, so the second check cannot fail.
        key.string().ok_or_else(|| key.fault(ErrorKind::Utf8))
    }

    /// Steps over a key that nobody reads, and its colon.
    fn skip_key(&mut self) -> Result<(), Fault> {
        self.next_token();
        self.string()?;
        self.token(b':')
    }

    /// Steps over a string.
    fn string(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        self.bump();
        let start = self.at;
        let mut ascii = true;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or(&[]);
            let special = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F | 0x80..));
            self.at = self.at.saturating_add(special.unwrap_or(rest.len()));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0x80..) => {
                    ascii = false;
                    self.bump();
                }
                _ => return Err(self.unexpected()),
            }
        }
        if !ascii {
            core::str::from_utf8(self.bytes_from(start)).map_err(|error| Fault {
                kind: ErrorKind::Utf8,
                at: start.saturating_add(error.valid_up_to()),
            })?;
        }
        self.bump();
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.bump();
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.bump();
                Ok(())
            }
            Some(b'u') => {
                let at = self.at;
                self.bump();
                match self.hex4()? & 0xFC00 {
                    // Half a pair on its own is no character.
                    0xDC00 => Err(Fault {
                        kind: ErrorKind::Syntax,
                        at,
                    }),
                    0xD800 => self.low_surrogate(),
                    _ => Ok(()),
                }
            }
            _ => Err(self.unexpected()),
        }
    }

    fn low_surrogate(&mut self) -> Result<(), Fault> {
        for byte in *b"\\u" {
            if self.peek() != Some(byte) {
                return Err(self.unexpected());
            }
            self.bump();
        }
        let at = self.at;
        if self.hex4()? & 0xFC00 == 0xDC00 {
            Ok(())
        } else {
            Err(Fault {
                kind: ErrorKind::Syntax,
                at,
            })
        }
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            value = (value << 4) | digit.ok_or_else(|| self.unexpected())?;
            self.bump();
        }
        Ok(value)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        for byte in word {
            if self.peek() != Some(*byte) {
                return Err(self.unexpected());
            }
            self.bump();
        }
        Ok(())
    }

    /// Steps over digits; at least one.
    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected());
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.bump();
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.bump();
        }
        if self.peek() == Some(b'0') {
            self.bump();
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.bump();
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.bump();
            if let Some(b'+' | b'-') = self.peek() {
                self.bump();
            }
            self.digits()?;
        }
        // A number has no end of its own: at the end of the bytes it may have been cut.
        if self.peek().is_none() {
            Err(self.unexpected())
        } else {
            Ok(())
        }
    }

    /// Steps over one whole value of any kind and returns it.
    pub(crate) fn value(&mut self) -> Result<Raw<'a>, Fault> {
        self.next_token();
        let start = self.at;
        let mut nesting = Nesting::default();
        loop {
            self.open(&mut nesting)?;
            if self.close(&mut nesting)? {
                return Ok(self.raw_from(start));
            }
        }
    }

    /// Steps over a scalar, an empty object or array, or everything up to its first value.
    fn open(&mut self, nesting: &mut Nesting) -> Result<(), Fault> {
        loop {
            let object = match self.next_token() {
                Some(b'{') => true,
                Some(b'[') => false,
                Some(b'"') => return self.string(),
                Some(b't') => return self.word(b"true"),
                Some(b'f') => return self.word(b"false"),
                Some(b'n') => return self.word(b"null"),
                Some(b'-' | b'0'..=b'9') => return self.number(),
                _ => return Err(self.unexpected()),
            };
            nesting.push(object).map_err(|kind| self.fault(kind))?;
            self.bump();
            match (self.next_token(), object) {
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.bump();
                    nesting.pop();
                    return Ok(());
                }
                (_, true) => self.skip_key()?,
                (_, false) => {}
            }
        }
    }

    /// After a value: closes what ends here; true when nothing is open any more, false when
    /// another value follows.
    fn close(&mut self, nesting: &mut Nesting) -> Result<bool, Fault> {
        while nesting.depth > 0 {
            match (self.next_token(), nesting.in_object()) {
                (Some(b','), object) => {
                    self.bump();
                    if object {
                        self.skip_key()?;
                    }
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.bump();
                    nesting.pop();
                }
                _ => return Err(self.unexpected()),
            }
        }
        Ok(true)
    }
}
