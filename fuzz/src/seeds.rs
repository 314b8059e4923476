//! Seeds: the protocol's fixtures, the golden record, and openings that lead far into the agent. The
//! corpora under `corpus/` hold what coverage found beyond them.

use std::path::PathBuf;

use serde_json::Value;

use crate::mutate::Rng;

/// Longest fixture that makes a seed, bytes: longer ones only slow a fuzzer down.
const SEED_LEN_MAX: usize = 1_200;

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The seeds of a target.
///
/// # Panics
/// If the fixtures are not there.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "topic" => topics(),
        "inbound" => payloads(),
        "record" => {
            let golden = repository().join("jobs-agent-core/src/record.v1.golden.bin");
            vec![std::fs::read(golden).expect("the golden record")]
        }
        "wire" => wire(),
        _ => random(target),
    }
}

/// The dictionary, as words.
///
/// # Panics
/// If the dictionary is not there or not well-formed.
#[must_use]
pub fn words() -> Vec<Vec<u8>> {
    let text =
        std::fs::read_to_string(repository().join("fuzz/jobs.dict")).expect("the dictionary");
    let lines = text.lines().filter(|line| line.starts_with('"'));
    lines
        .map(|line| {
            let inside = line
                .trim_matches('"')
                .replace("\\\"", "\"")
                .replace("\\\\", "\\");
            inside.into_bytes()
        })
        .collect()
}

fn fixtures() -> Vec<Value> {
    let folder = repository().join("jobs-proto/tests/fixtures");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("fixtures")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let text = |path: &PathBuf| std::fs::read(path).expect("a fixture");
    paths
        .iter()
        .map(|path| serde_json::from_slice(&text(path)).expect("a fixture is JSON"))
        .collect()
}

/// Every member with this name, anywhere in the fixtures.
fn collect(value: &Value, name: &str, found: &mut Vec<Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if key == name {
                    found.push(value.clone());
                }
                collect(value, name, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, name, found)),
        _ => {}
    }
}

fn payloads() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for fixture in fixtures() {
        for name in ["payload", "example"] {
            collect(&fixture, name, &mut found);
        }
    }
    let mut seeds: Vec<Vec<u8>> = found
        .iter()
        .filter(|payload| payload.is_object())
        .map(|payload| payload.to_string().into_bytes())
        .filter(|payload| payload.len() <= SEED_LEN_MAX)
        .collect();
    seeds.sort();
    seeds.dedup();
    assert!(seeds.len() > 20, "the fixtures moved");
    seeds
}

fn topics() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for fixture in fixtures() {
        collect(&fixture, "topic", &mut found);
    }
    let mut seeds: Vec<Vec<u8>> = found
        .iter()
        .filter_map(Value::as_str)
        .map(|topic| match topic.split_once("/jobs/") {
            Some((_, tail)) => [b"\0\x01", tail.as_bytes()].concat(),
            None => [b"\0\0", topic.as_bytes()].concat(),
        })
        .collect();
    seeds.sort();
    seeds.dedup();
    assert!(seeds.len() > 10, "the fixtures moved");
    seeds
}

fn wire() -> Vec<Vec<u8>> {
    let topic = b"$aws/things/pump-7/jobs/get";
    let mut publish = vec![0x30, 2 + topic.len() as u8 + 2, 0, topic.len() as u8];
    publish.extend_from_slice(topic);
    publish.extend_from_slice(b"{}");
    let mut subscribe = vec![0x82, 5 + topic.len() as u8, 0, 1, 0, topic.len() as u8];
    subscribe.extend_from_slice(topic);
    subscribe.push(1);
    let http =
        b"\x03\0\0GET /jobs?maxResults=5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec();
    let post = b"\x03\0\0PUT /things/pump-7/jobs/$next HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\
                 Authorization: AWS4-HMAC-SHA256 Credential=A/2/eu-west-1/iot-jobs-data/aws4_request\r\n\r\n{}"
        .to_vec();
    let greeted = |version: u8, bytes: &[u8]| [&[version, 0, 0], bytes].concat();
    vec![
        greeted(1, &publish),
        greeted(1, &subscribe),
        greeted(2, b"\xE0\x02\0\0"),
        http,
        post,
    ]
}

/// Targets that read choices: bytes from a fixed seed are as good an opening as any.
fn random(target: &str) -> Vec<Vec<u8>> {
    let mut rng = Rng(target.bytes().map(u64::from).sum());
    (0..40)
        .map(|number| (0..20 + 10 * number).map(|_| rng.next() as u8).collect())
        .collect()
}
