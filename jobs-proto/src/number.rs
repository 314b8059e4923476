//! Decimal numbers in both directions, without the 64-bit division that small cores lack.

/// Digits that always fit a `u64`.
const SAFE_DIGITS: usize = 19;

/// The text without the quotes of a JSON string, if it has them.
pub(crate) fn unquoted(json: &[u8]) -> &[u8] {
    match json {
        [b'"', inside @ .., b'"'] => inside,
        bare => bare,
    }
}

/// Reads a plain decimal number; `None` for anything else or more than 19 digits.
pub(crate) fn unsigned(digits: &[u8]) -> Option<u64> {
    let (value, len) = leading(digits);
    (len == digits.len() && value != NONE).then_some(value)
}

/// In place of a number that there is not: nineteen digits are less.
pub(crate) const NONE: u64 = u64::MAX;

/// The number with which a text begins, and how many digits it has; [`NONE`] if it has none or
/// more than 19.
#[cfg_attr(not(feature = "fast"), inline(never))]
pub(crate) fn leading(text: &[u8]) -> (u64, usize) {
    let mut value: u64 = 0;
    let mut len: usize = 0;
    let mut rest = text;
    #[cfg(feature = "fast")]
    if let Some((bytes, behind)) = text.split_first_chunk()
        && let Some(number) = crate::swar::eight_digits(u64::from_le_bytes(*bytes))
    {
        (value, len, rest) = (number, crate::swar::LEN, behind);
    }
    while let [byte, behind @ ..] = rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // Nineteen digits cannot overflow, and more do not count.
        value = ten_times(value).wrapping_add(u64::from(digit));
        len = len.wrapping_add(1);
        rest = behind;
    }
    if len == 0 || len > SAFE_DIGITS {
        value = NONE;
    }
    (value, len)
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

/// Reads a whole number with an optional minus; `None` when it is none or does not fit.
#[cfg_attr(not(feature = "fast"), inline(never))]
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let size = unsigned(digits)?;
    let value = if negative {
        0_i64.wrapping_sub_unsigned(size)
    } else {
        0_i64.wrapping_add_unsigned(size)
    };
    // A sign that is not the one of the text shows that the number did not fit.
    (size == 0 || negative == value.is_negative()).then_some(value)
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
