//! Broken, cut and malicious messages: never a panic, and the job id whenever it can be told.

mod support;

use jobs_proto::decode::{self, DecodeError, ErrorKind, Salvage};
use jobs_proto::document::Document;
use jobs_proto::limits::MQTT_PAYLOAD_LEN_MAX;
use jobs_proto::{EpochSeconds, ThingName, WireStatus, topic};

fn failure(payload: &[u8]) -> DecodeError<'_> {
    decode::notify_next(payload).expect_err("broken message")
}

fn salvage(payload: &[u8]) -> Salvage<'_> {
    failure(payload).salvage.expect("salvage")
}

/// A message whose document is `document`, which stands last, as AWS sends it.
fn with_document(document: &[u8]) -> Vec<u8> {
    let mut message = br#"{"clientToken":"t1","timestamp":5,"execution":{"jobId":"job-7","status":"QUEUED","queuedAt":4,"executionNumber":9,"jobDocument":"#.to_vec();
    message.extend_from_slice(document);
    message.extend_from_slice(b"}}");
    message
}

/// The same with the document first.
fn document_first(document: &[u8]) -> Vec<u8> {
    let mut message = br#"{"execution":{"jobDocument":"#.to_vec();
    message.extend_from_slice(document);
    message.extend_from_slice(
        br#","jobId":"job-7","queuedAt":4,"executionNumber":9},"clientToken":"t1"}"#,
    );
    message
}

fn assert_job_7(message: &[u8], kind: ErrorKind) {
    let error = failure(message);
    assert_eq!(error.kind, kind, "{}", String::from_utf8_lossy(message));
    let salvage = error.salvage.expect("salvage");
    assert_eq!(salvage.job_id.as_str(), "job-7");
    assert_eq!(salvage.execution_number, Some(9));
    assert_eq!(salvage.queued_at, Some(EpochSeconds(4)));
    assert!(salvage.client_token.expect("token").eq_str("t1"));
}

#[test]
fn a_broken_document_leaves_the_job_id_wherever_it_stands() {
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    for (document, kind) in [
        (&b"{\"a\":xyz}"[..], ErrorKind::Syntax),
        (b"{\"a\":01}", ErrorKind::Syntax),
        (b"{\"a\":\"\\ud800\"}", ErrorKind::Syntax),
        (b"{\"a\":\"\\udc00\"}", ErrorKind::Syntax),
        (b"{\"a\":\"\\ud800\\u0041\"}", ErrorKind::Syntax),
        (b"{\"a\":\"\x01\"}", ErrorKind::Syntax),
        (b"{\"a\":\"\\x\"}", ErrorKind::Syntax),
        (b"{\"a\":\"\xff\"}", ErrorKind::Utf8),
        // What stands in a text opens and closes nothing.
        (b"{\"a\":xyz,\"b\":\"]}\\\"]}{\"}", ErrorKind::Syntax),
        (b"{\"\xc3\x28\":1}", ErrorKind::Utf8),
        (deep.as_bytes(), ErrorKind::TooDeep),
    ] {
        assert_job_7(&with_document(document), kind);
        assert_job_7(&document_first(document), kind);
    }
}

#[test]
fn a_fault_is_reported_where_it_is() {
    let message = with_document(b"{\"a\":xyz}");
    let at = message
        .windows(3)
        .position(|bytes| bytes == b"xyz")
        .unwrap();
    assert_eq!(failure(&message).offset, at);
    let message = with_document(b"{\"a\":\"ok\xff\"}");
    let at = message.iter().position(|byte| *byte == 0xFF).unwrap();
    assert_eq!(failure(&message).offset, at);
}

#[test]
fn a_member_that_is_missing_is_missed_where_the_execution_begins() {
    let message = br#"{"execution":{"statusDetails":{},"status":"QUEUED","queuedAt":1}}"#;
    let error = failure(message);
    assert_eq!(error.kind, ErrorKind::MissingField);
    assert_eq!(error.offset, "{\"execution\":".len());
}

#[test]
fn a_job_id_inside_the_document_is_never_taken_for_the_job() {
    let document = br#"{"execution":{"jobId":"evil"},"jobId":"evil","a":xyz}"#;
    assert_job_7(&with_document(document), ErrorKind::Syntax);
    assert_job_7(&document_first(document), ErrorKind::Syntax);
    let without = br#"{"execution":{"jobDocument":{"jobId":"evil","a":xyz}}}"#;
    assert_eq!(failure(without).salvage, None);
}

