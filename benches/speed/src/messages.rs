//! What arrives: one message of each kind, as small, as usual and as large as the service sends it.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// The thing of all topics.
pub const THING: &str = "pump-17";

/// A job id of usual length, and the longest one.
const JOB: &str = "fw-2-1";
const JOB_MAX: &str = "a2345678901234567890123456789012345678901234567890123456789_-z64";

/// Most bytes of a job document that the service takes.
pub const DOCUMENT_MAX: usize = 32 * 1024;

/// Most entries that a notification lists (developer guide: 15 with maintenance windows).
const ENTRIES_MAX: usize = 15;

/// A job as `notify-next`, with every member the service sends and a small document: 300 bytes.
#[must_use]
pub fn notify_next_300() -> Vec<u8> {
    execution(JOB, r#"{"operation":"blink","times":30}"#)
}

/// The same, with a document of 32 KiB: objects, arrays, numbers, texts with escapes.
#[must_use]
pub fn notify_next_mixed() -> Vec<u8> {
    execution(JOB_MAX, &mixed(DOCUMENT_MAX))
}

/// The same, with one long text as its document.
#[must_use]
pub fn notify_next_string() -> Vec<u8> {
    let around = r#"{"operation":"text","text":""}"#.len();
    let text = "x".repeat(DOCUMENT_MAX - around);
    execution(JOB, &format!(r#"{{"operation":"text","text":"{text}"}}"#))
}

/// The same, with an indented document in which half of the characters are not ASCII.
#[must_use]
pub fn notify_next_pretty() -> Vec<u8> {
    let mut document = String::from("{\n  \"operation\": \"übersetzen\"");
    for nth in 0.. {
        let line =
            format!(",\n  \"größe {nth}\": [\n    \"Überdruckventil № {nth}\",\n    {nth}\n  ]");
        if document.len() + line.len() + "\n}".len() > DOCUMENT_MAX {
            break;
        }
        document.push_str(&line);
    }
    document.push_str("\n}");
    execution(JOB, &document)
}

/// `notify-next` when nothing is pending.
#[must_use]
pub fn notify_next_none() -> Vec<u8> {
    br#"{"timestamp":1719948116}"#.to_vec()
}

/// Whole-message text of an execution; written by hand, so that the order is the service's.
fn execution(job: &str, document: &str) -> Vec<u8> {
    format!(
        concat!(
            r#"{{"timestamp":1719940994,"execution":{{"jobId":"{}","status":"IN_PROGRESS","#,
            r#""statusDetails":{{"a":"b"}},"queuedAt":1719940990,"startedAt":1719940992,"#,
            r#""lastUpdatedAt":1719940993,"approximateSecondsBeforeTimedOut":299,"#,
            r#""versionNumber":2,"executionNumber":1,"jobDocument":{}}}}}"#
        ),
        job, document
    )
    .into_bytes()
}

/// A document of nearly `limit` bytes as people write them.
fn mixed(limit: usize) -> String {
    let mut document = String::from(r#"{"operation":"configure","steps":["#);
    for nth in 0_u64.. {
        let mut step = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            step,
            concat!(
                r#"{}{{"name":"step {}","enabled":{},"retries":{},"ratio":{}.{}e-{},"#,
                r#""path":"C:\\data\\{}","url":"https://example.com/fw/{}?sig=Zm9v","#,
                r#""note":"say \"go\"\nthen wait","limits":[{},-{},null,{{"deep":[[{}]]}}]}}"#
            ),
            if nth == 0 { "" } else { "," },
            nth,
            nth % 2 == 0,
            nth % 7,
            nth,
            nth % 100,
            nth % 9,
            nth,
            nth * 7919,
            nth * 31,
            nth,
            nth
        );
        if document.len() + step.len() + "]}".len() > limit {
            break;
        }
        document.push_str(&step);
    }
    document.push_str("]}");
    document
}

fn entry(nth: usize) -> Value {
    json!({"jobId": format!("fw-2026-11-28-{nth:02}"), "queuedAt": 1_719_940_990, "startedAt": 1_719_940_992,
        "lastUpdatedAt": 1_719_940_994, "executionNumber": 1, "versionNumber": nth + 1})
}

/// `notify` with this many entries.
#[must_use]
pub fn notify(entries: usize) -> Vec<u8> {
    let all: Vec<Value> = (0..entries).map(entry).collect();
    let jobs = match all.split_first() {
        None => json!({}),
        Some((first, [])) => json!({"QUEUED": [first]}),
        Some((first, rest)) => json!({"IN_PROGRESS": [first], "QUEUED": rest}),
    };
    json!({"timestamp": 1_719_940_994, "jobs": jobs})
        .to_string()
        .into_bytes()
}

/// `get/accepted` with this many entries.
#[must_use]
pub fn pending(entries: usize) -> Vec<u8> {
    let all: Vec<Value> = (0..entries).map(entry).collect();
    let (running, queued) = all.split_at(entries.min(1));
    json!({"clientToken": "7b1e4a5c90d2f368-17", "timestamp": 1_719_940_994,
        "inProgressJobs": running, "queuedJobs": queued})
    .to_string()
    .into_bytes()
}

/// Most entries of a list.
#[must_use]
pub fn entries_max() -> usize {
    ENTRIES_MAX
}

/// Replies to updates: no state, the usual token, state with details and the document.
#[must_use]
pub fn update_accepted() -> [Vec<u8>; 3] {
    let details = details(10, 64);
    [
        br#"{"timestamp":1717395854}"#.to_vec(),
        br#"{"clientToken":"7b1e4a5c90d2f368-17","timestamp":1717395854}"#.to_vec(),
        format!(
            concat!(
                r#"{{"clientToken":"7b1e4a5c90d2f368-17","timestamp":1717395854,"executionState":"#,
                r#"{{"status":"IN_PROGRESS","statusDetails":{},"versionNumber":7}},"jobDocument":{}}}"#
            ),
            details,
            mixed(DOCUMENT_MAX)
        )
        .into_bytes(),
    ]
}

/// Refusals: no token, the usual one, with state.
#[must_use]
pub fn rejected() -> [Vec<u8>; 3] {
    [
        br#"{"code":"InvalidJson","timestamp":1719940632}"#.to_vec(),
        br#"{"code":"RequestThrottled","message":"Rate exceeded","clientToken":"7b1e4a5c90d2f368-17","timestamp":1719940632}"#.to_vec(),
        format!(
            concat!(
                r#"{{"code":"VersionMismatch","message":"expected 3, is 7","clientToken":"7b1e4a5c90d2f368-17","#,
                r#""timestamp":1719940632,"executionState":{{"status":"IN_PROGRESS","statusDetails":{},"versionNumber":7}}}}"#
            ),
            details(10, 1024)
        )
        .into_bytes(),
    ]
}

fn details(pairs: usize, value_len: usize) -> String {
    let pairs: Vec<String> = (0..pairs)
        .map(|nth| format!(r#""key{nth}":"{}""#, "v".repeat(value_len)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// `$next/get/accepted` and `start-next/accepted`: nothing pending, a small job, a large one.
#[must_use]
pub fn described() -> [Vec<u8>; 3] {
    let with_token = |message: Vec<u8>| {
        let mut reply = br#"{"clientToken":"7b1e4a5c90d2f368-17","#.to_vec();
        reply.extend(message.into_iter().skip(1));
        reply
    };
    [
        with_token(notify_next_none()),
        with_token(notify_next_300()),
        with_token(notify_next_mixed()),
    ]
}
