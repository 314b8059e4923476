//! Bodies over HTTP as payloads over MQTT.
//!
//! The two differ in three points: there is no token, the job document is a text that holds JSON
//! instead of JSON, and nobody notifies. The bytes around are passed on as they came, so that the
//! core's decoder sees what the service said, also where it is broken.

use std::fmt::Write as _;

use bytes::Bytes;
use jobs_proto::decode::{self, JobExecutionSummary};
use serde::de::IgnoredAny;

/// A payload with the token of its request as the first member.
///
/// `payload` must be an object; what begins otherwise is returned as it is, and is unreadable to
/// the core.
pub(super) fn with_token(token: Option<&str>, payload: &Bytes) -> Bytes {
    let Some(token) = token else {
        return payload.clone();
    };
    let Some(rest) = payload.trim_ascii_start().strip_prefix(b"{") else {
        return payload.clone();
    };
    let token = serde_json::Value::from(token).to_string();
    let empty = rest.trim_ascii_start().starts_with(b"}");
    let comma = if empty { "" } else { "," };
    let head = format!("{{\"clientToken\":{token}{comma}");
    [head.as_bytes(), rest].concat().into()
}

/// The payload of a `rejected` message.
pub(super) fn rejected(code: jobs_proto::ErrorCode) -> Bytes {
    format!("{{\"code\":\"{}\"}}", code.as_str()).into()
}

/// The payload about one execution, or about none: the document becomes JSON again, if it is any.
/// `None` if the body says nothing of the kind; one that is broken and yet names a job is passed on,
/// for the core to answer the job.
pub(super) fn execution(body: &Bytes) -> Option<Bytes> {
    body.trim_ascii_start().strip_prefix(b"{")?;
    match decode::describe_accepted(body) {
        Ok(message) => Some(
            message
                .execution
                .and_then(|execution| with_document(body, execution.job_document?))
                .unwrap_or_else(|| body.clone()),
        ),
        Err(error) => error.salvage.map(|_| body.clone()),
    }
}

/// `body` with what `quoted` says, which is a part of it.
fn with_document(body: &[u8], quoted: &[u8]) -> Option<Bytes> {
    let document: String = serde_json::from_slice(quoted).ok()?;
    // A text that is no JSON stays a text: put in bare, it could say anything about the job.
    serde_json::from_str::<IgnoredAny>(&document).ok()?;
    let start = quoted.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let head = body.get(..start)?;
    let tail = body.get(start.checked_add(quoted.len())?..)?;
    Some([head, document.as_bytes(), tail].concat().into())
}

/// Whether the body tells of an execution, be it in a form that cannot be read.
pub(super) fn names_an_execution(body: &[u8]) -> bool {
    decode::describe_accepted(body).map_or(true, |message| message.execution.is_some())
}

/// The lists, if the body holds them.
pub(super) fn list(body: &Bytes) -> Option<Bytes> {
    body.trim_ascii_start().strip_prefix(b"{")?;
    decode::get_pending_accepted(body).ok()?;
    Some(body.clone())
}

/// What the service would notify of, had it a way to: the lists as the payload of `notify`. And
/// whether a job is in progress.
pub(super) fn notify(list: &[u8]) -> Option<(Bytes, bool)> {
    let pending = decode::get_pending_accepted(list).ok()?;
    let mut text = String::from("{\"jobs\":{\"IN_PROGRESS\":[");
    lines(&mut text, pending.in_progress());
    text.push_str("],\"QUEUED\":[");
    lines(&mut text, pending.queued());
    text.push_str("]}}");
    Some((text.into(), pending.in_progress().next().is_some()))
}

