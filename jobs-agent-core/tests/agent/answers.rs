//! What the service's answers mean for a job: refusals, repetitions, and what an answer leaves as
//! it was.

use jobs_agent_core::{
    Agent, Ending, Handled, Ignored, Millis, Outcome, Phase, Progress, Refusal, RunPolicy,
    StopReason,
};

use crate::support::{
    ABOUT_A, ABOUT_NEXT, BOOT, OFFER, OneJob, START, TAG, accept, claim, config, connect,
    connect_idle, next_publish, offer, perform, reconnect, reply, tell, words, work,
};

const MINUTE_MS: u64 = 60_000;
const LIST: &str = "$aws/things/pump/jobs/get";
const INVALID: &str = r#""code":"InvalidRequest","message":"","#;
const NOT_FOUND: &str = r#""code":"ResourceNotFound","message":"","#;

/// What the service says about the execution in this status.
fn execution(status: &str) -> String {
    format!(
        r#""execution":{{"jobId":"a","status":"{status}","queuedAt":1,"executionNumber":1,"jobDocument":{{}}}},"#
    )
}

#[test]
fn a_report_refused_for_good_is_sent_again_without_details_and_given_up_after_three() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_outcome(now, slot, run, &Outcome::failed("broken pipe"));
    for details in [true, false, false] {
        let report = next_publish(&mut agent, &mut now);
        assert_eq!(report.topic, START);
        assert_eq!(report.payload.contains("broken pipe"), details);
        assert!(!agent.is_idle());
        reply(&mut agent, now, &report, "rejected", INVALID);
    }
    assert_eq!(perform(&mut agent, now).ended, Some(Ending::Refused));
    assert!(agent.is_idle());
}

#[test]
fn a_start_refused_for_good_ends_the_job_and_the_same_offer_is_left_from_then_on() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    reply(&mut agent, now, &start, "rejected", INVALID);
    let seen = perform(&mut agent, now);
    assert_eq!(seen.ended, Some(Ending::Refused));
    assert!(agent.is_idle());
    let topic = "$aws/things/pump/jobs/notify-next";
    let again = agent.handle_publish(now, topic, OFFER);
    assert!(matches!(again, Handled::Ignored(Ignored::Left)));
}

#[test]
fn a_refused_question_is_put_again_after_the_wait_of_its_kind_of_error() {
    let config = config();
    for (code, backoff) in [
        ("InternalError", config.backoff),
        ("RequestThrottled", config.throttled),
    ] {
        let now = Millis(1_000);
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        let question = connect(&mut agent, now);
        let members = format!(r#""code":"{code}","message":"","#);
        reply(&mut agent, now, &question, "rejected", &members);
        let mut then = now;
        assert_eq!(next_publish(&mut agent, &mut then).topic, ABOUT_NEXT);
        let base_ms = u64::from(backoff.base_ms);
        let waited_ms = then.0 - now.0;
        assert!(
            (base_ms / 2..=base_ms).contains(&waited_ms),
            "{code}: {waited_ms}"
        );
    }
}

#[test]
fn a_refusal_with_the_token_of_an_earlier_question_changes_nothing() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let first = connect(&mut agent, now);
    next_publish(&mut agent, &mut now);
    let before = agent.clone();
    let token = first.payload.trim_matches(['{', '}']);
    let refusal = format!(r#"{{"code":"InternalError","message":"",{token}}}"#);
    let topic = "$aws/things/pump/jobs/$next/get/rejected";
    let handled = agent.handle_publish(now, topic, refusal.as_bytes());
    assert!(matches!(handled, Handled::Ignored(Ignored::Token)));
    assert_eq!(agent, before);
}

#[test]
fn a_job_that_four_reads_do_not_find_is_gone_and_not_after_three() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    work(&mut agent, now, &start);
    for _ in 0..4 {
        assert_eq!(agent.phase(0), Some(Phase::Running));
        let question = next_publish(&mut agent, &mut now);
        assert_eq!(question.topic, ABOUT_A);
        reply(&mut agent, now, &question, "rejected", NOT_FOUND);
    }
    assert_eq!(perform(&mut agent, now).stop, Some(StopReason::Removed));
}

