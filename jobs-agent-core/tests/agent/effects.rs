//! Effects that fail, and how often the agent speaks: what it does not say is promised, too (P8).

use jobs_agent_core::{
    Agent, Checkpoint, CheckpointTooLong, Completion, Handled, Ignored, Millis, Outcome, Output,
    Phase, Progress, Record, RecordError, RecordKind, RunPolicy, Scratch, Stale,
};

use crate::support::{
    ABOUT_A, ABOUT_NEXT, BOOT, OneJob, START, accept, checkpoint_of_a, claim, config, connect,
    perform, reconnect, stored, work,
};

/// A record that says: a reset was wanted in this very boot.
fn parked() -> Vec<u8> {
    stored(&Record {
        kind: RecordKind::Reboot,
        ..checkpoint_of_a()
    })
}

#[test]
fn a_question_that_did_not_leave_is_put_again_after_the_back_off_and_not_after_the_reply_time_out()
{
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let first = connect(&mut agent, now);
    agent.handle_done(now, first.receipt, Completion::Failed);
    let seen = perform(&mut agent, now);
    assert_eq!(seen.topics(), [""; 0]);
    let then = seen.next.unwrap();
    assert!(then.0 <= now.0 + u64::from(config.backoff.base_ms));
    let second = perform(&mut agent, then).publish();
    assert_eq!(second.topic, ABOUT_NEXT);
    // The first one's receipt says nothing about the second.
    let before = agent.clone();
    agent.handle_done(then, first.receipt, Completion::Failed);
    assert_eq!(agent, before);
}

#[test]
fn a_start_that_did_not_leave_is_sent_again_after_the_back_off_and_not_after_the_reply_time_out() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let first = claim(&mut agent, now, RunPolicy::DEFAULT);
    agent.handle_done(now, first.receipt, Completion::Failed);
    let seen = perform(&mut agent, now);
    assert_eq!(seen.topics(), [""; 0]);
    let then = seen.next.unwrap();
    assert!(then.0 <= now.0 + u64::from(config.backoff.base_ms));
    let second = perform(&mut agent, then).publish();
    assert_eq!(second.topic, START);
    let before = agent.clone();
    agent.handle_done(then, first.receipt, Completion::Failed);
    assert_eq!(agent, before);
}

#[test]
fn a_reset_that_fails_is_asked_for_again_soon_and_one_that_was_taken_on_is_waited_for() {
    const MINUTE_MS: u64 = 60_000;
    let config = config();
    let now = Millis(0);
    for (completion, again) in [(Completion::Failed, true), (Completion::Done, false)] {
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        agent.restore(0, &parked()).unwrap();
        let first = perform(&mut agent, now).reset.unwrap();
        agent.handle_done(now, first, completion);
        let seen = perform(&mut agent, now);
        assert!(seen.reset.is_none());
        let seen = perform(&mut agent, Millis(MINUTE_MS));
        assert_eq!(seen.reset.is_some(), again, "{completion:?}");
        // What the first one came to says nothing about the second.
        let before = agent.clone();
        if again {
            agent.handle_done(Millis(MINUTE_MS), first, Completion::Failed);
        }
        assert_eq!(agent, before);
    }
}

#[test]
fn an_agent_is_idle_when_no_slot_holds_a_job_or_a_record() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    assert!(agent.is_idle());
    // A job that is claimed has no record yet.
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    assert!(!agent.is_idle());
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_outcome(now, slot, run, &Outcome::succeeded());
    let report = perform(&mut agent, now).publish();
    accept(&mut agent, now, &report, "");
    // A job that is over has one still.
    let mut scratch = Scratch::new();
    let receipt = loop {
        assert!(!agent.is_idle());
        match agent.poll(now, &mut scratch) {
            Output::Erase { receipt, .. } => break receipt,
            Output::Ended { .. } => assert_eq!(agent.phase(0), Some(Phase::Free)),
            other => panic!("{other:?}"),
        }
    };
    assert!(!agent.is_idle());
    agent.handle_done(now, receipt, Completion::Done);
    assert!(agent.is_idle());
}

#[test]
fn the_queue_is_asked_once_a_connection_however_often_the_subscription_is_refused() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let question = connect(&mut agent, now);
    accept(&mut agent, now, &question, "");
    perform(&mut agent, now);
    agent.handle_disconnected(now);
    agent.handle_connected(now);
    let mut refused = perform(&mut agent, now).subscription.unwrap();
    for refusal in 0..4 {
        agent.handle_done(now, refused, Completion::Failed);
        let seen = perform(&mut agent, now);
        if refusal == 0 {
            let question = seen.publish();
            assert_eq!(question.topic, ABOUT_NEXT);
            accept(&mut agent, now, &question, "");
        } else {
            assert_eq!(seen.topics(), [""; 0]);
        }
        now = perform(&mut agent, now).next.unwrap();
        refused = perform(&mut agent, now).subscription.unwrap();
    }
}

