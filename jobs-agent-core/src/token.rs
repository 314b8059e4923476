//! Request tokens: unique within a run of the agent and over its restarts (P9).
//!
//! `{entropy:16 hex digits}-{counter:1 to 8 hex digits}`: 25 bytes at most, well under the 64 the
//! service echoes.

use heapless::String;
use jobs_proto::EscapedStr;

/// Most bytes of a token of ours.
pub(crate) const TOKEN_LEN_MAX: usize = 25;

/// A token as text.
pub(crate) type TokenText = String<TOKEN_LEN_MAX>;

/// The text of token number `counter` of the process with this entropy.
pub(crate) fn text(entropy: u64, counter: u32) -> TokenText {
    let mut text = String::new();
    for shift in (0..16u32).rev() {
        push_nibble(&mut text, entropy >> shift.saturating_mul(4));
    }
    // Capacity holds all 25 characters; a push cannot fail.
    let _ = text.push('-');
    let mut started = false;
    for shift in (0..8u32).rev() {
        let nibble = u64::from(counter) >> shift.saturating_mul(4);
        started = started || nibble & 0xF != 0 || shift == 0;
        if started {
            push_nibble(&mut text, nibble);
        }
    }
    text
}

/// Whether `echoed` is token number `counter` of the process with this entropy.
pub(crate) fn matches(entropy: u64, counter: u32, echoed: Option<EscapedStr<'_>>) -> bool {
    echoed.is_some_and(|echoed| echoed.eq_str(&text(entropy, counter)))
}

fn push_nibble(text: &mut TokenText, value: u64) {
    let digit = u32::try_from(value & 0xF).unwrap_or(0);
    let _ = text.push(char::from_digit(digit, 16).unwrap_or('0'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_process_and_its_number() {
        assert_eq!(text(0x0123_4567_89AB_CDEF, 0), "0123456789abcdef-0");
        assert_eq!(text(1, 0x1F), "0000000000000001-1f");
        assert_eq!(text(u64::MAX, u32::MAX).len(), TOKEN_LEN_MAX);
    }
}
