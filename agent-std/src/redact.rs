//! Log text without the secrets that presigned URLs carry.
//!
//! A job document usually holds presigned URLs. Whoever reads one can fetch the object until it
//! expires, so no query string of such a URL may reach a log. Which queries are secret is decided
//! by their parameter names:
//!
//! * `X-Amz-…`: Signature Version 4 ("Authenticating Requests: Using Query Parameters", Amazon S3
//!   API reference);
//! * `Signature`: Signature Version 2 and CloudFront signed URLs;
//! * `sig`, `token`, `access_token`, `X-Goog-…`: what other object stores use for the same purpose.

use std::borrow::Cow;

/// What stands in a log for a query string that was taken out.
pub const REDACTED: &str = "[redacted]";

/// Parameter names, in lower case, that make a query secret; a trailing `-` matches any rest.
const SECRET_NAMES: [&str; 6] = [
    "x-amz-",
    "x-goog-",
    "signature",
    "sig",
    "token",
    "access_token",
];

/// Takes the query (and fragment) out of every presigned URL in `text`.
///
/// `text` may be anything: prose, a JSON document (with `/` plain or escaped as `\/` or `\u002f`,
/// `&` plain or escaped as `\u0026`), several URLs. Borrows when there is nothing to hide.
///
/// ```
/// use agent_std::redact::redact;
///
/// let line = "GET https://bucket.s3.amazonaws.com/fw.bin?X-Amz-Signature=5ec2e7 failed";
/// assert_eq!(redact(line), "GET https://bucket.s3.amazonaws.com/fw.bin?[redacted] failed");
/// ```
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut copied = 0;
    let mut from = 0;
    while let Some(start) = next_url(text, from) {
        let end = start + url_length(&text[start..]);
        if let Some(query) = query_start(&text[start..end])
            && is_secret(&text[start + query..end])
        {
            clean.push_str(&text[copied..start + query]);
            clean.push_str(REDACTED);
            copied = end;
        }
        from = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

/// Where the next `http://` or `https://` begins, however its slashes and colon are written.
fn next_url(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    (from..bytes.len()).find(|&at| {
        let Some(rest) = strip_word(&bytes[at..], b"http") else {
            return false;
        };
        let rest = strip_word(rest, b"s").unwrap_or(rest);
        strip_char(rest, b':')
            .and_then(|rest| strip_char(rest, b'/'))
            .and_then(|rest| strip_char(rest, b'/'))
            .is_some()
    })
}

/// How long the URL at the start of `text` is: up to what cannot stand in a URL.
fn url_length(text: &str) -> usize {
    text.find(|c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`')
    })
    .map_or(text.len(), |end| {
        // In JSON inside a JSON string, the closing quote is written `\"`.
        text[..end].trim_end_matches('\\').len()
    })
}

/// Where the query begins, after its `?` (plain or escaped).
fn query_start(url: &str) -> Option<usize> {
    let plain = url.find('?').map(|at| at + 1);
    let escaped = find_ignoring_case(url, "\\u003f").map(|at| at + 6);
    match (plain, escaped) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Whether a parameter of this query has a secret's name.
fn is_secret(query: &str) -> bool {
    // Percent-encoding and JSON escapes in a name would hide it from us but not from a server, so
    // both are undone first. What is left over by a wrong guess here only hides more.
    let plain = plain_names(query);
    plain.split(['&', ';', '?', '#']).any(|parameter| {
        let name = parameter.split('=').next().unwrap_or("").trim();
        SECRET_NAMES
            .iter()
            .any(|secret| match secret.strip_suffix('-') {
                Some(_) => name.starts_with(secret),
                None => name == *secret,
            })
    })
}

/// The query in lower case, with `%XX` and `\u00XX` of ASCII characters undone.
fn plain_names(query: &str) -> String {
    let mut plain = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let escape = ["\\u00", "\\U00", "%"].iter().find_map(|lead| {
            let digits = rest.strip_prefix(lead)?.get(..2)?;
            let code = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)?;
            Some((lead.len() + 2, char::from(code)))
        });
        let (length, character) = escape.unwrap_or_else(|| (first.len_utf8(), first));
        plain.push(character.to_ascii_lowercase());
        rest = &rest[length..];
    }
    plain
}

fn find_ignoring_case(text: &str, ascii: &str) -> Option<usize> {
    text.as_bytes()
        .windows(ascii.len())
        .position(|w| w.eq_ignore_ascii_case(ascii.as_bytes()))
}

fn strip_word<'t>(text: &'t [u8], word: &[u8]) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

