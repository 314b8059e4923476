//! Messages read into lent room say the same as the structs.

use jobs_proto::decode::{self, ErrorKind, Kind, Message, Number, Text, Time};
use jobs_proto::{EpochSeconds, ErrorCode, JobStatus, WireStatus};

const OFFER: &[u8] = br#"{"clientToken":"t1","timestamp":9,"execution":{"jobId":"job-7",
    "status":"QUEUED","queuedAt":4,"versionNumber":"2","executionNumber":1,
    "approximateSecondsBeforeTimedOut":60,"statusDetails":{"a":"b"},"jobDocument":"\"x\""}}"#;

const NOTIFY: &[u8] = br#"{"timestamp":9,"jobs":{
    "QUEUED":[{"jobId":"a","queuedAt":1},{"jobId":"b","executionNumber":2}],
    "PAUSED":[{"jobId":"c"}]}}"#;

#[test]
fn an_execution_says_what_the_struct_says() {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    assert_eq!(message.read(Kind::Execution, OFFER), Ok(()));
    let read = decode::notify_next(OFFER).unwrap();
    let job = read.execution.unwrap();
    assert!(message.has_execution() && message.has_state());
    assert_eq!(message.text(Text::ClientToken), read.client_token);
    assert_eq!(message.time(Time::Timestamp), read.timestamp);
    assert_eq!(message.job_id(), Some(job.job_id));
    assert_eq!(message.thing_name(), None);
    assert_eq!(message.status(), WireStatus::Known(JobStatus::Queued));
    assert_eq!(message.time(Time::Queued), Some(EpochSeconds(4)));
    assert_eq!(message.time(Time::Started), None);
    assert_eq!(message.number(Number::Version), Some(2));
    assert_eq!(message.number(Number::Execution), job.execution_number);
    assert_eq!(message.number(Number::SecondsLeft), Some(60));
    assert_eq!(message.status_details(), job.status_details);
    assert_eq!(message.job_document(), Some(&br#""\"x\"""#[..]));
    assert_eq!(message.next_line(), None, "it has no lists");
}

#[test]
fn the_lines_of_a_list_come_one_by_one_and_again_after_a_rewind() {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    message.read(Kind::Notify, NOTIFY).unwrap();
    for _ in 0..2 {
        let mut lines = Vec::new();
        while let Some(state) = message.next_line() {
            let id = message.job_id().unwrap().as_str().to_owned();
            let number = message.number(Number::Execution);
            lines.push((state, id, number, message.time(Time::Queued)));
        }
        let queued = WireStatus::Known(JobStatus::Queued);
        assert_eq!(
            lines,
            [
                (queued, "a".to_owned(), None, Some(EpochSeconds(1))),
                (queued, "b".to_owned(), Some(2), None),
                (WireStatus::Unknown, "c".to_owned(), None, None),
            ]
        );
        assert_eq!(message.job_id(), None, "behind the last line");
        assert_eq!(message.time(Time::Timestamp), Some(EpochSeconds(9)));
        message.rewind();
    }
}

#[test]
fn a_list_of_each_known_state_comes_once_and_there_can_be_several_of_unknown_ones() {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    let unknown = br#"{"jobs":{"PAUSED":[],"HELD":[{"jobId":"a"}],"LOST":[]}}"#;
    assert_eq!(message.read(Kind::Notify, unknown), Ok(()));
    for state in JobStatus::ALL {
        let name = state.as_str();
        let twice = format!(r#"{{"jobs":{{"{name}":[],"PAUSED":[],"{name}":[]}}}}"#);
        let error = decode::notify(twice.as_bytes()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::DuplicateKey, "{name}");
    }
}

#[test]
fn nothing_of_a_refused_message_stays_but_what_answers_for_the_job() {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    let broken = OFFER.strip_suffix(b"}}").unwrap();
    assert_eq!(
        message.read(Kind::Execution, broken),
        Err(ErrorKind::Truncated)
    );
    assert_eq!(message.fault_at(), broken.len());
    assert_eq!(message.job_id().unwrap().as_str(), "job-7");
    assert_eq!(message.number(Number::Execution), Some(1));
    assert_eq!(message.time(Time::Queued), Some(EpochSeconds(4)));
    assert!(message.text(Text::ClientToken).unwrap().eq_str("t1"));
    assert_eq!(message.job_document(), None);
    assert_eq!(message.status(), WireStatus::Absent);
    assert_eq!(message.time(Time::Timestamp), None);
    assert!(!message.has_state());
    assert_eq!(message.next_line(), None);

    assert!(message.read(Kind::Updated, broken).is_err());
    assert_eq!(message.text(Text::ClientToken), None, "no job is meant");
}

#[test]
fn room_is_used_again_and_nothing_of_the_last_message_shows() {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    message.read(Kind::Execution, OFFER).unwrap();
    let refusal = br#"{"code":"VersionMismatch","message":"no"}"#;
    message.read(Kind::Rejected, refusal).unwrap();
    assert_eq!(message.code(), ErrorCode::VersionMismatch);
    assert!(message.text(Text::Message).unwrap().eq_str("no"));
    assert_eq!(message.job_id(), None);
    assert_eq!(message.text(Text::ClientToken), None);
    assert!(!message.has_execution() && !message.has_state());
}

#[test]
fn the_first_value_of_the_wrong_type_ends_the_reading() {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    let payload = br#"{"execution":{"versionNumber":{},"jobId":"late"},"#;
    assert_eq!(
        message.read(Kind::Execution, payload),
        Err(ErrorKind::WrongType)
    );
    assert_eq!(message.fault_at(), 30);
    assert_eq!(message.job_id().unwrap().as_str(), "late");
}
