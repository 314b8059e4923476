//! Small public values: each answer that no other test asks for by itself.

use jobs_proto::decode;
use jobs_proto::details::{DetailsError, PackedDetails};
use jobs_proto::document::Document;
use jobs_proto::encode::EncodeError;
use jobs_proto::topic::TopicError;
use jobs_proto::{EpochSeconds, EscapedStr, IdError, JobStatus, TooSmall, UpdateStatus, limits};

/// A text of a document that has it under `text`, as it stands there.
fn text(document: &str) -> EscapedStr<'_> {
    Document(document.as_bytes()).str_field("text").unwrap()
}

#[test]
fn texts_are_equal_by_what_they_say_however_it_is_escaped() {
    let plain = text(r#"{"text":"pump 7/a"}"#);
    let escaped = text(r#"{"text":"\u0070ump 7\/a"}"#);
    assert_eq!(plain, escaped);
    for text in [plain, escaped] {
        assert!(text == *"pump 7/a" && text == "pump 7/a");
        for other in ["", "pump 7/", "pump 7/ab", "Pump 7/a", r"\u0070ump 7\/a"] {
            assert!(text != *other && text != other, "{other}");
        }
    }
    let other = text(r#"{"text":"pump 8/a"}"#);
    assert!(other != plain && other != escaped);
}

#[test]
fn a_text_is_shown_as_it_means_and_debugged_as_it_stands() {
    let escaped = text(r#"{"text":"\u0070ump\n7"}"#);
    assert_eq!(escaped.to_string(), "pump\n7");
    assert_eq!(format!("{escaped:?}"), r#""\u0070ump\n7""#);
}

#[test]
fn every_status_of_the_model_is_read_in_a_message() {
    for status in JobStatus::ALL {
        let message = format!(
            r#"{{"execution":{{"jobId":"a","status":"{}","queuedAt":1,"jobDocument":{{}}}}}}"#,
            status.as_str()
        );
        let read = decode::describe_accepted(message.as_bytes()).unwrap();
        assert_eq!(read.execution.unwrap().status.known(), Some(status));
    }
}

#[test]
fn status_details_are_found_by_their_key() {
    let message = br#"{"execution":{"jobId":"a","status":"QUEUED","queuedAt":1,"statusDetails":{"step":"2","place":"shed"},"jobDocument":{}}}"#;
    let read = decode::describe_accepted(message).unwrap();
    let details = read.execution.unwrap().status_details.unwrap();
    assert!(details.get("place").is_some_and(|value| value == "shed"));
    assert!(details.get("nothing").is_none());
}

#[test]
fn packed_pairs_are_empty_until_one_is_added() {
    let mut buffer = [0; 64];
    let mut len = 0;
    assert!(PackedDetails(&[]).is_empty());
    PackedDetails::push(&mut buffer, &mut len, "step", "2").unwrap();
    assert!(!PackedDetails(&buffer[..len]).is_empty());
}

#[test]
fn what_is_not_printed_is_dropped_from_a_packed_value_in_every_place_of_it() {
    for dropped in ['\0', '\u{1B}', '\u{7F}', '\u{80}', '\u{AD}'] {
        for place in 0..=20 {
            let mut value = "one and twenty bytes.".to_owned();
            value.insert(place, dropped);
            let mut buffer = [0; 64];
            let mut len = 0;
            PackedDetails::push(&mut buffer, &mut len, "step", &value).unwrap();
            let packed = PackedDetails(&buffer[..len]);
            assert!(
                packed.iter().eq([("step", "one and twenty bytes.")]),
                "{dropped:?} at {place}"
            );
        }
    }
}

#[test]
fn the_longest_packed_pairs_are_as_long_as_the_constant_says() {
    let value = "\u{1F600}".repeat(limits::STATUS_DETAILS_VALUE_CHARS_MAX);
    let mut buffer = vec![0; PackedDetails::LEN_MAX];
    let mut len = 0;
    for index in 0..limits::STATUS_DETAILS_PAIRS_MAX {
        let key = index.to_string().repeat(limits::STATUS_DETAILS_KEY_LEN_MAX);
        PackedDetails::push(&mut buffer, &mut len, &key, &value).unwrap();
    }
    assert_eq!(len, PackedDetails::LEN_MAX);
}

#[test]
fn a_time_gives_its_seconds() {
    assert_eq!(EpochSeconds(1_719_940_994).as_secs(), 1_719_940_994);
}

#[test]
fn errors_say_in_words_what_to_do() {
    assert_eq!(
        TooSmall { needed: 77 }.to_string(),
        "buffer too small: lend 77 bytes"
    );
    assert_eq!(
        EncodeError::TooSmall { needed: 78 }.to_string(),
        "buffer too small: lend 78 bytes"
    );
    assert_eq!(
        EncodeError::Details(DetailsError::DuplicateKey).to_string(),
        "status details: key comes twice"
    );
    let broken = decode::notify_next(b"pump").unwrap_err();
    assert_eq!(
        broken.to_string(),
        "a member has the wrong type (at byte 0)"
    );
    assert_eq!(broken.kind.as_str(), "a member has the wrong type");
    assert_eq!(TopicError::NotJobs.to_string(), "not a Jobs topic");
    assert_eq!(
        IdError::BadCharacter { at: 3 }.to_string(),
        "identifier has an illegal byte at 3"
    );
}

#[test]
fn a_text_is_plain_exactly_when_nothing_in_it_is_escaped() {
    let document = Document(br#"{"plain":"pump 7","escaped":"pump\n7"}"#);
    let plain = document.str_field("plain").unwrap();
    assert_eq!(plain.as_plain(), Some("pump 7"));
    let escaped = document.str_field("escaped").unwrap();
    assert_eq!(escaped.as_plain(), None);
    assert!(escaped.eq_str("pump\n7"));
}

#[test]
fn a_report_ends_an_execution_exactly_when_its_state_does() {
    for status in UpdateStatus::ALL {
        assert_eq!(
            status.is_terminal(),
            status != UpdateStatus::InProgress,
            "{status:?}"
        );
        assert_eq!(status.is_terminal(), status.status().is_terminal());
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_time_is_written_as_its_seconds() {
    let time = EpochSeconds(1_719_940_994);
    assert_eq!(serde_json::to_string(&time).unwrap(), "1719940994");
    assert_eq!(
        serde_json::from_str::<EpochSeconds>("1719940994").unwrap(),
        time
    );
}
