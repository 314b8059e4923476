//! Small public values: each answer that no other test asks for by itself.

use jobs_proto::UpdateStatus;
use jobs_proto::document::Document;

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
    let time = jobs_proto::EpochSeconds(1_719_940_994);
    assert_eq!(serde_json::to_string(&time).unwrap(), "1719940994");
    assert_eq!(
        serde_json::from_str::<jobs_proto::EpochSeconds>("1719940994").unwrap(),
        time
    );
}
