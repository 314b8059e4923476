//! The scanner agrees with serde_json on every short string.

use jobs_proto::document::Document;
use serde::de::IgnoredAny;

/// All that JSON is made of, one of each kind.
const ALPHABET: &[u8] = b"{}[]\",:\\1-0e.nu ";

/// Longest value, in bytes: 16^5 + … + 1 = 1 118 481 values.
const LEN_MAX: usize = 5;

fn ours(message: &[u8]) -> bool {
    Document(message).is_object()
}

fn theirs(message: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(message).is_ok()
}

#[test]
fn every_value_of_up_to_five_bytes_is_judged_as_by_serde_json() {
    let (mut judged, mut accepted) = (0_u32, 0_u32);
    for len in 0..=LEN_MAX {
        let mut message = b"{\"a\":".to_vec();
        let start = message.len();
        message.resize(start + len, 0);
        message.push(b'}');
        let mut digits = [0_usize; LEN_MAX];
        loop {
            for (at, digit) in digits.iter().take(len).enumerate() {
                message[start + at] = ALPHABET[*digit];
            }
            let verdict = ours(&message);
            assert_eq!(
                verdict,
                theirs(&message),
                "{:?}",
                String::from_utf8_lossy(&message)
            );
            judged += 1;
            accepted += u32::from(verdict);
            // Count up; the last place turns fastest.
            let turned = (0..len).rev().find(|&at| {
                digits[at] = (digits[at] + 1) % ALPHABET.len();
                digits[at] != 0
            });
            if turned.is_none() {
                break;
            }
        }
    }
    assert_eq!(judged, 1_118_481);
    assert!(accepted > 1_000, "{accepted}");
}
