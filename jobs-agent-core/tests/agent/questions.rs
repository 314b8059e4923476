//! What is asked, in which order, and what is made of answers that say less than was asked for.

use jobs_agent_core::{
    Agent, Ending, Handled, Ignored, Millis, Outcome, Phase, Progress, Record, Refusal, RunPolicy,
};

use crate::support::{
    ABOUT_A, ABOUT_NEXT, BOOT, OFFER, OneJob, Publish, START, accept, checkpoint_of_a, claim,
    config, connect, connect_idle, next_publish, offer, perform, reconnect, reply, stored, tell,
    words, work,
};

/// How a list names the job.
const LINE: &str = r#"{"jobId":"a","queuedAt":1,"executionNumber":1}"#;
const NUMBER: &str = r#""executionNumber":1"#;
/// What the service says about the job when it leaves the document out.
const NO_DOCUMENT: &str =
    r#""execution":{"jobId":"a","status":"QUEUED","queuedAt":1,"executionNumber":1},"#;
const INVALID: &str = r#""code":"InvalidRequest","message":"","#;

/// A job was named in a list: the question about it is out.
fn asked_about(agent: &mut OneJob<'_>, now: &mut Millis, line: &str) -> Publish {
    tell(agent, *now, line);
    let question = next_publish(agent, now);
    assert_eq!(question.topic, ABOUT_A);
    question
}

#[test]
fn jobs_in_progress_are_looked_at_first_and_one_that_is_listed_gives_way_to_no_other() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut agent, now);
    let list = r#"{"jobs":{"PAUSED":[{"jobId":"p","queuedAt":1}],
        "QUEUED":[{"jobId":"b","queuedAt":1},{"jobId":"c","queuedAt":1}],
        "IN_PROGRESS":[{"jobId":"a","queuedAt":1}]}}"#;
    let topic = "$aws/things/pump/jobs/notify";
    let handled = agent.handle_publish(now, topic, list.as_bytes());
    assert!(matches!(handled, Handled::Taken), "{handled:?}");
    assert_eq!(next_publish(&mut agent, &mut now).topic, ABOUT_A);
}

#[test]
fn a_question_names_the_execution_as_far_as_it_is_known() {
    let config = config();
    for (line, named) in [(LINE, true), (r#"{"jobId":"a"}"#, false)] {
        let mut now = Millis(1_000);
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        connect_idle(&mut agent, now);
        let question = asked_about(&mut agent, &mut now, line);
        assert_eq!(question.payload.contains("executionNumber"), named);
    }
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, Millis(1_000), RunPolicy::DEFAULT);
    assert!(start.payload.contains(NUMBER), "{}", start.payload);
}

#[test]
fn a_job_left_alone_is_known_by_all_that_was_told_and_not_by_its_id_alone() {
    let config = config();
    let now = Millis(1_000);
    // The hash of one id is even, that of the other odd.
    for id in ["a", "b"] {
        for queued_at in [1, 2] {
            let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
            connect_idle(&mut agent, now);
            let ours = String::from_utf8(OFFER.into()).unwrap();
            let ours = ours
                .replace("\"a\"", &format!("\"{id}\""))
                .replace("\"queuedAt\":1", &format!("\"queuedAt\":{queued_at}"));
            let ticket = offer(&mut agent, now, ours.as_bytes());
            agent.handle_plan(now, ticket, Err(Refusal::NotMine));
            assert_eq!(perform(&mut agent, now).ended, Some(Ending::Left));
            let line = format!(r#"{{"jobId":"{id}","queuedAt":{queued_at},"executionNumber":1}}"#);
            tell(&mut agent, now, &line);
            assert_eq!(agent.phase(0), Some(Phase::Free), "{line}");
            tell(&mut agent, now, &format!(r#"{{"jobId":"{id}"}}"#));
            assert_eq!(agent.phase(0), Some(Phase::Listed), "{line}");
        }
    }
}

#[test]
fn a_document_that_was_asked_for_and_left_out_is_an_empty_one() {
    let config = config();
    let mut now = Millis(1_000);
    let mut heard: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut heard, now);
    let about = asked_about(&mut heard, &mut now, LINE);
    let mut fresh: OneJob<'_> = Agent::new(&config, BOOT);
    let head = connect(&mut fresh, now);
    for (mut agent, question) in [(heard, about), (fresh, head)] {
        let topic = format!("{}/accepted", question.topic);
        let answer = words(&question, NO_DOCUMENT);
        match agent.handle_publish(now, &topic, answer.as_bytes()) {
            Handled::Offer(_, offer) => assert_eq!(offer.document.0, b"{}"),
            other => panic!("{topic}: {other:?}"),
        }
    }
}

#[test]
fn a_head_that_is_over_leads_to_no_further_question() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let question = connect(&mut agent, now);
    let over = NO_DOCUMENT.replace("QUEUED", "CANCELED");
    let topic = format!("{ABOUT_NEXT}/accepted");
    let answer = words(&question, &over);
    let handled = agent.handle_publish(now, &topic, answer.as_bytes());
    assert!(matches!(handled, Handled::Ignored(Ignored::Irrelevant)));
    assert_eq!(perform(&mut agent, now).topics(), [""; 0]);
}

#[test]
fn a_listed_job_that_the_service_does_not_have_is_forgotten_without_a_word() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut agent, now);
    let question = asked_about(&mut agent, &mut now, LINE);
    let answered = now;
    accept(&mut agent, now, &question, "");
    assert_eq!(perform(&mut agent, now).ended, Some(Ending::AlreadyOver));
    // The slow check is all that is left to ask.
    assert_eq!(next_publish(&mut agent, &mut now).topic, ABOUT_NEXT);
    assert!(answered.until(now) > u64::from(config.resync_ms) / 2);
}

