//! Decimal numbers in both directions, without the 64-bit division that small cores lack.

/// Digits of `u64::MAX`.
pub(crate) const DIGITS_MAX: usize = 20;

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
    if digits.is_empty() || digits.len() > SAFE_DIGITS {
        return None;
    }
    let mut value: u64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Nineteen digits cannot overflow; ten times as shifts, because the target may have no
        // wide multiplication.
        value = (value << 3)
            .wrapping_add(value << 1)
            .wrapping_add(u64::from(digit));
    }
    Some(value)
}

/// Reads a whole number with an optional minus; `None` when it is none or does not fit.
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        None => i64::try_from(unsigned(text)?).ok(),
    }
}

/// Writes the digits of `value` to the end of `out` and returns them.
pub(crate) fn print(value: u64, out: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut value = value;
    let mut len: usize = 0;
    for place in out.iter_mut().rev() {
        let digit = divide_by_10(&mut value);
        *place = b'0' | digit;
        len = len.wrapping_add(1);
        if value == 0 {
            break;
        }
    }
    out.get(DIGITS_MAX.wrapping_sub(len)..).unwrap_or(&[])
}

/// Divides bit by bit; returns what is left over.
fn divide_by_10(value: &mut u64) -> u8 {
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
