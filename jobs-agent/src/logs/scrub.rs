//! Taking secrets out of text, line by line.
//!
//! What is recognised: values behind names such as `password` (in `a=b`, `"a": "b"` and `a: b`),
//! credentials behind `Authorization`, AWS access key ids, private keys in PEM form, and the
//! queries of presigned URLs. What a program writes in another way is not recognised.

use agent_std::redact::{REDACTED, redact};

/// Names whose values are secret, as parts of longer names, too (`db_password`).
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "api_key",
    "api-key",
    "apikey",
    "private_key",
    "access_key",
    "authorization",
];

/// What AWS access key ids begin with (IAM user guide, "IAM identifiers"), and their whole length.
const KEY_IDS: [&str; 2] = ["AKIA", "ASIA"];
const KEY_ID_LEN: usize = 20;

/// Bytes by which a name may be longer than one of [`NAMES`].
const NAME_REST_MAX: usize = 64;

/// The text without what looks like a secret; what is no UTF-8 in it is replaced.
pub(super) fn scrub(bytes: &[u8], more: &[String]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let more: Vec<String> = more.iter().map(|name| name.to_ascii_lowercase()).collect();
    let names: Vec<&str> = NAMES
        .into_iter()
        .chain(more.iter().map(String::as_str))
        .filter(|name| !name.is_empty())
        .collect();
    let mut clean = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
        let ends = line.contains("-----END");
        if begins && !in_key {
            clean.push_str(REDACTED);
            clean.push('\n');
        }
        if begins || in_key {
            in_key = !ends;
            continue;
        }
        clean.push_str(&key_ids(&values(&redact(line), &names)));
    }
    clean
}

/// Replaces what stands behind one of the names. One pass: whoever writes the log must not decide
/// how long it takes.
fn values(line: &str, names: &[&str]) -> String {
    // Of the same length, byte by byte.
    let lower = line.to_ascii_lowercase();
    let lower = lower.as_bytes();
    let mut clean = String::with_capacity(line.len());
    let (mut copied, mut at) = (0, 0);
    while let Some(rest) = lower.get(at..).filter(|rest| !rest.is_empty()) {
        let here = names
            .iter()
            .filter(|name| rest.starts_with(name.as_bytes()));
        let Some(name) = here.max_by_key(|name| name.len()) else {
            at += 1;
            continue;
        };
        at += name.len();
        if let Some((start, end)) = value(line, at, *name == "authorization") {
            clean.push_str(line.get(copied..start).unwrap_or_default());
            clean.push_str(REDACTED);
            (copied, at) = (end, end);
        }
    }
    clean.push_str(line.get(copied..).unwrap_or_default());
    clean
}

/// Where the value behind a name begins and ends.
fn value(line: &str, from: usize, whole: bool) -> Option<(usize, usize)> {
    let rest = line.get(from..)?;
    // The name may go on: `password_hash`, `tokens`.
    let ends = |byte: u8| !(byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let name_end = rest.bytes().take(NAME_REST_MAX).position(ends)?;
    let blank = |c: char| c == ' ' || c == '\t' || c == '"' || c == '\'' || c == '\\';
    let after = rest.get(name_end..)?;
    let sign = after.trim_start_matches(blank);
    let sign = sign.strip_prefix([':', '='])?;
    // `:=` and `=>`.
    let sign = sign.trim_start_matches(['=', '>']);
    let value = sign.trim_start_matches(blank);
    let start = line.len() - value.len();
    let quote = line.get(..start)?.chars().next_back();
    let end = match quote {
        _ if whole => value.trim_end_matches(['\r', '\n']).len(),
        Some(quote @ ('"' | '\'')) => {
            let end = value.find(quote);
            end.unwrap_or_else(|| value.trim_end().len())
        }
        _ => {
            let end = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | '"' | '}' | ')');
            value.find(end).unwrap_or(value.len())
        }
    };
    (end > 0).then_some((start, start + end))
}

/// Replaces AWS access key ids.
fn key_ids(line: &str) -> String {
    let bytes = line.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let mut clean = String::with_capacity(line.len());
    let (mut copied, mut at) = (0, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let begins = KEY_IDS
            .iter()
            .any(|start| rest.starts_with(start.as_bytes()));
        let whole = rest
            .get(..KEY_ID_LEN)
            .is_some_and(|id| id.iter().all(plain));
        if begins && whole {
            clean.push_str(line.get(copied..at).unwrap_or_default());
            clean.push_str(REDACTED);
            at += KEY_ID_LEN;
            copied = at;
        } else {
            at += 1;
        }
    }
    clean.push_str(line.get(copied..).unwrap_or_default());
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_however_they_are_written() {
        for (line, clean) in [
            ("password=hunter2 user=a", "password=[redacted] user=a"),
            (
                "DB_PASSWORD = \"two words\";",
                "DB_PASSWORD = \"[redacted]\";",
            ),
            (
                r#"{"token":"abc","n":1}"#,
                r#"{"token":"[redacted]","n":1}"#,
            ),
            (
                "{\\\"secret\\\": \\\"abc\\\"}",
                "{\\\"secret\\\": \\\"[redacted]\"}",
            ),
            ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
            ("api_key: 'k1', x: 2", "api_key: '[redacted]', x: 2"),
            ("a?token=t1&b=2", "a?token=[redacted]&b=2"),
            ("id AKIAIOSFODNN7EXAMPLE used", "id [redacted] used"),
            ("pin: 1234", "pin: [redacted]"),
            ("no secret in sight", "no secret in sight"),
            ("the token was refused", "the token was refused"),
            ("token=", "token="),
        ] {
            let found = scrub(line.as_bytes(), &["PIN".to_owned()]);
            // Inside escaped quotes the backslash before the closing one goes with the value.
            assert_eq!(found, clean, "{line}");
        }
    }

    #[test]
    fn a_private_key_and_a_presigned_url_do_not_pass() {
        let text = "before\n-----BEGIN EC PRIVATE KEY-----\nMHcC\nAQEE\n-----END EC PRIVATE KEY-----\n\
                    GET https://b.s3.amazonaws.com/f?X-Amz-Signature=5ec2e7\n";
        let clean = scrub(text.as_bytes(), &[]);
        assert_eq!(
            clean,
            "before\n[redacted]\nGET https://b.s3.amazonaws.com/f?[redacted]\n"
        );
    }

    #[test]
    fn a_log_made_to_be_slow_is_not() {
        // One line each, in which whatever is quadratic would take minutes.
        for piece in [
            "token",
            "token=",
            "token ",
            "AKIA",
            "password: ",
            "\"",
            "token=\"a\" ",
        ] {
            let text = piece.repeat(200_000 / piece.len());
            assert!(!scrub(text.as_bytes(), &[]).is_empty());
        }
        let ids = "AKIAIOSFODNN7EXAMPLE ".repeat(10_000);
        assert!(!scrub(ids.as_bytes(), &[]).contains("AKIA"));
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let clean = scrub(b"\xff\xfe\0 password=\xf0\x9f\x92\xa9x y\n", &[]);
        assert_eq!(clean, "\u{FFFD}\u{FFFD}\0 password=[redacted] y\n");
    }
}
