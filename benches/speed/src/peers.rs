//! The same fields, read by other crates: what each needs to give a job and its raw document.
//!
//! What they do less than `jobs-proto`: none checks the characters of the job id or the state's
//! name, and none but `serde_json` finds every fault in what it skips (a lone surrogate, bytes
//! that are not UTF-8); times must be whole numbers. A test holds their results together.

use jiter::{Jiter, JiterResult, NumberInt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use sonic_rs::LazyValue;

/// `notify-next`, as all but ours and rustot read it; `R` is a part that stays raw.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
pub struct Message<'a, R> {
    /// When it was sent.
    pub timestamp: u64,
    /// The job.
    #[serde(borrow)]
    pub execution: Option<Execution<'a, R>>,
}

/// One execution.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "R: Deserialize<'de>"))]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Execution<'a, R> {
    pub job_id: &'a str,
    pub status: &'a str,
    pub status_details: Option<R>,
    pub queued_at: u64,
    pub started_at: u64,
    pub last_updated_at: u64,
    pub approximate_seconds_before_timed_out: u32,
    pub version_number: i64,
    pub execution_number: i64,
    pub job_document: Option<R>,
}

/// `serde_json` with `&RawValue`.
#[must_use]
pub fn raw_value(message: &[u8]) -> Option<Message<'_, &RawValue>> {
    serde_json::from_slice(message).ok()
}

/// `sonic-rs` with `LazyValue`.
#[must_use]
pub fn sonic(message: &[u8]) -> Option<Message<'_, LazyValue<'_>>> {
    sonic_rs::from_slice(message).ok()
}

/// `serde-json-core`: it cannot give the raw document, so it only skips it.
#[must_use]
pub fn json_core(message: &[u8]) -> Option<Message<'_, IgnoredAny>> {
    let (read, _) = serde_json_core::from_slice(message).ok()?;
    Some(read)
}

/// rustot's own type; it cannot give the raw document, so it only skips it.
pub type Rustot<'a> = rustot::jobs::data_types::NextJobExecutionChanged<'a, IgnoredAny>;

/// rustot 0.4.1 by the JSON crate it takes.
#[must_use]
pub fn rustot(message: &[u8]) -> Option<Rustot<'_>> {
    let (read, _) = serde_json_core_04::from_slice(message).ok()?;
    Some(read)
}

/// `jiter`: skips and slices.
#[must_use]
pub fn jiter(message: &[u8]) -> Option<Message<'_, &[u8]>> {
    let mut reader = Jiter::new(message);
    let read = jiter_message(&mut reader).ok()?;
    reader.finish().ok()?;
    Some(read)
}

fn jiter_message<'a>(reader: &mut Jiter<'a>) -> JiterResult<Message<'a, &'a [u8]>> {
    let mut message = Message {
        timestamp: 0,
        execution: None,
    };
    let mut key = reader.next_object_bytes()?;
    while let Some(name) = key {
        match name {
            b"timestamp" => message.timestamp = number(reader)?,
            b"execution" => message.execution = Some(jiter_execution(reader)?),
            _ => reader.next_skip()?,
        }
        key = reader.next_key_bytes()?;
    }
    Ok(message)
}

fn jiter_execution<'a>(reader: &mut Jiter<'a>) -> JiterResult<Execution<'a, &'a [u8]>> {
    let mut job = Execution {
        job_id: "",
        status: "",
        status_details: None,
        queued_at: 0,
        started_at: 0,
        last_updated_at: 0,
        approximate_seconds_before_timed_out: 0,
        version_number: 0,
        execution_number: 0,
        job_document: None,
    };
    let mut key = reader.next_object_bytes()?;
    while let Some(name) = key {
        match name {
            b"jobId" => job.job_id = text(reader)?,
            b"status" => job.status = text(reader)?,
            b"statusDetails" => job.status_details = Some(raw(reader)?),
            b"queuedAt" => job.queued_at = number(reader)?,
            b"startedAt" => job.started_at = number(reader)?,
            b"lastUpdatedAt" => job.last_updated_at = number(reader)?,
            b"approximateSecondsBeforeTimedOut" => {
                job.approximate_seconds_before_timed_out = number(reader)?;
            }
            b"versionNumber" => job.version_number = number(reader)?,
            b"executionNumber" => job.execution_number = number(reader)?,
            b"jobDocument" => job.job_document = Some(raw(reader)?),
            _ => reader.next_skip()?,
        }
        key = reader.next_key_bytes()?;
    }
    Ok(job)
}

/// A whole number; 0 for one that does not fit, which the messages here do not have.
fn number<N: TryFrom<i64> + Default>(reader: &mut Jiter<'_>) -> JiterResult<N> {
    // Without jiter's `num-bigint` there is no other kind.
    let NumberInt::Int(value) = reader.next_int()?;
    Ok(N::try_from(value).unwrap_or_default())
}

fn raw<'a>(reader: &mut Jiter<'a>) -> JiterResult<&'a [u8]> {
    let peek = reader.peek()?;
    let start = reader.current_index();
    reader.known_skip(peek)?;
    Ok(reader.slice_to_current(start))
}

/// A text without escapes; its own result lives only until the next step.
fn text<'a>(reader: &mut Jiter<'a>) -> JiterResult<&'a str> {
    let quoted = raw(reader)?;
    let inside = quoted.get(1..quoted.len().saturating_sub(1));
    Ok(inside
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .unwrap_or_default())
}

/// The lists of `get/accepted`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Pending<'a> {
    pub client_token: &'a str,
    pub timestamp: u64,
    #[serde(borrow)]
    pub in_progress_jobs: Vec<Line<'a>>,
    pub queued_jobs: Vec<Line<'a>>,
}

/// One line of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Line<'a> {
    pub job_id: &'a str,
    pub queued_at: u64,
    pub started_at: Option<u64>,
    pub last_updated_at: u64,
    pub execution_number: i64,
    pub version_number: i64,
}

/// The lists by `serde_json`.
#[must_use]
pub fn pending_serde_json(message: &[u8]) -> Option<Pending<'_>> {
    serde_json::from_slice(message).ok()
}

/// The lists by `sonic-rs`.
#[must_use]
pub fn pending_sonic(message: &[u8]) -> Option<Pending<'_>> {
    sonic_rs::from_slice(message).ok()
}