/// Takes one character off, written plainly, after backslashes, or as `\u00XX`.
fn strip_char(text: &[u8], wanted: u8) -> Option<&[u8]> {
    let slashes = text.iter().take_while(|&&byte| byte == b'\\').count();
    let rest = &text[slashes..];
    if let Some((&first, after)) = rest.split_first()
        && first == wanted
    {
        return Some(after);
    }
    if slashes == 0 {
        return None;
    }
    strip_word(rest, format!("u00{wanted:02x}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://b.s3.eu-west-1.amazonaws.com/fw.bin";
    const QUERY: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20261120\
                         &X-Amz-Signature=0123456789abcdef";

    #[test]
    fn text_without_a_secret_is_borrowed() {
        for text in [
            "",
            "no url",
            "see https://example.org/a?page=2&q=x",
            "http",
            "https://",
            "é?",
        ] {
            assert!(
                matches!(redact(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn a_presigned_url_loses_its_query_and_nothing_else() {
        let text = format!("before {URL}?{QUERY} after");
        assert_eq!(redact(&text), format!("before {URL}?[redacted] after"));
    }

    #[test]
    fn every_url_of_a_document_is_looked_at() {
        let text = format!(
            r#"{{"a":"{URL}?{QUERY}","b":"https://example.org/?page=2","c":["{URL}?{QUERY}"]}}"#
        );
        let expected = format!(
            r#"{{"a":"{URL}?[redacted]","b":"https://example.org/?page=2","c":["{URL}?[redacted]"]}}"#
        );
        assert_eq!(redact(&text), expected);
    }

    #[test]
    fn escaped_slashes_and_ampersands_of_json_do_not_hide_a_url() {
        for (url, query) in [
            (URL.replace('/', r"\/"), QUERY.to_owned()),
            (URL.replace('/', r"\u002F"), QUERY.replace('&', r"\u0026")),
            (
                URL.replace(':', r"\u003a"),
                format!("a=1{}{QUERY}", r"\u0026"),
            ),
        ] {
            let text = format!(r#"{{"url":"{url}?{query}","n":1}}"#);
            assert_eq!(
                redact(&text),
                format!(r#"{{"url":"{url}?[redacted]","n":1}}"#)
            );
        }
    }

    #[test]
    fn an_escaped_question_mark_starts_a_query_too() {
        let text = format!(r#""{URL}\u003F{QUERY}""#);
        assert_eq!(redact(&text), format!(r#""{URL}\u003F[redacted]""#));
    }

    #[test]
    fn json_inside_a_json_string_keeps_its_quotes() {
        let text = format!(r#"{{"document":"{{\"url\":\"{URL}?{QUERY}\"}}"}}"#);
        assert_eq!(
            redact(&text),
            format!(r#"{{"document":"{{\"url\":\"{URL}?[redacted]\"}}"}}"#)
        );
    }

    #[test]
    fn other_signed_urls_lose_their_query() {
        for query in [
            "Expires=1&Signature=abc",
            "token=abc",
            "sv=1&sig=abc",
            "access_token=a",
        ] {
            let text = format!("http://cdn.example.org/f?{query}");
            assert_eq!(redact(&text), "http://cdn.example.org/f?[redacted]");
        }
    }

    #[test]
    fn encoded_parameter_names_and_other_cases_are_recognised() {
        for query in [
            "x-amz-signature=abc",
            "X%2DAmz%2DSignature=abc",
            "SIGNATURE=abc",
        ] {
            let text = format!("HTTPS://cdn.example.org/f?{query}");
            assert_eq!(redact(&text), "HTTPS://cdn.example.org/f?[redacted]");
        }
    }

    #[test]
    fn a_name_that_only_contains_a_secret_name_is_left_alone() {
        let text = "https://example.org/?design=a&tokens=3&x-amzn=1";
        assert_eq!(redact(text), text);
    }

    #[test]
    fn non_ascii_text_around_and_inside_is_kept() {
        let text = format!("größe ✓ {URL}?é=%zz&{QUERY}… ✓");
        assert_eq!(redact(&text), format!("größe ✓ {URL}?[redacted] ✓"));
    }

    #[test]
    fn cutting_a_line_anywhere_never_panics_and_never_shows_the_signature() {
        let text = format!(r#"ü {{"u":"{}?{QUERY}"}} ü"#, URL.replace('/', r"\/"));
        for start in (0..text.len()).filter(|&at| text.is_char_boundary(at)) {
            let shown = redact(&text[start..]).into_owned();
            // Once the beginning of the URL itself is cut off, nothing marks it as one.
            if start <= text.find("http").unwrap() {
                assert!(!shown.contains("0123456789abcdef"), "{shown}");
            }
        }
    }
}