#[test]
fn a_question_refused_for_good_ends_a_job_that_is_only_listed() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut agent, now);
    let question = asked_about(&mut agent, &mut now, LINE);
    reply(&mut agent, now, &question, "rejected", INVALID);
    assert_eq!(perform(&mut agent, now).ended, Some(Ending::Refused));
    tell(&mut agent, now, LINE);
    assert!(agent.is_idle(), "it is left from then on");
}

#[test]
fn a_question_refused_for_good_is_put_again_about_a_job_that_was_begun() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    agent.restore(0, &checkpoint(true)).unwrap();
    for seen in [reconnect(&mut agent, now), perform(&mut agent, now)] {
        for question in seen.publishes.iter().filter(|p| p.topic == ABOUT_A) {
            reply(&mut agent, now, question, "rejected", INVALID);
        }
    }
    assert_eq!(agent.phase(0), Some(Phase::Recovering));
    while next_publish(&mut agent, &mut now).topic != ABOUT_A {}
}

#[test]
fn an_unreadable_answer_about_a_job_that_is_done_does_not_delay_its_report() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_outcome(now, slot, run, &Outcome::succeeded());
    perform(&mut agent, now);
    // Whether the execution is still ours is asked before an outcome over a connection anew.
    let seen = reconnect(&mut agent, now);
    let question = seen.publishes.iter().find(|p| p.topic == ABOUT_A).unwrap();
    let unreadable = r#""execution":{"executionNumber":{},"jobId":"a","queuedAt":1},"#;
    accept(&mut agent, now, question, unreadable);
    let report = perform(&mut agent, now).publish();
    assert!(report.payload.contains("SUCCEEDED"), "{}", report.payload);
}

#[test]
fn of_a_report_and_a_question_that_are_due_the_question_goes_first() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_progress(slot, run, &Progress::percent(1));
    tell(&mut agent, now, "");
    assert_eq!(perform(&mut agent, now).publish().topic, ABOUT_A);
}

#[test]
fn of_the_head_and_the_list_that_are_due_the_head_is_asked_for_first() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    // Neither the new head nor what is listed has a place.
    let head = String::from_utf8(OFFER.into()).unwrap();
    let head = head.replace("\"a\"", "\"b\"");
    let topic = "$aws/things/pump/jobs/notify-next";
    let handled = agent.handle_publish(now, topic, head.as_bytes());
    assert!(matches!(handled, Handled::Ignored(Ignored::Busy)));
    tell(&mut agent, now, &format!(r#"{LINE},{{"jobId":"c"}}"#));
    agent.handle_outcome(now, slot, run, &Outcome::succeeded());
    let report = perform(&mut agent, now).publish();
    accept(&mut agent, now, &report, "");
    assert_eq!(perform(&mut agent, now).publish().topic, ABOUT_NEXT);
}

#[test]
fn an_answer_that_comes_after_the_last_word_of_the_handler_answers_nothing() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    tell(&mut agent, now, "");
    let question = perform(&mut agent, now).publish();
    agent.handle_outcome(now, slot, run, &Outcome::succeeded());
    let before = agent.clone();
    let topic = format!("{ABOUT_A}/accepted");
    let answer = words(&question, NO_DOCUMENT);
    let handled = agent.handle_publish(now, &topic, answer.as_bytes());
    assert!(matches!(handled, Handled::Ignored(Ignored::Token)));
    assert_eq!(agent, before);
}

/// The record of a job with a checkpoint, which is resumed without or with its document.
fn checkpoint(needs_document: bool) -> Vec<u8> {
    stored(&Record {
        needs_document,
        ..checkpoint_of_a()
    })
}

#[test]
fn the_dead_mans_switch_is_renewed_at_half_its_time_and_one_that_was_not_set_never() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let policy = RunPolicy {
        step_timeout_minutes: Some(5),
        ..RunPolicy::DEFAULT
    };
    let start = claim(&mut agent, now, policy);
    let begun = now;
    work(&mut agent, now, &start);
    assert_eq!(next_publish(&mut agent, &mut now).topic, START);
    assert_eq!(begun.until(now), 150_000);

    let mut resumed: OneJob<'_> = Agent::new(&config, BOOT);
    resumed.restore(0, &checkpoint(false)).unwrap();
    assert!(perform(&mut resumed, now).run.is_some());
    let seen = reconnect(&mut resumed, now);
    assert!(!seen.topics().contains(&START), "{:?}", seen.topics());
}

#[test]
fn a_handler_that_is_gone_without_a_word_leaves_a_failed_job_and_the_reason() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_aborted(now, slot, run, "the handler panicked");
    let report = perform(&mut agent, now).publish();
    assert!(report.payload.contains("FAILED"), "{}", report.payload);
    assert!(report.payload.contains("the handler panicked"));
}
