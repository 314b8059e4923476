//! A device that cannot be reset.

use jobs_agent_core::{
    Agent, Boot, BootId, Completion, Config, Millis, OperationTag, Output, Phase, RECORD_LEN_MAX,
    Record, RecordKind, Scratch, Status,
};
use jobs_proto::ThingName;

const BOOT: Boot = Boot {
    id: BootId([7; 16]),
    entropy: 1,
};

/// A record that says: a reset was wanted in this very boot.
fn parked() -> Vec<u8> {
    let record = Record {
        kind: RecordKind::Reboot,
        job_id: "update-7".try_into().unwrap(),
        execution_number: Some(1),
        queued_at: 1_700_000_000,
        tag: OperationTag::of("firmwareUpdate"),
        rerun: true,
        needs_document: false,
        attempts: 1,
        runs: 1,
        step_timeout_minutes: 0,
        time_limit_ms: 0,
        boot: BOOT.id,
        body: heapless::Vec::from_slice(&[3]).unwrap(),
    };
    record.encode(&mut [0; RECORD_LEN_MAX]).unwrap().to_vec()
}

#[test]
fn a_job_whose_reset_never_happens_is_reported_failed() {
    let config = Config::new(ThingName::new("pump").unwrap());
    let mut agent: Agent<'_, 1> = Agent::new(&config, BOOT);
    agent.restore(0, &parked()).unwrap();
    let mut scratch = Scratch::new();
    let mut now = Millis(0);
    let (mut resets, mut last) = (0, None);
    for _ in 0..100 {
        match agent.poll(now, &mut scratch) {
            Output::Persist {
                receipt, record, ..
            } => {
                last = Some(Record::decode(record).unwrap());
                agent.handle_done(now, receipt, Completion::Done);
            }
            Output::Reboot(permit) => {
                resets += 1;
                agent.handle_done(now, permit.into_receipt(), Completion::Failed);
            }
            Output::Wait(Some(until)) => now = until,
            Output::Wait(None) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(resets, config.attempts_max);
    assert_eq!(agent.phase(0), Some(Phase::Reporting));
    assert_eq!(last.unwrap().kind, RecordKind::Outcome(Status::Failed));
}
