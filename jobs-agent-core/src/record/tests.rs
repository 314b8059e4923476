//! The codec of records: both ways, damaged, and from the future.

use std::vec::Vec as StdVec;

use proptest::prelude::*;

use super::{header::VERSION, *};
use crate::crc::crc32;

fn kinds() -> impl Strategy<Value = RecordKind> {
    prop_oneof![
        Just(RecordKind::Started),
        Just(RecordKind::Checkpoint),
        Just(RecordKind::Reboot),
        Just(RecordKind::Outcome(Status::Succeeded)),
        Just(RecordKind::Outcome(Status::Failed)),
        Just(RecordKind::Outcome(Status::Rejected)),
    ]
}

prop_compose! {
    fn records()(
        kind in kinds(),
        job_id in "[a-zA-Z0-9_-]{1,64}",
        execution_number in any::<Option<i64>>(),
        numbers in any::<(u64, u32, u8, u16, u16, u32)>(),
        flags in any::<(bool, bool)>(),
        boot in any::<[u8; 16]>(),
        body in prop::collection::vec(any::<u8>(), 0..=BODY_LEN_MAX),
    ) -> Record {
        let (queued_at, tag, attempts, runs, step_timeout_minutes, time_limit_ms) = numbers;
        Record {
            kind,
            job_id: String::try_from(job_id.as_str()).unwrap(),
            execution_number,
            queued_at,
            tag: OperationTag(tag),
            rerun: flags.0,
            needs_document: flags.1,
            attempts,
            runs,
            step_timeout_minutes,
            time_limit_ms,
            boot: BootId(boot),
            body: Vec::from_slice(&body).unwrap(),
        }
    }
}

fn encoded(record: &Record) -> StdVec<u8> {
    let mut out = [0; RECORD_LEN_MAX];
    record.encode(&mut out).unwrap().to_vec()
}

proptest! {
    #[test]
    fn a_record_is_read_back_as_it_was_written(record in records()) {
        prop_assert_eq!(Record::decode(&encoded(&record)), Ok(record));
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn one_flipped_bit_is_noticed(record in records(), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = encoded(&record);
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(Record::decode(&bytes).is_err());
    }

    #[test]
    fn a_torn_record_is_noticed(record in records(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&record);
        prop_assert!(Record::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn fields_that_a_later_version_appends_are_passed_over(record in records(), extra in prop::collection::vec(any::<u8>(), 1..40)) {
        let mut bytes = encoded(&record);
        bytes.truncate(bytes.len() - CRC_LEN);
        bytes[1] = VERSION + 1;
        bytes.extend(extra);
        bytes.extend(crc32(&bytes).to_le_bytes());
        prop_assert_eq!(Record::decode(&bytes), Ok(record));
    }
}

#[test]
fn the_longest_record_is_as_long_as_the_constant_says() {
    let record = Record {
        kind: RecordKind::Checkpoint,
        job_id: String::try_from("j".repeat(JOB_ID_LEN_MAX).as_str()).unwrap(),
        execution_number: Some(i64::MAX),
        queued_at: u64::MAX,
        tag: OperationTag(u32::MAX),
        rerun: true,
        needs_document: true,
        attempts: u8::MAX,
        runs: u16::MAX,
        step_timeout_minutes: u16::MAX,
        time_limit_ms: u32::MAX,
        boot: BootId([0xFF; 16]),
        body: Vec::from_slice(&[0xFF; BODY_LEN_MAX]).unwrap(),
    };
    assert_eq!(encoded(&record).len(), RECORD_LEN_MAX);
    let mut short = [0; RECORD_LEN_MAX - 1];
    assert_eq!(record.encode(&mut short), None);
}

/// A record with a body of so many bytes, as a build with more room writes it.
fn with_body_of(len: usize, kind: RecordKind) -> StdVec<u8> {
    let mut record = Record::decode(include_bytes!("../record.v1.golden.bin")).unwrap();
    record.kind = kind;
    record.body.clear();
    let mut bytes = encoded(&record);
    bytes.truncate(bytes.len() - CRC_LEN);
    bytes[51..53].copy_from_slice(&u16::try_from(len).unwrap().to_le_bytes());
    bytes.extend(core::iter::repeat_n(7, len));
    bytes.extend(crc32(&bytes).to_le_bytes());
    bytes
}

#[test]
fn a_body_that_fills_the_room_is_kept_and_of_a_longer_one_only_an_outcome_counts() {
    let body = |len, kind| Record::decode(&with_body_of(len, kind)).map(|record| record.body.len());
    let outcome = RecordKind::Outcome(Status::Failed);
    for kind in [RecordKind::Checkpoint, outcome] {
        assert_eq!(body(BODY_LEN_MAX, kind), Ok(BODY_LEN_MAX));
    }
    let longer = BODY_LEN_MAX + 1;
    assert_eq!(body(longer, RecordKind::Checkpoint), Err(RecordError::Room));
    assert_eq!(body(longer, outcome), Ok(0));
}

#[test]
fn what_a_later_version_said_is_not_written_back_in_its_name() {
    let mut bytes = with_body_of(1, RecordKind::Checkpoint);
    bytes.truncate(bytes.len() - CRC_LEN);
    (bytes[1], bytes[3]) = (VERSION + 1, 0xFF);
    bytes.extend(crc32(&bytes).to_le_bytes());
    let config = crate::Config::new(jobs_proto::ThingName::new("pump").unwrap());
    let boot = crate::Boot {
        id: BootId([7; 16]),
        entropy: 1,
    };
    let mut agent: crate::Agent<'_, 1> = crate::Agent::new(&config, boot);
    agent.restore(0, &bytes).unwrap();
    let slot = agent.slots.get_mut(0).unwrap();
    let mut out = [0; RECORD_LEN_MAX];
    slot.phase = crate::table::Phase::Saving;
    let written = slot.encode_record(&boot.id, &mut out).unwrap();
    assert_eq!((written[1], written[3]), (VERSION, 0b111));
}

/// The bytes of version 1, for ever: a field that moves breaks the devices in the field.
#[test]
fn the_golden_record_of_version_1_is_read() {
    let record = Record {
        kind: RecordKind::Outcome(Status::Failed),
        job_id: String::try_from("job-7").unwrap(),
        execution_number: Some(3),
        queued_at: 1_700_000_000,
        tag: OperationTag::of("firmwareUpdate"),
        rerun: true,
        needs_document: false,
        attempts: 2,
        runs: 5,
        step_timeout_minutes: 15,
        time_limit_ms: 60_000,
        boot: BootId(*b"0123456789abcdef"),
        body: Vec::from_slice(b"\x06reason\x03\x00bad").unwrap(),
    };
    let golden = include_bytes!("../record.v1.golden.bin");
    assert_eq!(Record::decode(golden), Ok(record.clone()));
    assert_eq!(encoded(&record), golden);
}
