//! JSON strings that are left as they were received.

use core::fmt;

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

/// The number of the word that is `text`.
pub(crate) fn find(words: &[&str], text: &[u8]) -> Option<u8> {
    let mut index: u8 = 0;
    for word in words {
        if word.as_bytes() == text {
            return Some(index);
        }
        index = index.wrapping_add(1);
    }
    None
}

/// The inside of a JSON string, still escaped, borrowed from the message.
///
/// Every value that this crate hands out has been checked: escapes are complete, surrogates come
/// in pairs, no raw control characters.
#[derive(Clone, Copy)]
pub struct EscapedStr<'a>(&'a str);

impl<'a> EscapedStr<'a> {
    /// Wraps what stood between the quotes; the caller has checked it.
    pub(crate) const fn new(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The text between the quotes, escapes and all.
    #[must_use]
    pub const fn as_escaped(&self) -> &'a str {
        self.0
    }

    /// The text, when nothing in it is escaped.
    #[must_use]
    pub fn as_plain(&self) -> Option<&'a str> {
        for byte in self.0.as_bytes() {
            if *byte == b'\\' {
                return None;
            }
        }
        Some(self.0)
    }

    /// The characters, with escapes resolved.
    #[must_use]
    pub fn chars(&self) -> Chars<'a> {
        Chars(self.0.chars())
    }

    /// Whether the text, with escapes resolved, is `other`.
    #[must_use]
    pub fn eq_str(&self, other: &str) -> bool {
        match self.as_plain() {
            Some(plain) => plain == other,
            None => self.chars().eq(other.chars()),
        }
    }

    /// The number of the first of these words that the text is, with escapes resolved.
    pub(crate) fn find_in(&self, words: &[&str]) -> Option<u8> {
        match self.as_plain() {
            Some(plain) => find(words, plain.as_bytes()),
            // Nobody escapes names without need, so this may be slow: it is short instead.
            None => {
                let word = words.iter().find(|word| self.eq_str(word))?;
                find(words, word.as_bytes())
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
        self.0 == other.0 || self.chars().eq(other.chars())
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
        write!(f, "\"{}\"", self.0)
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
pub struct Chars<'a>(core::str::Chars<'a>);

/// Whether this is the first half of a pair of UTF-16.
pub(crate) fn is_high(unit: u32) -> bool {
    unit & 0xFC00 == 0xD800
}

/// Whether this is the second half of a pair of UTF-16.
pub(crate) fn is_low(unit: u32) -> bool {
    unit & 0xFC00 == 0xDC00
}

impl Chars<'_> {
    fn hex4(&mut self) -> Option<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = (value << 4) | self.0.next()?.to_digit(16)?;
        }
        Some(value)
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut code = self.hex4()?;
                if is_high(code) {
                    // The scanner has seen to it that `\uXXXX` with the other half follows.
                    self.0.nth(1)?;
                    let low = self.hex4()? & 0x3FF;
                    code = 0x1_0000_u32.wrapping_add((code & 0x3FF) << 10) | low;
                }
                return char::from_u32(code);
            }
            same => same,
        })
    }
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.0.next()? {
            '\\' => self.escaped(),
            plain => Some(plain),
        }
    }
}

impl core::iter::FusedIterator for Chars<'_> {}
