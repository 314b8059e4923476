//! Round trips and bounds, for whatever comes.

use jobs_proto::details::{Details, PackedDetails, scrub};
use jobs_proto::document::Document;
use jobs_proto::topic::{Filter, InboundTopic, Reply, RequestTopic};
use jobs_proto::{EpochSeconds, JobId, ThingName, UpdateStatus, decode, encode, limits};
use proptest::prelude::*;

/// What strings are made of, and what ends or breaks them: each piece at any place of a word.
const PIECES: [&[u8]; 20] = [
    b"a",
    b"plain text ",
    b"\"",
    b"\\",
    b"\\n",
    b"\\\"",
    b"\\u00e4",
    b"\\ud83d\\ude00",
    b"\\ud83d",
    b"\\udc00",
    b"\\u12",
    b"\\x",
    b"\x1f",
    b"\x7f",
    "ä".as_bytes(),
    "€".as_bytes(),
    "😀".as_bytes(),
    b"\xC0\x80",
    b"\xED\xA0\x80",
    b"\xF4\x90",
];

fn any_topic(which: usize, job: JobId<'_>, reply: Reply) -> InboundTopic<'_> {
    [
        InboundTopic::Notify,
        InboundTopic::NotifyNext,
        InboundTopic::GetPending(reply),
        InboundTopic::StartNext(reply),
        InboundTopic::DescribeNext(reply),
        InboundTopic::Describe(job, reply),
        InboundTopic::Update(job, reply),
    ][which]
}

proptest! {
    #[test]
    fn strings_are_judged_as_by_serde_json(pieces in prop::collection::vec(0..PIECES.len(), 0..24)) {
        let mut message = b"{\"a\":\"".to_vec();
        pieces.iter().for_each(|piece| message.extend_from_slice(PIECES[*piece]));
        message.extend_from_slice(b"\"}");
        let theirs = serde_json::from_slice::<serde_json::Value>(&message).ok();
        let ours = Document(&message);
        prop_assert_eq!(ours.is_object(), theirs.is_some());
        if let Some(theirs) = theirs.as_ref().and_then(|value| value["a"].as_str()) {
            let text = ours.str_field("a").unwrap();
            prop_assert!(text.eq_str(theirs));
            prop_assert!(text.chars().eq(theirs.chars()));
            let longer = format!("{theirs}x");
            prop_assert!(!text.eq_str(&longer));
        }
    }

    #[test]
    fn topics_come_back_as_they_were_written(
        thing in "[a-zA-Z0-9:_-]{1,128}",
        job in "[a-zA-Z0-9_-]{1,64}",
        which in 0_usize..7,
        accepted: bool,
        room in 0_usize..limits::TOPIC_LEN_MAX,
    ) {
        let thing = ThingName::new(&thing).unwrap();
        let job = JobId::new(&job).unwrap();
        let reply = if accepted { Reply::Accepted } else { Reply::Rejected };
        let topic = any_topic(which, job, reply);
        let mut out = [0; limits::TOPIC_LEN_MAX];
        let text = topic.encode(thing, &mut out).unwrap();
        prop_assert_eq!(InboundTopic::parse(text, thing), Ok(topic));
        prop_assert_eq!(topic.encoded_len(thing), text.len());
        let mut again = [0; limits::TOPIC_LEN_MAX];
        prop_assert_eq!(topic.write(thing, &mut again).unwrap(), text.as_bytes());
        let mut short = vec![0; room];
        match topic.write(thing, &mut short) {
            Ok(written) => prop_assert_eq!(written, text.as_bytes()),
            Err(error) => prop_assert!(room < text.len() && error.needed == text.len()),
        }
        for request in [RequestTopic::Describe(job), RequestTopic::Update(job)] {
            let text = request.encode(thing, &mut out).unwrap();
            prop_assert!(text.len() <= RequestTopic::LEN_MAX);
            prop_assert_eq!(RequestTopic::parse(text, thing), Ok(request));
        }
        for filter in Filter::ALL {
            prop_assert!(filter.encoded_len(thing) <= Filter::LEN_MAX);
        }
    }

    #[test]
    fn numbers_come_back_as_they_were_written(version: i64, execution: i64, seconds in 0_u64..100_000_000_000) {
        let mut update = encode::Update::new(UpdateStatus::Failed);
        (update.expected_version, update.execution_number) = (Some(version), Some(execution));
        let mut out = [0; 256];
        let request = update.encode(&mut out).unwrap();
        let value: serde_json::Value = serde_json::from_slice(request).unwrap();
        prop_assert_eq!(value["expectedVersion"].as_i64(), Some(version));
        let message = format!(
            r#"{{"timestamp":{seconds}.5,"execution":{{"jobId":"j","queuedAt":"{seconds}","versionNumber":{version},"executionNumber":"{execution}"}}}}"#
        );
        let message = decode::notify_next(message.as_bytes()).unwrap();
        prop_assert_eq!(message.timestamp, Some(EpochSeconds(seconds)));
        let job = message.execution.unwrap();
        prop_assert_eq!(job.queued_at, Some(EpochSeconds(seconds)));
        prop_assert_eq!((job.version_number, job.execution_number), (Some(version), Some(execution)));
    }

    #[test]
    fn packed_details_are_sent_as_they_were_pushed(
        values in prop::collection::vec(any::<String>(), 0..12),
        room in 0_usize..400,
        cut: bool,
    ) {
        let (mut buf, mut len) = (vec![0; room], 0);
        let mut kept = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let (before, key) = (len, format!("key-{index}"));
            let pushed = if cut {
                PackedDetails::push_cut(&mut buf, &mut len, &key, value)
            } else {
                PackedDetails::push(&mut buf, &mut len, &key, value)
            };
            prop_assert!(len <= room);
            match pushed {
                Ok(()) => kept.push((key, scrub(value).collect::<String>())),
                Err(_) => prop_assert_eq!(len, before),
            }
        }
        let packed = PackedDetails(&buf[..len]);
        prop_assert!(packed.is_valid() && kept.len() <= limits::STATUS_DETAILS_PAIRS_MAX);
        let read: Vec<_> = packed.iter().collect();
        prop_assert_eq!(read.len(), kept.len());
        for ((key, value), (kept_key, kept_value)) in read.iter().zip(&kept) {
            prop_assert_eq!(key, kept_key);
            let same = kept_value == value || cut && kept_value.starts_with(value);
            prop_assert!(same);
        }
        let mut update = encode::Update::new(UpdateStatus::InProgress);
        let (mut one, mut other) = ([0; 4096], [0; 4096]);
        update.status_details = Details::Packed(packed);
        let packed = update.encode(&mut one).unwrap().to_vec();
        update.status_details = Details::Pairs(&read);
        prop_assert_eq!(packed, update.encode(&mut other).unwrap());
    }
}