#[test]
fn a_handler_is_told_what_the_service_says_of_its_job() {
    for (status, reason) in [
        ("CANCELED", StopReason::Canceled),
        ("TIMED_OUT", StopReason::TimedOut),
        ("REMOVED", StopReason::Removed),
        ("SUCCEEDED", StopReason::Over),
    ] {
        let config = config();
        let mut now = Millis(1_000);
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        let start = claim(&mut agent, now, RunPolicy::DEFAULT);
        work(&mut agent, now, &start);
        let question = next_publish(&mut agent, &mut now);
        accept(&mut agent, now, &question, &execution(status));
        assert_eq!(perform(&mut agent, now).stop, Some(reason));
    }
}

#[test]
fn a_job_that_is_over_before_its_outcome_is_sent_ends_as_already_over() {
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
    accept(&mut agent, now, question, &execution("CANCELED"));
    assert_eq!(perform(&mut agent, now).ended, Some(Ending::AlreadyOver));
}

#[test]
fn accepted_reports_stand_in_for_questions_about_a_job_at_work() {
    let config = config();
    let start_ms = 1_000;
    let mut now = Millis(start_ms);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    // For six hours, a report every half an hour.
    for percent in 1..12 {
        now = Millis(start_ms + u64::from(percent) * 30 * MINUTE_MS);
        agent.handle_progress(slot, run, &Progress::percent(percent));
        let report = perform(&mut agent, now).publish();
        assert_eq!(report.topic, START);
        accept(&mut agent, now, &report, "");
    }
}

#[test]
fn a_question_that_is_due_is_put_although_a_report_was_accepted() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_progress(slot, run, &Progress::percent(1));
    let report = perform(&mut agent, now).publish();
    // A list without the job: is it gone?
    tell(&mut agent, now, "");
    accept(&mut agent, now, &report, "");
    assert_eq!(perform(&mut agent, now).publish().topic, ABOUT_A);
}

#[test]
fn a_listed_job_that_turns_out_to_be_over_or_another_is_not_offered() {
    let other = execution("QUEUED").replace("\"executionNumber\":1", "\"executionNumber\":2");
    for answer in [execution("CANCELED"), other] {
        let config = config();
        let mut now = Millis(1_000);
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        connect_idle(&mut agent, now);
        tell(
            &mut agent,
            now,
            r#"{"jobId":"a","queuedAt":1,"executionNumber":1}"#,
        );
        let question = next_publish(&mut agent, &mut now);
        assert_eq!(question.topic, ABOUT_A);
        // No offer.
        accept(&mut agent, now, &question, &answer);
        assert!(agent.is_idle());
    }
}

#[test]
fn a_document_that_cannot_be_read_twice_is_refused_and_not_after_once() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut agent, now);
    tell(
        &mut agent,
        now,
        r#"{"jobId":"a","queuedAt":1,"executionNumber":1}"#,
    );
    for _ in 0..2 {
        let question = next_publish(&mut agent, &mut now);
        assert_eq!(question.topic, ABOUT_A);
        // The token stands before what is broken.
        let broken = words(&question, "").replace('}', ",");
        let broken = broken + &execution("QUEUED").replace("{}", "{]");
        let topic = format!("{ABOUT_A}/accepted");
        let handled = agent.handle_publish(now, &topic, broken.as_bytes());
        assert!(matches!(handled, Handled::Taken), "{handled:?}");
    }
    let report = next_publish(&mut agent, &mut now);
    assert!(report.payload.contains("REJECTED"), "{}", report.payload);
    assert!(report.payload.contains("job document unreadable"));
    // On hosts with what exactly is wrong.
    let fault = jobs_proto::decode::ErrorKind::Syntax.as_str();
    let said = report.payload.contains(&format!("unreadable: {fault}"));
    assert_eq!(said, cfg!(feature = "large-details"), "{}", report.payload);
}

