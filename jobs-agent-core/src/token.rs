//! Request tokens: unique within a run of the agent and over its restarts (P9).
//!
//! `{entropy:16 hex digits}-{counter:8 hex digits}`: well under the 64 bytes the service echoes.

use heapless::String;
use jobs_proto::EscapedStr;

/// Bytes of a token of ours.
const TOKEN_LEN: usize = 25;

/// Digits before the dash.
const ENTROPY_DIGITS: u8 = 16;

/// A token as text.
pub(crate) type Token = String<TOKEN_LEN, u16>;

/// The text of token number `counter` of the process with this entropy.
pub(crate) fn text(entropy: u64, counter: u32) -> Token {
    let mut text = Token::new();
    write(&mut text, entropy, counter);
    text
}

// In the caller's place, so that it is not moved.
#[inline(never)]
fn write(text: &mut Token, entropy: u64, counter: u32) {
    let mut bits = entropy;
    // Capacity holds all characters; a push cannot fail.
    while text.push(digit(bits)).is_ok() {
        bits <<= u8::BITS >> 1;
        if text.len() == usize::from(ENTROPY_DIGITS) {
            let _ = text.push('-');
            bits = u64::from(counter) << u32::BITS;
        }
    }
}

/// Whether `echoed` is token number `counter` of the process with this entropy.
pub(crate) fn matches(entropy: u64, counter: u32, echoed: Option<EscapedStr<'_>>) -> bool {
    echoed.is_some_and(|echoed| echoed.eq_str(&text(entropy, counter)))
}

/// The highest four bits, as a hexadecimal digit.
fn digit(bits: u64) -> char {
    let [.., high] = bits.to_le_bytes();
    char::from_digit(u32::from(high >> 4), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_process_and_its_number() {
        assert_eq!(text(0x0123_4567_89AB_CDEF, 0), "0123456789abcdef-00000000");
        assert_eq!(text(1, 0x1F), "0000000000000001-0000001f");
        assert_eq!(text(u64::MAX, u32::MAX).len(), TOKEN_LEN);
    }
}
