//! Making any text a legal value.

use crate::limits::STATUS_DETAILS_VALUE_CHARS_MAX;
use crate::scan::{CLOSED, Scanner};
#[cfg(feature = "fast")]
use crate::swar;

/// Makes a text a legal value of `statusDetails`, if anything printable is in it.
///
/// Tabs and line ends become spaces, other members of `\p{C}` (control and format characters,
/// private use, noncharacters) are dropped, and the rest is cut after
/// [`STATUS_DETAILS_VALUE_CHARS_MAX`] characters. Code points that Unicode has not assigned are
/// not all known here and pass.
///
/// ```
/// use jobs_proto::details::scrub;
///
/// assert!(scrub("exit 1\n\u{1b}[31mfailed\0").eq("exit 1 [31mfailed".chars()));
/// ```
#[must_use]
pub fn scrub(text: &str) -> Scrubbed<'_> {
    Scrubbed::new(text.as_bytes())
}

/// The characters that [`scrub`] leaves.
#[derive(Clone, Debug)]
pub struct Scrubbed<'a> {
    scanner: Scanner<'a>,
    left: usize,
}

impl<'a> Scrubbed<'a> {
    /// Of a text that is UTF-8; ends where it is not.
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self {
            scanner: Scanner::new(text, 0),
            left: STATUS_DETAILS_VALUE_CHARS_MAX,
        }
    }

    /// The bytes of the next character.
    pub(super) fn step(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let start = self.scanner.at();
            match self.scanner.plain_char() {
                CLOSED => return None,
                // Tabs and the ends of lines.
                0x9..=0xD | 0x85 => return Some(b" "),
                code if is_legal(code) => return Some(self.scanner.from(start)),
                _ => {}
            }
        }
    }
}

#[cfg(not(feature = "fast"))]
impl<'a> Scrubbed<'a> {
    /// The bytes of the next characters.
    pub(super) fn run(&mut self) -> Option<&'a [u8]> {
        self.step()
    }
}

#[cfg(feature = "fast")]
impl<'a> Scrubbed<'a> {
    /// The bytes of the next characters: as many as need no look one by one.
    pub(super) fn run(&mut self) -> Option<&'a [u8]> {
        let text = self.scanner.rest();
        let text = text.get(..self.left).unwrap_or(text);
        let (words, _) = text.as_chunks();
        let plain = |word: &&[u8; swar::LEN]| swar::is_plain_ascii(u64::from_le_bytes(**word));
        let len = words
            .iter()
            .take_while(plain)
            .count()
            .wrapping_mul(swar::LEN);
        if len == 0 {
            return self.step();
        }
        // No more than what is left: the text was cut to that.
        self.left = self.left.wrapping_sub(len);
        let start = self.scanner.at();
        self.scanner.go_to(start.wrapping_add(len));
        Some(self.scanner.from(start))
    }
}

impl Iterator for Scrubbed<'_> {
    type Item = char;

    #[cfg_attr(not(feature = "fast"), inline(always))]
    fn next(&mut self) -> Option<char> {
        let text = self.step()?;
        char::from_u32(Scanner::new(text, 0).plain_char())
    }
}

/// A range of code points: the first one, and how many follow it in the lowest twelve bits.
const fn range(first: u32, last: u32) -> u32 {
    let follow = last.wrapping_sub(first);
    assert!(follow < 1 << 12 && first < 1 << 20);
    (first << 12) | follow
}

/// Ranges of `\p{C}` below U+E0000, from Unicode 16 (`Cc`, `Cf`, `Co`, noncharacters); the last
/// two code points of each plane come to them.
const ILLEGAL: [u32; 23] = [
    range(0x0000, 0x001F),
    range(0x007F, 0x009F),
    range(0x00AD, 0x00AD),
    range(0x0600, 0x0605),
    range(0x061C, 0x061C),
    range(0x06DD, 0x06DD),
    range(0x070F, 0x070F),
    range(0x0890, 0x0891),
    range(0x08E2, 0x08E2),
    range(0x180E, 0x180E),
    range(0x200B, 0x200F),
    range(0x202A, 0x202E),
    range(0x2060, 0x206F),
    range(0xE000, 0xEFFF),
    range(0xF000, 0xF8FF),
    range(0xFDD0, 0xFDEF),
    range(0xFEFF, 0xFEFF),
    range(0xFFF0, 0xFFFB),
    range(0x110BD, 0x110BD),
    range(0x110CD, 0x110CD),
    range(0x13430, 0x1343F),
    range(0x1BCA0, 0x1BCA3),
    range(0x1D173, 0x1D17A),
];

/// From here on there are tags, variation selectors and private use; planes 3 to 13 end with
/// nothing else.
const ILLEGAL_FROM: u32 = 0xE0000;

fn is_legal(code: u32) -> bool {
    let listed = ILLEGAL
        .iter()
        .any(|range| code.wrapping_sub(range >> 12) <= range & 0xFFF);
    !listed && code < ILLEGAL_FROM && code & 0xFFFE != 0xFFFE
}