#[test]
fn what_is_behind_the_head_is_listed_at_once_where_there_is_room_for_it() {
    let config = config();
    let now = Millis(1_000);
    let mut two: Agent<'_, 2> = Agent::new(&config, BOOT);
    let question = connect(&mut two, now);
    let topic = format!("{ABOUT_NEXT}/accepted");
    let token = question.payload.trim_matches(['{', '}']);
    let head = format!("{{{}{token}}}", execution("QUEUED"));
    let Handled::Offer(ticket, _) = two.handle_publish(now, &topic, head.as_bytes()) else {
        panic!("no offer");
    };
    two.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
    assert!(perform(&mut two, now).topics().contains(&LIST));
    // With one slot there is none: the start is all that is said.
    let mut one: OneJob<'_> = Agent::new(&config, BOOT);
    connect(&mut one, now);
    let Handled::Offer(ticket, _) = one.handle_publish(now, &topic, head.as_bytes()) else {
        panic!("no offer");
    };
    one.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
    assert_eq!(perform(&mut one, now).topics(), [START]);
}

#[test]
fn a_listed_job_that_gave_way_is_listed_again_when_the_slot_is_free() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut agent, now);
    tell(
        &mut agent,
        now,
        r#"{"jobId":"b","queuedAt":1,"executionNumber":1}"#,
    );
    let ticket = offer(&mut agent, now, OFFER);
    agent.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
    let start = perform(&mut agent, now).publish();
    let (slot, run) = work(&mut agent, now, &start);
    agent.handle_outcome(now, slot, run, &Outcome::succeeded());
    let report = perform(&mut agent, now).publish();
    accept(&mut agent, now, &report, "");
    assert_eq!(next_publish(&mut agent, &mut now).topic, LIST);
}

#[test]
fn a_job_left_alone_that_lists_name_without_number_or_time_is_known_by_its_id() {
    const BARE: &str = r#"{"jobId":"a"}"#;
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut agent, now);
    tell(&mut agent, now, BARE);
    let question = next_publish(&mut agent, &mut now);
    assert_eq!(question.topic, ABOUT_A);
    let token = question.payload.trim_matches(['{', '}']);
    let token = token
        .split(',')
        .find(|m| m.contains("clientToken"))
        .unwrap();
    let found = format!("{{{}{token}}}", execution("QUEUED"));
    let topic = format!("{ABOUT_A}/accepted");
    let Handled::Offer(ticket, _) = agent.handle_publish(now, &topic, found.as_bytes()) else {
        panic!("no offer");
    };
    agent.handle_plan(now, ticket, Err(Refusal::NotMine));
    let list = perform(&mut agent, now).publish();
    assert_eq!(list.topic, LIST);
    accept(&mut agent, now, &list, "");
    tell(&mut agent, now, BARE);
    assert_ne!(next_publish(&mut agent, &mut now).topic, ABOUT_A);
}

#[test]
fn of_two_jobs_at_work_the_one_that_a_list_lacks_is_asked_about() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: Agent<'_, 2> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    work(&mut agent, now, &start);
    let other = String::from_utf8(OFFER.into())
        .unwrap()
        .replace("\"a\"", "\"b\"");
    let ticket = offer(&mut agent, now, other.as_bytes());
    agent.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
    let start = perform(&mut agent, now).publish();
    work(&mut agent, now, &start);
    tell(
        &mut agent,
        now,
        r#"{"jobId":"a","queuedAt":1,"executionNumber":1}"#,
    );
    let asked = perform(&mut agent, now).publish();
    assert_eq!(asked.topic, "$aws/things/pump/jobs/b/get");
}
