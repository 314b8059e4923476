//! JSON strings that are left as they were received.

use core::fmt;

use crate::scan::{CLOSED, Scanner};

/// The word with this number; empty behind the last one.
pub(crate) const fn nth(words: &'static [&'static str], index: usize) -> &'static str {
    let mut rest = words;
    let mut index = index;
    while let [first, tail @ ..] = rest {
        if index == 0 {
            return first;
        }
        index = index.wrapping_sub(1);
        rest = tail;
    }
    ""
}

/// Whether both are the same bytes.
#[cfg(feature = "fast")]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one == other
}

/// Whether both are the same bytes. One by one, because there may be no `memcmp` in the firmware
/// otherwise.
#[cfg(not(feature = "fast"))]
#[inline(never)]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

/// The inside of a JSON string, still escaped, borrowed from the message.
///
/// Every value that this crate hands out has been checked: escapes are complete, surrogates come
/// in pairs, no raw control characters.
#[derive(Clone, Copy)]
pub struct EscapedStr<'a>(&'a [u8]);

impl<'a> EscapedStr<'a> {
    /// Wraps what stood between the quotes; the caller has checked it.
    pub(crate) const fn new(raw: &'a [u8]) -> Self {
        Self(raw)
    }

    /// The text between the quotes, escapes and all.
    #[must_use]
    pub const fn as_escaped(&self) -> &'a str {
        match core::str::from_utf8(self.0) {
            Ok(text) => text,
            // The scanner has seen to it that this cannot be.
            Err(_) => "",
        }
    }

    /// The bytes between the quotes, escapes and all: UTF-8, which takes no further check.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The text, when nothing in it is escaped.
    #[must_use]
    pub fn as_plain(&self) -> Option<&'a str> {
        (!self.is_escaped()).then(|| self.as_escaped())
    }

    pub(crate) fn is_escaped(&self) -> bool {
        self.0.contains(&b'\\')
    }

    /// The characters, with escapes resolved.
    #[must_use]
    pub fn chars(&self) -> Chars<'a> {
        Chars(self.scanner())
    }

    /// Over the text between the quotes.
    pub(crate) const fn scanner(&self) -> Scanner<'a> {
        Scanner::new(self.0, 0)
    }

    /// Whether the text, with escapes resolved, is `other`.
    #[must_use]
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub fn eq_str(&self, other: &str) -> bool {
        // What is escaped is longer than what it means.
        #[cfg(feature = "fast")]
        if self.0 == other.as_bytes() || !self.is_escaped() {
            return self.0 == other.as_bytes() && !self.is_escaped();
        }
        let mut others = Scanner::new(other.as_bytes(), 0);
        let mut own = self.scanner();
        loop {
            let code = own.char();
            if code != others.plain_char() {
                return false;
            }
            if code == CLOSED {
                return true;
            }
        }
    }

    /// Writes the text, with escapes resolved, into `out`.
    ///
    /// # Errors
    ///
    /// [`crate::TooSmall`] with the exact length when `out` is too short; `out` then holds a part.
    pub fn unescape<'b>(&self, out: &'b mut [u8]) -> Result<&'b str, crate::TooSmall> {
        let mut writer = crate::write::Writer::new(out);
        for char in self.chars() {
            writer.char(char);
        }
        writer.finish_str()
    }
}

impl PartialEq for EscapedStr<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.chars().eq(other.chars())
    }
}

impl Eq for EscapedStr<'_> {}

impl PartialEq<str> for EscapedStr<'_> {
    fn eq(&self, other: &str) -> bool {
        self.eq_str(other)
    }
}

impl PartialEq<&str> for EscapedStr<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.eq_str(other)
    }
}

impl fmt::Debug for EscapedStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_escaped())
    }
}

impl fmt::Display for EscapedStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.chars().try_for_each(|char| f.write_char(char))
    }
}

/// The characters of an [`EscapedStr`], with escapes resolved.
#[derive(Clone, Debug)]
pub struct Chars<'a>(Scanner<'a>);

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        char::from_u32(self.0.char())
    }
}

impl core::iter::FusedIterator for Chars<'_> {}
