//! All readers find the same in a message.

use jobs_proto::decode;

use sonic_rs::LazyValue;
use speed::messages;
use speed::peers::*;

/// What all must agree on.
#[derive(Debug, PartialEq)]
struct Summary<'a> {
    sent: u64,
    job: &'a str,
    status: &'a str,
    numbers: [u64; 6],
    raw: Option<[&'a [u8]; 2]>,
}

fn summary<'a, R>(message: &Message<'a, R>, raw: impl Fn(&R) -> Option<&'a [u8]>) -> Summary<'a> {
    let job = message.execution.as_ref().unwrap();
    let part = |part: &Option<R>| part.as_ref().and_then(&raw);
    Summary {
        sent: message.timestamp,
        job: job.job_id,
        status: job.status,
        numbers: [
            job.queued_at,
            job.started_at,
            job.last_updated_at,
            u64::from(job.approximate_seconds_before_timed_out),
            job.version_number.unsigned_abs(),
            job.execution_number.unsigned_abs(),
        ],
        raw: part(&job.status_details)
            .zip(part(&job.job_document))
            .map(|(details, document)| [details, document]),
    }
}

fn ours(message: &[u8]) -> Summary<'_> {
    let message = decode::notify_next(message).unwrap();
    let job = message.execution.unwrap();
    let jobs_proto::WireStatus::Known(status) = job.status else {
        panic!("{:?}", job.status);
    };
    Summary {
        sent: message.timestamp.unwrap().0,
        job: job.job_id.as_str(),
        status: status.as_str(),
        numbers: [
            job.queued_at.unwrap().0,
            job.started_at.unwrap().0,
            job.last_updated_at.unwrap().0,
            job.approximate_seconds_before_timed_out.unwrap().into(),
            job.version_number.unwrap().unsigned_abs(),
            job.execution_number.unwrap().unsigned_abs(),
        ],
        raw: Some([
            job.status_details.unwrap().as_json(),
            job.job_document.unwrap(),
        ]),
    }
}

#[test]
fn all_readers_find_the_same() {
    for message in [
        messages::notify_next_300(),
        messages::notify_next_mixed(),
        messages::notify_next_string(),
        messages::notify_next_pretty(),
    ] {
        let expected = ours(&message);
        let by_serde = raw_value(&message).unwrap();
        assert_eq!(
            summary(&by_serde, |raw| Some(raw.get().as_bytes())),
            expected
        );
        let by_jiter = jiter(&message).unwrap();
        assert_eq!(summary(&by_jiter, |raw| Some(raw)), expected);
        let by_sonic = sonic(&message).unwrap();
        let bytes = |raw: &LazyValue<'_>| {
            let start = raw.as_raw_str().as_ptr() as usize - message.as_ptr() as usize;
            message.get(start..start + raw.as_raw_str().len())
        };
        assert_eq!(summary(&by_sonic, bytes), expected);
        let without_raw = Summary {
            raw: None,
            ..ours(&message)
        };
        let by_core = json_core(&message).unwrap();
        assert_eq!(summary(&by_core, |_| None), without_raw);
        let by_rustot = rustot(&message).unwrap().execution.unwrap();
        assert_eq!(
            (by_rustot.job_id, by_rustot.version_number),
            (expected.job, 2)
        );
    }
}

#[test]
fn all_readers_of_lists_find_every_line() {
    let message = messages::pending(messages::entries_max());
    let lines = decode::get_pending_accepted(&message)
        .unwrap()
        .all()
        .count();
    let by_serde = pending_serde_json(&message).unwrap();
    let by_sonic = pending_sonic(&message).unwrap();
    assert_eq!(lines, messages::entries_max());
    for pending in [by_serde, by_sonic] {
        assert_eq!(
            pending.in_progress_jobs.len() + pending.queued_jobs.len(),
            lines
        );
    }
}
