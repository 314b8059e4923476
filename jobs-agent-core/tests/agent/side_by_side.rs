//! Jobs side by side: what one slot does, and does not do, about the other.

use jobs_agent_core::{
    Agent, Checkpoint, Completion, Config, Handled, Ignored, Millis, Outcome, Output, Phase,
    Receipt, Record, RunId, RunPolicy, Scratch,
};

use crate::support::{
    BOOT, OFFER, Publish, TAG, accept, checkpoint_of_a, claim, config, offer, perform, stored, work,
};

type TwoJobs<'c> = Agent<'c, 2>;

/// The job `b`, offered like `a`.
fn other() -> String {
    let offer = String::from_utf8(OFFER.into()).unwrap();
    offer.replace("\"a\"", "\"b\"")
}

/// A handler works on `a`; the start of `b` is out.
fn work_and_claim(agent: &mut TwoJobs<'_>, now: Millis) -> ((u8, RunId), Publish) {
    let start = claim(agent, now, RunPolicy::DEFAULT);
    let a = work(agent, now, &start);
    let ticket = offer(agent, now, other().as_bytes());
    agent.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
    (a, perform(agent, now).publish())
}

/// Handlers work on `a`, in slot 0, and on `b`.
fn both_at_work(agent: &mut TwoJobs<'_>, now: Millis) -> [(u8, RunId); 2] {
    let (a, start) = work_and_claim(agent, now);
    let b = work(agent, now, &start);
    assert_eq!((a.0, b.0), (0, 1));
    [a, b]
}

fn reboot() -> Outcome {
    Outcome::Reboot(Checkpoint::new(&[3]).unwrap())
}

/// The agent hands out the record of this slot.
fn persist(agent: &mut TwoJobs<'_>, now: Millis, of: u8) -> Receipt {
    match agent.poll(now, &mut Scratch::new()) {
        Output::Persist { receipt, slot, .. } if slot == of => receipt,
        other => panic!("no record of slot {of}: {other:?}"),
    }
}

/// `a` wants a reset, and the handler of `b` is done as the grace ends: when that is, and the record
/// of `b` on its way.
fn last_word_as_the_grace_ends(
    agent: &mut TwoJobs<'_>,
    config: &Config<'_>,
    now: Millis,
) -> (Millis, Receipt) {
    let [a, b] = both_at_work(agent, now);
    agent.handle_outcome(now, a.0, a.1, &reboot());
    assert!(perform(agent, now).reset.is_none());
    let end = now.plus(config.reboot_grace_ms.into());
    agent.handle_outcome(end, b.0, b.1, &Outcome::succeeded());
    (end, persist(agent, end, b.0))
}

fn waits(agent: &mut TwoJobs<'_>, now: Millis) -> bool {
    matches!(agent.poll(now, &mut Scratch::new()), Output::Wait(_))
}

#[test]
fn an_offer_is_not_taken_while_a_reset_is_coming() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: TwoJobs<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_outcome(now, slot, run, &reboot());
    assert!(perform(&mut agent, now).reset.is_some());
    let topic = "$aws/things/pump/jobs/notify-next";
    let offer = other();
    let handled = agent.handle_publish(now, topic, offer.as_bytes());
    assert!(matches!(handled, Handled::Ignored(Ignored::Busy)));
}

#[test]
fn a_start_that_is_confirmed_while_a_reset_is_wanted_is_not_made_and_does_not_hold_it_up() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: TwoJobs<'_> = Agent::new(&config, BOOT);
    let ((slot, run), start) = work_and_claim(&mut agent, now);
    agent.handle_outcome(now, slot, run, &reboot());
    accept(&mut agent, now, &start, "");
    let seen = perform(&mut agent, now);
    assert_eq!(agent.phase(1), Some(Phase::Opening));
    assert_eq!(seen.record.unwrap().job_id, "a");
    assert!(seen.run.is_none());
    assert!(seen.reset.is_some());
}

#[test]
fn a_reset_waits_for_a_write_under_way_longer_than_for_a_handler() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: TwoJobs<'_> = Agent::new(&config, BOOT);
    let [a, b] = both_at_work(&mut agent, now);
    agent.handle_outcome(now, b.0, b.1, &Outcome::succeeded());
    let under_way = persist(&mut agent, now, b.0);
    agent.handle_outcome(now, a.0, a.1, &reboot());
    let parked = persist(&mut agent, now, a.0);
    agent.handle_done(now, parked, Completion::Done);
    assert!(waits(&mut agent, now));
    let later = now.plus(2 * u64::from(config.reboot_grace_ms));
    assert!(waits(&mut agent, later));
    agent.handle_done(later, under_way, Completion::Done);
    assert!(perform(&mut agent, later).reset.is_some());
}

#[test]
fn a_last_word_given_as_the_grace_ends_is_written_before_the_reset() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: TwoJobs<'_> = Agent::new(&config, BOOT);
    let (end, last_word) = last_word_as_the_grace_ends(&mut agent, &config, now);
    agent.handle_done(end, last_word, Completion::Done);
    assert!(perform(&mut agent, end).reset.is_some());
}

#[test]
fn a_write_that_keeps_failing_does_not_hold_up_a_reset_beyond_the_grace() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: TwoJobs<'_> = Agent::new(&config, BOOT);
    let (end, last_word) = last_word_as_the_grace_ends(&mut agent, &config, now);
    agent.handle_done(end, last_word, Completion::Failed);
    let mut scratch = Scratch::new();
    let next = agent.poll(end, &mut scratch);
    assert!(matches!(next, Output::Reboot(_)), "{next:?}");
}

/// The record of this execution of a job, with a checkpoint.
fn record(job_id: &str, execution_number: i64) -> Vec<u8> {
    stored(&Record {
        job_id: job_id.try_into().unwrap(),
        execution_number: Some(execution_number),
        ..checkpoint_of_a()
    })
}

#[test]
fn of_two_records_of_one_job_the_earlier_is_left_behind_in_whichever_slot_it_is() {
    let config = config();
    for (earlier, later) in [(0, 1), (1, 0)] {
        let mut agent: TwoJobs<'_> = Agent::new(&config, BOOT);
        agent.restore(later, &record("a", 2)).unwrap();
        agent.restore(earlier, &record("a", 1)).unwrap();
        assert_eq!(agent.phase(earlier), Some(Phase::Free));
        assert_eq!(agent.phase(later), Some(Phase::Opening));
    }
}

#[test]
fn of_two_records_of_one_execution_the_one_in_the_lower_slot_counts() {
    let config = config();
    for order in [[0, 1], [1, 0]] {
        let mut agent: TwoJobs<'_> = Agent::new(&config, BOOT);
        for slot in order {
            agent.restore(slot, &record("a", 2)).unwrap();
        }
        assert_eq!(agent.phase(0), Some(Phase::Opening));
        assert_eq!(agent.phase(1), Some(Phase::Free));
    }
}

#[test]
fn records_of_two_jobs_and_of_executions_without_a_number_count_both() {
    let config = config();
    for [first, second] in [
        [record("a", 1), record("b", 1)],
        [record("a", 1), record("b", 2)],
        [record("a", 2), record("b", 1)],
        [record("a", 0), record("a", 0)],
    ] {
        let mut agent: TwoJobs<'_> = Agent::new(&config, BOOT);
        agent.restore(0, &first).unwrap();
        agent.restore(1, &second).unwrap();
        assert_eq!(agent.phase(0), Some(Phase::Opening));
        assert_eq!(agent.phase(1), Some(Phase::Opening));
    }
}
