//! Eight bytes at once, for hosts.

/// How many bytes one word holds.
pub(crate) const LEN: usize = 8;

/// The highest bit of every byte: set where a byte is not ASCII.
pub(crate) const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

const ONES: u64 = 0x0101_0101_0101_0101;

/// The byte in every place.
const fn all(byte: u8) -> u64 {
    ONES.wrapping_mul(byte as u64)
}

/// How many bytes of the word, the first of which is the lowest, come before one that ends the
/// plain part of a JSON string: a quote, a backslash or a control character.
pub(crate) const fn plain_len(word: u64) -> usize {
    match ends(word) {
        0 => LEN,
        ends => place(ends),
    }
}

/// The number of the first byte whose highest bit is set; there is one.
pub(crate) const fn place(bits: u64) -> usize {
    (bits.trailing_zeros() / u8::BITS) as usize
}

/// The highest bit of the first byte that ends the plain part of a JSON string, and maybe of
/// others behind it.
pub(crate) const fn ends(word: u64) -> u64 {
    // Where an ASCII byte is less than what is taken from it, its highest bit gets set. A borrow
    // can set one too many, but only above a place that is a hit itself. With this bit turned, a
    // quote comes right behind the control characters, which stay among themselves.
    let quotes = (word ^ all(b'"' ^ b' ')).wrapping_sub(all(b' ' + 1));
    let slashes = (word ^ all(b'\\')).wrapping_sub(ONES);
    (quotes | slashes) & !word & HIGH_BITS
}

/// Whether all bytes of the word are ASCII that JSON and people print as it is: no control
/// characters, quotes or backslashes.
pub(crate) const fn is_plain_ascii(word: u64) -> bool {
    // One more than the last control character, `DEL`, is not ASCII.
    (word | word.wrapping_add(ONES)) & HIGH_BITS == 0 && ends(word) == 0
}

/// Whether all bytes of the word are decimal digits.
pub(crate) const fn are_digits(word: u64) -> bool {
    let digits = word ^ all(b'0');
    // Every sum stays in its place: 0x7F + 0x76 is less than 256.
    let sums = (digits & !HIGH_BITS).wrapping_add(all(0x80 - 10));
    (sums | digits) & HIGH_BITS == 0
}

/// The number that eight decimal digits are, of which the lowest byte is the first; `None` if
/// not all of them are digits.
pub(crate) const fn eight_digits(word: u64) -> Option<u64> {
    if !are_digits(word) {
        return None;
    }
    let digits = word ^ all(b'0');
    // Pairs, then fours, then all eight: each product puts ten (a hundred, ten thousand) times
    // the lower half and the upper half into the same place.
    let pairs = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

#[cfg(test)]
mod tests {
    use super::{LEN, eight_digits, plain_len};

    #[test]
    fn eight_digits_are_read_as_by_the_standard_library() {
        for number in (0..100_000_000_u64).step_by(997).chain([99_999_999]) {
            let text = std::format!("{number:08}");
            let bytes = *text.as_bytes().first_chunk().unwrap();
            assert_eq!(eight_digits(u64::from_le_bytes(bytes)), Some(number));
        }
    }

    #[test]
    fn what_is_no_digit_is_refused_in_every_place() {
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
            for place in 0..LEN {
                for filler in [b'0', b'9'] {
                    let mut bytes = [filler; LEN];
                    bytes[place] = byte;
                    assert_eq!(eight_digits(u64::from_le_bytes(bytes)), None, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn the_first_byte_that_is_not_plain_is_found_in_every_place() {
        for byte in 0..=u8::MAX {
            let plain = !matches!(byte, b'"' | b'\\' | ..b' ');
            for place in 0..LEN {
                for filler in [b'a', b'!', 0x7F, 0x80, 0xFF] {
                    let mut bytes = [filler; LEN];
                    bytes[place] = byte;
                    let expected = if plain { LEN } else { place };
                    assert_eq!(plain_len(u64::from_le_bytes(bytes)), expected, "{bytes:?}");
                }
            }
        }
    }
}
