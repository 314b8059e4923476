//! Making any text a legal value.

use crate::limits::STATUS_DETAILS_VALUE_CHARS_MAX;

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
    Scrubbed {
        chars: text.chars(),
        left: STATUS_DETAILS_VALUE_CHARS_MAX,
    }
}

/// The characters that [`scrub`] leaves.
#[derive(Clone, Debug)]
pub struct Scrubbed<'a> {
    chars: core::str::Chars<'a>,
    left: usize,
}

impl Iterator for Scrubbed<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let char = match self.chars.next()? {
                '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' => ' ',
                other => other,
            };
            if is_legal(char) {
                return Some(char);
            }
        }
    }
}

/// Ranges of `\p{C}` below U+10000, from Unicode 16 (`Cc`, `Cf`, `Co`, noncharacters).
const ILLEGAL: [(u16, u16); 16] = [
    (0x0000, 0x001F),
    (0x007F, 0x009F),
    (0x00AD, 0x00AD),
    (0x0600, 0x0605),
    (0x061C, 0x061C),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xE000, 0xF8FF),
    (0xFDD0, 0xFDEF),
    (0xFEFF, 0xFEFF),
];

fn is_legal(char: char) -> bool {
    let code = u32::from(char);
    if (0x20..0x7F).contains(&code) {
        return true;
    }
    match u16::try_from(code) {
        Ok(code) => {
            code < 0xFFF0
                && !ILLEGAL
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&code))
                || matches!(code, 0xFFFC | 0xFFFD)
        }
        Err(_) => {
            !matches!(
                code,
                0x110BD | 0x110CD | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A
                    // Tags, variation selectors and private use; planes 3 to 13 end with nothing else.
                    | 0xE0000..
            ) && code & 0xFFFE != 0xFFFE
        }
    }
}