fn lines<'a>(text: &mut String, lines: impl Iterator<Item = JobExecutionSummary<'a>>) {
    for (index, line) in lines.enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing to a String cannot fail; the id is made of letters, digits and `_-`.
        let _ = write!(text, "{{\"jobId\":\"{}\"", line.job_id.as_str());
        if let Some(number) = line.execution_number {
            let _ = write!(text, ",\"executionNumber\":{number}");
        }
        if let Some(at) = line.queued_at {
            let _ = write!(text, ",\"queuedAt\":{}", at.as_secs());
        }
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(body: &str) -> String {
        let payload = execution(&Bytes::copy_from_slice(body.as_bytes())).unwrap();
        String::from_utf8(with_token(Some("t\"1"), &payload).to_vec()).unwrap()
    }

    #[test]
    fn a_document_becomes_json_again_byte_for_byte() {
        let body = r#" {"execution":{"jobId":"j","status":"QUEUED","jobDocument":"{\"n\":1.50,\"s\":\"\u00e4\\n\"}","versionNumber":1}}"#;
        let wanted = r#"{"clientToken":"t\"1","execution":{"jobId":"j","status":"QUEUED","jobDocument":{"n":1.50,"s":"ä\n"},"versionNumber":1}}"#;
        assert_eq!(described(body), wanted);
        let payload = wanted.as_bytes();
        let message = decode::describe_accepted(payload).unwrap();
        assert!(message.client_token.unwrap().eq_str("t\"1"));
        let document = message.execution.unwrap().job_document.unwrap();
        assert_eq!(document, r#"{"n":1.50,"s":"ä\n"}"#.as_bytes());
    }

    #[test]
    fn a_document_that_is_no_json_cannot_speak_for_the_job() {
        for document in [
            r#"{},\"status\":\"SUCCEEDED\""#,
            r#"{\"a\":1}} "#,
            "",
            "not json",
            r"{\u0000}",
        ] {
            let body = format!(
                r#"{{"execution":{{"jobId":"j","status":"QUEUED","jobDocument":"{document}"}}}}"#
            );
            let payload = described(&body);
            let execution = decode::describe_accepted(payload.as_bytes())
                .unwrap()
                .execution
                .unwrap();
            assert_eq!(
                execution.status.known(),
                Some(jobs_proto::JobStatus::Queued)
            );
            let kept = execution.job_document.unwrap();
            assert!(
                kept.starts_with(b"\"") && kept.ends_with(b"\""),
                "{payload}"
            );
        }
    }

    #[test]
    fn an_idle_answer_and_one_with_a_bare_document_are_passed_on() {
        assert_eq!(described("{ }"), r#"{"clientToken":"t\"1" }"#);
        let bare = r#"{"execution":{"jobId":"j","status":"QUEUED","jobDocument":{"a":[]}}}"#;
        assert!(described(bare).ends_with(r#""jobDocument":{"a":[]}}}"#));
        assert_eq!(execution(&Bytes::from_static(b"<html>")), None);
    }

    #[test]
    fn the_lists_become_a_notification_that_the_core_reads_alike() {
        let body = br#"{"inProgressJobs":[{"jobId":"a","queuedAt":1719940994,"executionNumber":1}],
            "queuedJobs":[{"jobId":"b","queuedAt":1719941716.5},{"jobId":"c"}]}"#;
        let (payload, busy) = notify(body).unwrap();
        assert!(busy);
        let told = decode::notify(&payload).unwrap();
        let names = |lines: decode::Summaries<'_>| -> Vec<_> {
            lines
                .map(|line| {
                    (
                        line.job_id.as_str().to_owned(),
                        line.execution_number,
                        line.queued_at.map(|at| at.as_secs()),
                    )
                })
                .collect()
        };
        assert_eq!(
            names(told.in_progress()),
            [("a".into(), Some(1), Some(1_719_940_994))]
        );
        assert_eq!(
            names(told.queued()),
            [
                ("b".into(), None, Some(1_719_941_716)),
                ("c".into(), None, None)
            ]
        );
        let (payload, busy) = notify(b"{}").unwrap();
        assert!(!busy && decode::notify(&payload).is_ok());
    }
}
