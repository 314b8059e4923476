//! P6: a document that is larger than the receive buffer. The broker drops it without a word; only
//! what is answered without the document, and stays unanswered with it right after, does not fit.

use jobs_agent_core::{Agent, Completion, Config, Millis, Unclaimed};

use crate::support::{
    ABOUT_A, ABOUT_NEXT, BOOT, OneJob, Publish, START, accept, config, connect, connect_idle,
    next_publish, perform, reconnect, reply, tell,
};

const BARE: &str = r#""includeJobDocument":false"#;
/// What the service says about the job when it leaves the document out.
const NO_DOCUMENT: &str =
    r#""execution":{"jobId":"a","status":"QUEUED","queuedAt":1,"executionNumber":1},"#;
/// How a list names it.
const LINE: &str = r#"{"jobId":"a","queuedAt":1,"executionNumber":1}"#;
const TROUBLE: &str = r#""code":"InternalError","message":"","#;
const REASON: &str = "job document does not fit this device's receive buffer";

/// An agent that heard of a job by name alone.
fn told<'c>(config: &'c Config<'c>, now: Millis) -> OneJob<'c> {
    let mut agent = Agent::new(config, BOOT);
    connect_idle(&mut agent, now);
    tell(&mut agent, now, LINE);
    agent
}

/// The next question about the job, and whether it asks for the document.
fn asked(agent: &mut OneJob<'_>, now: &mut Millis, with_document: bool) -> Publish {
    let question = next_publish(agent, now);
    assert_eq!(question.topic, ABOUT_A, "{}", question.payload);
    assert_eq!(!question.payload.contains(BARE), with_document);
    question
}

/// Two questions in vain, one answered without the document: the last one is out.
fn last_question(agent: &mut OneJob<'_>, now: &mut Millis) -> Publish {
    asked(agent, now, true);
    asked(agent, now, true);
    answered_bare(agent, now)
}

/// The question without the document, answered: the last one is out.
fn answered_bare(agent: &mut OneJob<'_>, now: &mut Millis) -> Publish {
    let bare = asked(agent, now, false);
    accept(agent, *now, &bare, NO_DOCUMENT);
    asked(agent, now, true)
}

/// Nobody answers the question that is out: the job is refused.
fn assert_refused(agent: &mut OneJob<'_>, now: &mut Millis) {
    let report = next_publish(agent, now);
    assert_eq!(report.topic, START);
    assert!(report.payload.contains("REJECTED") && report.payload.contains(REASON));
}

#[test]
fn a_document_that_never_comes_though_the_service_answers_is_refused() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent = told(&config, now);
    last_question(&mut agent, &mut now);
    assert_refused(&mut agent, &mut now);
}

#[test]
fn a_service_that_answers_nothing_at_all_is_no_sign_of_a_large_document() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent = told(&config, now);
    asked(&mut agent, &mut now, true);
    asked(&mut agent, &mut now, true);
    // It is asked without the document from here on; given up, the queue tells of it again.
    asked(&mut agent, &mut now, false);
    asked(&mut agent, &mut now, false);
    assert_eq!(next_publish(&mut agent, &mut now).topic, ABOUT_NEXT);
}

#[test]
fn the_last_question_proves_nothing_over_a_cut_of_the_connection() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent = told(&config, now);
    last_question(&mut agent, &mut now);
    let seen = reconnect(&mut agent, now);
    let about = seen.publishes.iter().find(|p| p.topic == ABOUT_A).unwrap();
    assert!(about.payload.contains(BARE), "{}", about.payload);
    for question in &seen.publishes {
        let members = if question.topic == ABOUT_A {
            NO_DOCUMENT
        } else {
            ""
        };
        accept(&mut agent, now, question, members);
    }
    asked(&mut agent, &mut now, true);
    assert_refused(&mut agent, &mut now);
}

#[test]
fn a_last_question_that_did_not_leave_proves_nothing() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent = told(&config, now);
    let last = last_question(&mut agent, &mut now);
    agent.handle_done(now, last.receipt, Completion::Failed);
    answered_bare(&mut agent, &mut now);
    assert_refused(&mut agent, &mut now);
}

#[test]
fn a_service_in_trouble_at_the_last_question_begins_the_row_anew() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent = told(&config, now);
    let last = last_question(&mut agent, &mut now);
    reply(&mut agent, now, &last, "rejected", TROUBLE);
    asked(&mut agent, &mut now, true);
    // Not answered either: given up like any other, not refused; the queue tells of it again.
    assert_eq!(next_publish(&mut agent, &mut now).topic, ABOUT_NEXT);
}

#[test]
fn a_document_that_does_not_fit_is_left_to_others_where_jobs_are_left() {
    let config = Config {
        unclaimed: Unclaimed::Leave,
        ..config()
    };
    let mut now = Millis(1_000);
    let mut agent = told(&config, now);
    last_question(&mut agent, &mut now);
    // Nobody else's job is answered; what is behind it is looked for at once.
    let list = next_publish(&mut agent, &mut now);
    assert_eq!(list.topic, "$aws/things/pump/jobs/get");
    assert!(agent.is_idle());
}

#[test]
fn the_head_is_asked_for_without_its_document_after_two_questions_in_vain_until_an_answer_comes() {
    let config = config();
    for (how, members) in [("accepted", ""), ("rejected", TROUBLE)] {
        let mut now = Millis(1_000);
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        let mut questions = vec![connect(&mut agent, now)];
        for _ in 0..2 {
            questions.push(next_publish(&mut agent, &mut now));
        }
        let bare = questions.iter().map(|q| q.payload.contains(BARE));
        assert_eq!(bare.collect::<Vec<_>>(), [false, false, true]);
        reply(&mut agent, now, &questions[2], how, members);
        let next = loop {
            let next = next_publish(&mut agent, &mut now);
            if next.topic == ABOUT_NEXT {
                break next;
            }
        };
        assert!(!next.payload.contains(BARE), "{how}");
    }
}

#[test]
fn a_head_without_its_document_is_asked_about_by_itself() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect(&mut agent, now);
    next_publish(&mut agent, &mut now);
    let bare = next_publish(&mut agent, &mut now);
    accept(&mut agent, now, &bare, NO_DOCUMENT);
    let seen = perform(&mut agent, now);
    assert!(seen.topics().contains(&ABOUT_A), "{:?}", seen.topics());
}