#[test]
fn what_stood_before_the_fault_is_not_counted_twice() {
    let message = br#"{"clientToken":"t1","execution":{"queuedAt":4,"jobDocument":{"a":xyz},"jobId":"job-7","executionNumber":9}}"#;
    assert_job_7(message, ErrorKind::Syntax);
}

#[test]
fn a_job_id_outside_of_the_execution_is_never_taken_for_the_job() {
    let message = br#"{"other":{"jobId":"evil"},"execution":{"jobDocument":{"a":xyz}}}"#;
    assert_eq!(failure(message).salvage, None);
    let message = br#"{"other":{"jobId":"evil"},"execution":{"jobDocument":{"a":xyz},"jobId":"good"},"more":{"jobId":"evil"}}"#;
    assert_eq!(salvage(message).job_id.as_str(), "good");
}

#[test]
fn an_object_that_is_not_known_is_stepped_over_with_all_that_is_in_it() {
    let message = br#"{"other":{"jobId":"evil","queuedAt":1},"execution":{"jobId":"good","status":"QUEUED","queuedAt":4,"jobDocument":{}},"more":{"jobId":"evil"}}"#;
    let read = decode::describe_accepted(message).unwrap();
    let execution = read.execution.unwrap();
    assert_eq!(execution.job_id.as_str(), "good");
    assert_eq!(execution.queued_at, Some(EpochSeconds(4)));
}

#[test]
fn a_broken_message_that_is_about_no_execution_names_none() {
    let message = br#"{"execution":{"jobId":"evil"},"jobs":{"QUEUED":xyz}}"#;
    assert_eq!(decode::notify(message).unwrap_err().salvage, None);
    let message = br#"{"execution":{"jobId":"evil"},"queuedJobs":xyz}"#;
    assert_eq!(
        decode::get_pending_accepted(message).unwrap_err().salvage,
        None
    );
}

#[test]
fn two_job_ids_around_a_fault_are_one_too_many() {
    let message = br#"{"execution":{"jobDocument":{"a":xyz},"jobId":"a","jobId":"b"}}"#;
    assert_eq!(failure(message).salvage, None);
}

#[test]
fn a_job_id_before_the_fault_stands_whatever_comes_behind_it() {
    let message = br#"{"execution":{"jobId":"a","jobDocument":{"a":xyz},"jobId":"b"}}"#;
    assert_eq!(salvage(message).job_id.as_str(), "a");
}

#[test]
fn a_message_refused_for_a_member_that_comes_twice_is_not_searched_for_a_job() {
    let message = br#"{"execution":{"status":"QUEUED","status":"QUEUED","jobId":"a"}}"#;
    let error = failure(message);
    assert_eq!(error.kind, ErrorKind::DuplicateKey);
    assert_eq!(error.salvage, None);
}

#[test]
fn a_member_outside_of_its_place_is_no_better_than_an_unknown_one() {
    let message = br#"{"jobId":"evil","versionNumber":{},"queuedAt":1,"execution":{"jobId":"good","clientToken":"evil","status":"QUEUED","queuedAt":4,"jobDocument":{}},"clientToken":"t1"}"#;
    let read = decode::describe_accepted(message).unwrap();
    assert!(read.client_token.unwrap().eq_str("t1"));
    let execution = read.execution.unwrap();
    assert_eq!(execution.job_id.as_str(), "good");
    assert_eq!(execution.queued_at, Some(EpochSeconds(4)));
}

#[test]
fn thirty_two_levels_are_read_and_thirty_three_are_not() {
    let nested = |levels: usize| {
        format!(
            "{}1{}",
            "{\"a\":[".repeat(levels / 2),
            "]}".repeat(levels / 2)
        )
    };
    let message = with_document(nested(32).as_bytes());
    assert!(
        decode::notify_next(&message)
            .unwrap()
            .execution
            .unwrap()
            .job_document
            .is_some()
    );
    assert_job_7(&with_document(nested(34).as_bytes()), ErrorKind::TooDeep);
}

#[test]
fn depth_bombs_end_at_once() {
    for opening in ["[", "{\"a\":", "[{\"a\":"] {
        let bomb = opening.repeat(20_000);
        let message = with_document(bomb.as_bytes());
        assert_eq!(failure(&message).kind, ErrorKind::TooDeep);
        assert_eq!(salvage(&message).job_id.as_str(), "job-7");
        assert_eq!(
            decode::notify(bomb.as_bytes())
                .err()
                .map(|error| error.salvage),
            Some(None)
        );
    }
}

