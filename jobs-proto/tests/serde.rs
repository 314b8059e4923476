//! The optional serde support.
#![cfg(feature = "serde")]

use jobs_proto::{ClientToken, EpochSeconds, ErrorCode, JobId, JobStatus, ThingName, UpdateStatus};

#[test]
fn identifiers_are_checked_when_they_are_read() {
    let id: JobId<'_> = serde_json::from_str("\"job-1\"").unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"job-1\"");
    assert!(serde_json::from_str::<JobId<'_>>("\"../x\"").is_err());
    assert!(serde_json::from_str::<ThingName<'_>>("\"a b\"").is_err());
    assert!(serde_json::from_str::<ClientToken<'_>>("\"\"").is_err());
}

#[test]
fn names_are_those_of_the_wire() {
    for status in JobStatus::ALL {
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(json, format!("\"{}\"", status.as_str()));
        assert_eq!(serde_json::from_str::<JobStatus>(&json).unwrap(), status);
    }
    assert!(serde_json::from_str::<UpdateStatus>("\"QUEUED\"").is_err());
    assert_eq!(
        serde_json::from_str::<ErrorCode>("\"New\"").unwrap(),
        ErrorCode::Unknown
    );
    assert_eq!(
        serde_json::from_str::<EpochSeconds>("7").unwrap(),
        EpochSeconds(7)
    );
}
