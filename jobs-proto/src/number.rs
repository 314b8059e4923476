//! Decimal numbers in both directions, without the 64-bit division that small cores lack.

/// Digits of `u64::MAX`.
pub(crate) const DIGITS_MAX: usize = 20;

/// Digits that always fit a `u64`.
const SAFE_DIGITS: usize = 19;

/// The text without the quotes of a JSON string, if it has them.
pub(crate) fn unquoted(json: &[u8]) -> &[u8] {
    json.strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""))
        .unwrap_or(json)
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

/// Writes the digits of `value` to the end of `out` and returns how many zeros lead them.
///
/// Works in decimal from the top bit down: double every digit, carry, add the bit.
pub(crate) fn digits(value: u64, out: &mut [u8; DIGITS_MAX]) -> usize {
    *out = [0; DIGITS_MAX];
    let mut bits = value;
    for _ in 0..u64::BITS {
        let mut carry = u8::from(bits >> 63 != 0);
        bits <<= 1;
        if carry == 0 && out.last() == Some(&0) && out.iter().all(|digit| *digit == 0) {
            continue;
        }
        for digit in out.iter_mut().rev() {
            let doubled = (*digit << 1) | carry;
            carry = u8::from(doubled >= 10);
            *digit = if carry == 1 {
                doubled.wrapping_sub(10)
            } else {
                doubled
            };
        }
    }
    let zeros = out
        .iter()
        .position(|digit| *digit != 0)
        .unwrap_or(DIGITS_MAX.wrapping_sub(1));
    for digit in out.iter_mut() {
        *digit |= b'0';
    }
    zeros
}