#[test]
fn a_known_member_may_come_once_however_it_is_spelled() {
    for (first, second) in [
        ("jobId", "jobId"),
        ("jobId", "job\\u0049d"),
        ("\\u006a\\u006f\\u0062Id", "jobId"),
        ("job\\u0049d", "job\\u0049\\u0064"),
    ] {
        let message = format!(
            "{{\"execution\":{{\"{first}\":\"good\",\"status\":\"QUEUED\",\"{second}\":\"evil\"}}}}"
        );
        let error = failure(message.as_bytes());
        assert_eq!(error.kind, ErrorKind::DuplicateKey);
        assert_eq!(error.salvage, None, "either could be meant");
    }
    let message = br#"{"execution":{"jobId":"a","status":"QUEUED","status":"QUEUED"}}"#;
    assert_eq!(failure(message).kind, ErrorKind::DuplicateKey);
    assert_eq!(salvage(message).job_id.as_str(), "a");
    let message = br#"{"execution":{"jobId":"a"},"execution":{"jobId":"b"}}"#;
    assert_eq!(
        (failure(message).kind, failure(message).salvage),
        (ErrorKind::DuplicateKey, None)
    );
    for payload in [
        &br#"{"jobs":{"QUEUED":[],"QU\u0045UED":[]}}"#[..],
        br#"{"jobs":{},"jobs":{}}"#,
        br#"{"jobs":{"QUEUED":[{"jobId":"a","jobId":"a"}]}}"#,
    ] {
        assert_eq!(
            decode::notify(payload).unwrap_err().kind,
            ErrorKind::DuplicateKey
        );
    }
    let payload = br#"{"queuedJobs":[],"queuedJobs":[]}"#;
    assert_eq!(
        decode::get_pending_accepted(payload).unwrap_err().kind,
        ErrorKind::DuplicateKey
    );
}