#[test]
fn a_job_claimed_before_a_reconnection_is_not_asked_about_beside_its_start() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    claim(&mut agent, now, RunPolicy::DEFAULT);
    let seen = reconnect(&mut agent, now);
    let start = seen.publishes.iter().find(|p| p.topic == START).unwrap();
    accept(&mut agent, now, start, "");
    let seen = perform(&mut agent, now);
    assert!(seen.run.is_some());
    assert_eq!(seen.topics(), [""; 0]);
}

#[test]
fn a_job_at_work_is_asked_about_once_an_hour() {
    const HOURS: u64 = 5;
    let config = config();
    let start_ms = 1_000;
    let mut now = Millis(start_ms);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    work(&mut agent, now, &start);
    let mut asked = 0;
    loop {
        now = perform(&mut agent, now).next.unwrap();
        if now.0 > start_ms + HOURS * u64::from(config.resync_ms) {
            break;
        }
        let question = perform(&mut agent, now).publish();
        assert_eq!(question.topic, ABOUT_A);
        let on =
            r#""execution":{"jobId":"a","status":"IN_PROGRESS","queuedAt":1,"executionNumber":1},"#;
        accept(&mut agent, now, &question, on);
        asked += 1;
    }
    assert_eq!(asked, HOURS);
}

#[test]
fn requests_are_sent_at_least_once_and_progress_at_most_once() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    assert!(start.at_least_once);
    let (slot, run) = work(&mut agent, now, &start);
    let progress = Progress::percent(10);
    agent.handle_progress(slot, run, &progress);
    let report = perform(&mut agent, now).publish();
    assert!(report.payload.contains("10"));
    assert!(!report.at_least_once);
    agent.handle_outcome(now, slot, run, &Outcome::succeeded());
    // The report may be on its way still; the outcome waits for nothing.
    assert!(perform(&mut agent, now).publish().at_least_once);
}

#[test]
fn the_dead_mans_switch_is_set_with_the_start_and_not_with_the_outcome() {
    const SWITCH: &str = r#""stepTimeoutInMinutes":5"#;
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let policy = RunPolicy {
        step_timeout_minutes: Some(5),
        ..RunPolicy::DEFAULT
    };
    let start = claim(&mut agent, now, policy);
    assert!(start.payload.contains(SWITCH), "{}", start.payload);
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_outcome(now, slot, run, &Outcome::succeeded());
    let report = perform(&mut agent, now).publish();
    assert!(!report.payload.contains("stepTimeout"));
}

#[test]
fn a_reply_to_the_other_question_or_to_an_earlier_one_answers_nothing() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let first = connect(&mut agent, now);
    agent.handle_done(now, first.receipt, Completion::Failed);
    let then = perform(&mut agent, now).next.unwrap();
    let second = perform(&mut agent, then).publish();
    let before = agent.clone();
    // The list has not been asked for; and the first question is no more.
    for (payload, topic) in [
        (&second.payload, "$aws/things/pump/jobs/get/accepted"),
        (&first.payload, "$aws/things/pump/jobs/$next/get/accepted"),
    ] {
        let handled = agent.handle_publish(then, topic, payload.as_bytes());
        assert!(matches!(handled, Handled::Ignored(Ignored::Token)));
        assert_eq!(agent, before, "{topic}");
    }
}

#[test]
fn a_checkpoint_that_needs_the_document_says_so_in_its_record() {
    let config = config();
    let now = Millis(1_000);
    for needs_document in [false, true] {
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        let start = claim(&mut agent, now, RunPolicy::DEFAULT);
        let (slot, run) = work(&mut agent, now, &start);
        let mut checkpoint = Checkpoint::new(&[1, 7]).unwrap();
        if needs_document {
            checkpoint = checkpoint.with_document();
        }
        agent
            .handle_checkpoint(now, slot, run, &checkpoint)
            .unwrap();
        let record = perform(&mut agent, now).record.unwrap();
        assert_eq!(record.needs_document, needs_document);
        assert_eq!(record.body, [1, 7]);
    }
}

#[test]
fn errors_say_in_words_what_they_mean() {
    assert!(CheckpointTooLong.to_string().contains("too long"));
    assert!(Stale.to_string().contains("run"));
    let words = RecordError::Field.to_string();
    assert!(words.contains("record"), "{words}");
}

#[test]
fn the_scratch_space_is_as_small_as_its_documentation_says() {
    let kib = if cfg!(feature = "large-details") {
        9.0
    } else {
        1.2
    };
    let len = u32::try_from(size_of::<Scratch>()).unwrap();
    let deviation = f64::from(len) / 1_024.0 / kib - 1.0;
    assert!(deviation.abs() < 0.1, "{len} bytes");
}
