//! The fixtures, with their members in the order of the captures.
#![allow(dead_code, reason = "each test binary uses a part")]

use jobs_proto::document::Document;
use serde_json::Value;

/// One message of a fixture file.
pub(crate) struct Example {
    pub(crate) name: String,
    pub(crate) topic: Option<String>,
    /// Compact JSON, members in the order of the file.
    pub(crate) payload: Vec<u8>,
    /// The same, read by serde_json.
    pub(crate) value: Value,
}

pub(crate) fn text(file: &str) -> String {
    let path = format!("{}/tests/fixtures/{file}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("fixture")
}

pub(crate) fn json(file: &str) -> Value {
    serde_json::from_str(&text(file)).expect("fixture is JSON")
}

/// Drops white space outside of strings and expands the place-holder for the largest document.
pub(crate) fn compact(pretty: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut inside, mut escaped) = (false, false);
    for &byte in pretty {
        if inside || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        match byte {
            b'"' if !escaped => inside = !inside,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    let document = format!("{{\"blob\":\"{}\"}}", "A".repeat(32_757));
    assert_eq!(document.len(), jobs_proto::limits::DOCUMENT_LEN_MAX);
    String::from_utf8(out)
        .expect("UTF-8")
        .replace("\"$DOC_32768\"", &document)
        .into_bytes()
}

fn listed(file: &str, list: &str) -> Vec<Example> {
    let text = text(file);
    let oracle = json(file);
    let Some(elements) = Document(text.as_bytes()).array_field(list) else {
        assert!(
            oracle.get(list).is_none(),
            "{file} has {list}, but it was not found"
        );
        return Vec::new();
    };
    let examples: Vec<Example> = elements
        .enumerate()
        .map(|(index, raw)| {
            let expected = &oracle[list][index];
            let raw = Document(raw).raw_field("payload").expect("payload");
            let payload = compact(raw);
            let value: Value = serde_json::from_slice(&payload).expect("payload is JSON");
            Example {
                name: format!("{file}/{list}[{index}] {}", expected["name"]),
                topic: expected["topic"].as_str().map(String::from),
                payload,
                value,
            }
        })
        .collect();
    assert_eq!(
        examples.len(),
        oracle[list].as_array().expect("array").len()
    );
    examples
}

pub(crate) fn examples(file: &str) -> Vec<Example> {
    let examples = listed(file, "examples");
    assert!(!examples.is_empty());
    examples
}

pub(crate) fn tolerated(file: &str) -> Vec<Example> {
    listed(file, "tolerate")
}

pub(crate) fn all(file: &str) -> Vec<Example> {
    let mut all = examples(file);
    all.extend(tolerated(file));
    all
}