#[test]
fn names_inside_the_document_are_the_handlers_business() {
    let message = with_document(br#"{"a":1,"a":2}"#);
    let execution = decode::notify_next(&message).unwrap().execution.unwrap();
    let document = Document(execution.job_document.unwrap());
    assert_eq!(document.0, br#"{"a":1,"a":2}"#);
    assert_eq!(document.u64_field("a"), None, "which one would be a guess");
}

#[test]
fn numbers_that_do_not_fit_are_refused_and_strange_times_are_not() {
    for number in [
        "18446744073709551616",
        "9223372036854775808",
        "1e3",
        "1.0",
        "\"1.0.1\"",
        "true",
        "\"\"",
        "[]",
    ] {
        let message = format!(r#"{{"execution":{{"jobId":"j","versionNumber":{number}}}}}"#);
        assert_eq!(
            failure(message.as_bytes()).kind,
            ErrorKind::WrongType,
            "{number}"
        );
        assert_eq!(salvage(message.as_bytes()).job_id.as_str(), "j");
    }
    for (number, value) in [
        ("\"7\"", 7),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("0", 0),
    ] {
        let message = format!(r#"{{"execution":{{"jobId":"j","versionNumber":{number}}}}}"#);
        let execution = decode::notify_next(message.as_bytes())
            .unwrap()
            .execution
            .unwrap();
        assert_eq!(execution.version_number, Some(value));
    }
    for (time, seconds) in [
        ("1719940994", Some(1_719_940_994)),
        ("1719940994.75", Some(1_719_940_994)),
        ("1719940994123", Some(1_719_940_994)),
        ("1719940994123.5", Some(1_719_940_994)),
        ("99999999999", Some(99_999_999_999)),
        ("100000000000", Some(100_000_000)),
        ("0", Some(0)),
        ("-1", None),
        ("1.5e9", None),
        ("1e9", None),
        ("9999999999999999999999", None),
        ("true", None),
        ("\"soon\"", None),
        ("null", None),
        ("[1]", None),
        ("{}", None),
    ] {
        let message =
            format!(r#"{{"timestamp":{time},"execution":{{"jobId":"j","queuedAt":{time}}}}}"#);
        let read = decode::notify_next(message.as_bytes()).unwrap();
        assert_eq!(read.timestamp, seconds.map(EpochSeconds), "{time}");
        assert_eq!(read.execution.unwrap().queued_at, seconds.map(EpochSeconds));
    }
}

#[test]
fn ids_that_break_the_rules_are_refused() {
    let long = "j".repeat(65);
    for id in ["", "../../x", "a b", "ä", "a\\u0062", long.as_str()] {
        let message = format!(r#"{{"execution":{{"jobId":"{id}"}}}}"#);
        let error = failure(message.as_bytes());
        assert_eq!(
            (error.kind, error.salvage),
            (ErrorKind::InvalidId, None),
            "{id}"
        );
    }
    let message = br#"{"execution":{"jobId":"a","thingName":"b c"}}"#;
    assert_eq!(failure(message).kind, ErrorKind::InvalidId);
    assert_eq!(salvage(message).job_id.as_str(), "a");
}

#[test]
fn unknown_names_and_texts_pass() {
    let message = br#"{"new":{"a":[1,{"b":null}]},"execution":{"jobId":"j","status":"PAUSED","x":[[]]},"y":0}"#;
    let execution = decode::notify_next(message).unwrap().execution.unwrap();
    assert_eq!(execution.status, WireStatus::Unknown);
    let notify = br#"{"jobs":{"PAUSED":[{"jobId":"p"}],"QUEUED":[{"jobId":"q","x":1}]}}"#;
    let notify = decode::notify(notify).unwrap();
    let all: Vec<_> = notify
        .all()
        .map(|line| (line.job_id.as_str(), line.status))
        .collect();
    assert_eq!(all[0], ("p", WireStatus::Unknown));
    assert_eq!((all.len(), notify.queued().count()), (2, 1));
}

#[test]
fn an_empty_status_is_a_name_that_is_not_known() {
    let message = br#"{"execution":{"jobId":"j","status":""}}"#;
    let execution = decode::notify_next(message).unwrap().execution.unwrap();
    assert_eq!(execution.status, WireStatus::Unknown);
    let message = br#"{"executionState":{"status":""}}"#;
    let state = decode::update_accepted(message).unwrap().execution_state;
    assert_eq!(state.unwrap().status, WireStatus::Unknown);
}

#[test]
fn messages_of_the_wrong_shape_are_refused() {
    for payload in [&b"[]"[..], b"1 ", b"\"x\"", b"null "] {
        assert_eq!(failure(payload).kind, ErrorKind::WrongType);
    }
    for payload in [
        &b"{\"execution\":[]}"[..],
        b"{\"execution\":7}",
        b"{\"clientToken\":7}",
    ] {
        assert_eq!(failure(payload).kind, ErrorKind::WrongType);
    }
    assert_eq!(
        failure(b"{\"execution\":{\"status\":\"QUEUED\"}}").kind,
        ErrorKind::MissingField
    );
    assert_eq!(failure(b"").kind, ErrorKind::Truncated);
    assert_eq!(failure(b" \n").kind, ErrorKind::Truncated);
    assert_eq!(failure(b"{} x").kind, ErrorKind::Syntax);
    assert_eq!(failure(b"{}\0").kind, ErrorKind::Syntax);
    assert_eq!(
        decode::notify(b"{\"timestamp\":1}").unwrap_err().kind,
        ErrorKind::MissingField
    );
    assert_eq!(
        decode::rejected(b"{\"timestamp\":1}").unwrap_err().kind,
        ErrorKind::MissingField
    );
    let lists = br#"{"jobs":{"QUEUED":[{"queuedAt":1}]}}"#;
    assert_eq!(
        decode::notify(lists).unwrap_err().kind,
        ErrorKind::MissingField
    );
    assert_eq!(
        decode::notify(br#"{"jobs":{"QUEUED":[1]}}"#)
            .unwrap_err()
            .kind,
        ErrorKind::WrongType
    );
    assert_eq!(
        decode::notify(br#"{"jobs":{"QUEUED":{}}}"#)
            .unwrap_err()
            .kind,
        ErrorKind::WrongType
    );
}

#[test]
fn a_message_longer_than_mqtt_allows_is_refused_but_names_its_job() {
    let filler = format!("\"{}\"", "A".repeat(MQTT_PAYLOAD_LEN_MAX));
    let message = with_document(filler.as_bytes());
    assert_eq!(failure(&message).kind, ErrorKind::TooLong);
    assert_eq!(salvage(&message).job_id.as_str(), "job-7");
    assert_eq!(
        decode::notify(&message).unwrap_err().kind,
        ErrorKind::TooLong
    );
}

/// Offset just behind the job id's closing quote.
fn end_of_job_id(payload: &[u8], job_id: &str) -> usize {
    let member = format!("\"jobId\":\"{job_id}\"");
    let at = payload
        .windows(member.len())
        .position(|bytes| bytes == member.as_bytes());
    at.unwrap() + member.len()
}

#[test]
fn a_cut_at_every_byte_is_truncated_and_keeps_the_job_id_once_it_was_there() {
    for file in ["notify-next", "describe.accepted", "start-next.accepted"] {
        for example in support::all(file) {
            let payload = &example.payload;
            let job_id = example.value["execution"]["jobId"].as_str();
            let seen = job_id.map(|job_id| end_of_job_id(payload, job_id));
            // The largest document is one long run; every 97th byte of it is enough.
            let step = if payload.len() > 8192 { 97 } else { 1 };
            for cut in (0..payload.len()).step_by(step) {
                let error = failure(&payload[..cut]);
                assert_eq!(
                    error.kind,
                    ErrorKind::Truncated,
                    "{} cut at {cut}",
                    example.name
                );
                let told = error.salvage.map(|salvage| salvage.job_id.as_str());
                let expected = job_id.filter(|_| seen.is_some_and(|seen| cut >= seen));
                assert_eq!(told, expected, "{} cut at {cut}", example.name);
            }
        }
    }
}

#[test]
fn a_cut_number_is_never_taken_for_a_whole_one() {
    let message =
        br#"{"execution":{"jobId":"j","executionNumber":2939653338,"queuedAt":1719940994}}"#;
    for cut in 0..message.len() {
        if let Some(salvage) = failure(&message[..cut]).salvage {
            assert!(
                matches!(salvage.execution_number, None | Some(2_939_653_338)),
                "{cut}"
            );
            assert!(matches!(
                salvage.queued_at,
                None | Some(EpochSeconds(1_719_940_994))
            ));
        }
    }
}

#[test]
fn a_cut_at_every_byte_of_the_other_messages_is_an_error() {
    for file in [
        "notify",
        "get-pending.accepted",
        "update.accepted",
        "update.rejected",
    ] {
        for example in support::all(file) {
            let step = if example.payload.len() > 8192 { 97 } else { 1 };
            for cut in (0..example.payload.len()).step_by(step) {
                let payload = &example.payload[..cut];
                let kind = match file {
                    "notify" => decode::notify(payload).unwrap_err().kind,
                    "get-pending.accepted" => {
                        decode::get_pending_accepted(payload).unwrap_err().kind
                    }
                    "update.accepted" => decode::update_accepted(payload).unwrap_err().kind,
                    _ => decode::rejected(payload).unwrap_err().kind,
                };
                assert_eq!(kind, ErrorKind::Truncated, "{} cut at {cut}", example.name);
            }
        }
    }
}

/// Calls everything that takes foreign bytes.
fn read_all(bytes: &[u8]) {
    let _ = decode::notify_next(bytes).map(|message| {
        message.execution.map(|execution| {
            execution
                .status_details
                .map(|details| details.iter().count());
        })
    });
    let _ = decode::notify(bytes).map(|notify| notify.all().count());
    let _ = decode::get_pending_accepted(bytes).map(|pending| pending.all().count());
    let _ = decode::update_accepted(bytes);
    let _ = decode::rejected(bytes);
    let document = Document(bytes);
    let _ = (
        document.is_object(),
        document.str_field("a"),
        document.path(&["a", "b"]),
    );
    let _ = document.array_field("a").map(Iterator::count);
    let packed = jobs_proto::details::PackedDetails(bytes);
    let _ = (packed.is_valid(), packed.iter().count());
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = topic::InboundTopic::parse(text, ThingName::new("T").unwrap());
        let _ = jobs_proto::details::scrub(text).count();
    }
}

fn small(file: &str) -> Vec<support::Example> {
    let mut examples = support::all(file);
    examples.retain(|example| example.payload.len() < 1024);
    examples
}

#[test]
fn one_byte_changed_anywhere_never_panics() {
    for file in [
        "notify-next",
        "notify",
        "get-pending.accepted",
        "update.accepted",
        "update.rejected",
    ] {
        for example in small(file) {
            let mut payload = example.payload.clone();
            for at in 0..payload.len() {
                let old = payload[at];
                for new in *b"\0\"\\{}[],:0-e\xff" {
                    payload[at] = new;
                    read_all(&payload);
                }
                payload[at] = old;
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        read_all(&bytes);
    }

    #[test]
    fn random_tokens_never_panic(tokens in proptest::collection::vec(0_usize..14, 0..40)) {
        let words = ["{", "}", "[", "]", ",", ":", "\"jobId\"", "\"execution\"", "\"a\"", "1", "null", "\"jobs\"", "\"QUEUED\"", "\\"];
        let text: String = tokens.iter().map(|token| words[*token]).collect();
        read_all(text.as_bytes());
    }
}
