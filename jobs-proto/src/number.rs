//! Decimal numbers in both directions, without the 64-bit division that small cores lack.

/// Digits that always fit a `u64`.
const SAFE_DIGITS: usize = 19;

/// Reads a plain decimal number; `None` for anything else or more than 19 digits.
pub(crate) fn unsigned(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    (leading(digits, &mut value) == digits.len() && value != NONE).then_some(value)
}

/// In place of a number that there is not: nineteen digits are less.
pub(crate) const NONE: u64 = u64::MAX;

/// How many digits a text begins with, and the number that they are: [`NONE`] if there are none or
/// more than 19.
#[cfg_attr(not(feature = "fast"), inline(never))]
pub(crate) fn leading(text: &[u8], value: &mut u64) -> usize {
    let mut number: u64 = 0;
    let mut len: usize = 0;
    let mut rest = text;
    #[cfg(feature = "fast")]
    if let Some((bytes, behind)) = text.split_first_chunk()
        && let Some(eight) = crate::swar::eight_digits(u64::from_le_bytes(*bytes))
    {
        (number, len, rest) = (eight, crate::swar::LEN, behind);
    }
    while let [byte, behind @ ..] = rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // Nineteen digits cannot overflow, and more do not count.
        number = ten_times(number).wrapping_add(u64::from(digit));
        len = len.wrapping_add(1);
        rest = behind;
    }
    *value = if len == 0 || len > SAFE_DIGITS {
        NONE
    } else {
        number
    };
    len
}

#[cfg(feature = "fast")]
const fn ten_times(value: u64) -> u64 {
    value.wrapping_mul(10)
}

/// By turning, which loses no bit of a small number: shifts would be made a multiplication again,
/// and small cores have none so wide.
#[cfg(not(feature = "fast"))]
const fn ten_times(value: u64) -> u64 {
    value.rotate_left(3).wrapping_add(value.rotate_left(1))
}

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A whole number with an optional minus.
    Int,
    /// A time in seconds. A fraction is cut off and milliseconds become seconds. Negative,
    /// exponential and endless values are none: a strange time never fails a message.
    Time,
}

/// From this many digits on a time counts milliseconds (the service sends ten digits; old
/// examples of the AWS IoT developer guide have thirteen).
const MILLIS_DIGITS_MIN: usize = 12;

/// Longer than this no time is believable.
const TIME_DIGITS_MAX: usize = 15;

/// Reads a number; `None` when it is none or does not fit.
#[cfg(feature = "fast")]
#[inline(always)]
pub(crate) fn read(text: &[u8], form: Form) -> Option<i64> {
    short(text).or_else(|| read_any(text, form))
}

/// Reads a number; `None` when it is none or does not fit.
#[cfg(not(feature = "fast"))]
pub(crate) fn read(text: &[u8], form: Form) -> Option<i64> {
    read_any(text, form)
}

#[inline(never)]
fn read_any(text: &[u8], form: Form) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1_i64, digits),
        digits => (0, digits),
    };
    let mut size = 0;
    let len = leading(digits, &mut size);
    let (whole, behind) = digits.split_at_checked(len)?;
    let mut fits = behind.is_empty();
    if form == Form::Time {
        if let [b'.', fraction @ ..] = behind {
            fits = leading(fraction, &mut 0) == fraction.len();
        }
        fits &= sign == 0 && len <= TIME_DIGITS_MAX;
        if len >= MILLIS_DIGITS_MIN {
            // Dropping three digits is the division by 1000 that small cores lack.
            leading(whole.get(..len.wrapping_sub(3))?, &mut size);
        }
    }
    // Turned over and one more is the negative.
    let value = (size.cast_signed() ^ sign).wrapping_sub(sign);
    // A sign that is not the one of the text shows that the number did not fit, or was none.
    (fits && (size == 0 || value ^ sign >= 0)).then_some(value)
}

/// Reads what most numbers are: digits that mean the same in every form, since they always fit and
/// count seconds as a time; `None` for others.
#[cfg(feature = "fast")]
#[inline(always)]
fn short(text: &[u8]) -> Option<i64> {
    if !matches!(text.len(), 1..MILLIS_DIGITS_MIN) {
        return None;
    }
    let mut number: i64 = 0;
    let mut rest = text;
    if let Some((bytes, behind)) = text.split_first_chunk() {
        number = crate::swar::eight_digits(u64::from_le_bytes(*bytes))?.cast_signed();
        rest = behind;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    Some(number)
}

/// Reads a whole number with an optional minus; `None` when it is none or does not fit.
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    read(text, Form::Int)
}

/// Divides by ten; returns what is left over.
#[cfg(feature = "fast")]
pub(crate) fn divide_by_10(value: &mut u64) -> u8 {
    let [left, ..] = (*value % 10).to_le_bytes();
    *value /= 10;
    left
}

/// Divides by ten, bit by bit; returns what is left over.
#[cfg(not(feature = "fast"))]
pub(crate) fn divide_by_10(value: &mut u64) -> u8 {
    let mut left: u8 = 0;
    for _ in 0..u64::BITS {
        left = (left << 1) | u8::from(*value >> 63 != 0);
        *value <<= 1;
        if left >= 10 {
            left = left.wrapping_sub(10);
            *value |= 1;
        }
    }
    left
}

#[cfg(all(test, feature = "fast"))]
mod tests {
    use super::{Form, read, read_any};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_way_reads(text in "[-+]?[0-9]{0,22}([.e][0-9]{0,3})?") {
            for form in [Form::Int, Form::Time] {
                let text = text.as_bytes();
                prop_assert_eq!(read(text, form), read_any(text, form));
            }
        }

        #[test]
        fn what_is_no_number_is_none_on_both_ways(text in prop::collection::vec(any::<u8>(), 0..13)) {
            for form in [Form::Int, Form::Time] {
                prop_assert_eq!(read(&text, form), read_any(&text, form));
            }
        }
    }

    #[test]
    fn every_byte_in_every_place_is_read_as_on_the_long_way() {
        for len in 1..12 {
            for place in 0..len {
                for byte in 0..=u8::MAX {
                    let mut text = [b'7'; 12];
                    text[place] = byte;
                    let text = &text[..len];
                    assert_eq!(
                        read(text, Form::Time),
                        read_any(text, Form::Time),
                        "{text:?}"
                    );
                }
            }
        }
    }
}
