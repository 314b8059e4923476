//! How a job begins: what its offer and its permit say, fresh and after a restart.

use core::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use jobs_agent_core::{
    Agent, Attempt, Checkpoint, Handled, JobHandler, JobPort, Millis, NoRoute, Offer, OperationTag,
    Outcome, Pairs, Progress, REASON_KEY, REASON_LEN_MAX, Reason, Record, RecordKind, Refusal,
    RunPolicy, Start, Status, StopReason, Stopped,
};
use jobs_proto::{JobId, document::Document};

use crate::support::{
    ABOUT_A, BOOT, OneJob, TAG, accept, checkpoint_of_a, claim, config, connect_idle, next_publish,
    offer, perform, stored, tell,
};

/// A record of the job `a`, with a checkpoint.
fn record(kind: RecordKind, needs_document: bool, attempts: u8) -> Vec<u8> {
    stored(&Record {
        kind,
        needs_document,
        attempts,
        ..checkpoint_of_a()
    })
}

#[test]
fn a_permit_says_which_execution_runs_and_until_when() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut agent, now);
    let payload = br#"{"execution":{"jobId":"a","status":"QUEUED","queuedAt":1,"executionNumber":7,"approximateSecondsBeforeTimedOut":600,"jobDocument":{}}}"#;
    let ticket = offer(&mut agent, now, payload);
    agent.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
    let start = perform(&mut agent, now).publish();
    accept(&mut agent, now, &start, "");
    let seen = perform(&mut agent, now);
    assert_eq!(seen.execution_number, Some(7));
    assert_eq!(seen.deadline, Some(Millis(now.0 + 600_000)));
    assert_eq!(seen.start, Some(Start::Fresh));
}

#[test]
fn a_permit_without_a_time_out_has_no_deadline() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    accept(&mut agent, now, &start, "");
    let seen = perform(&mut agent, now);
    assert!(seen.run.is_some());
    assert_eq!(seen.deadline, None);
}

#[test]
fn a_time_out_is_believed_up_to_the_seven_days_that_the_service_allows() {
    const SEVEN_DAYS_S: u64 = 604_800;
    let config = config();
    let now = Millis(1_000);
    for (said_s, believed_s) in [
        (SEVEN_DAYS_S - 1, SEVEN_DAYS_S - 1),
        (SEVEN_DAYS_S + 1, SEVEN_DAYS_S),
    ] {
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        connect_idle(&mut agent, now);
        let payload = format!(
            r#"{{"execution":{{"jobId":"a","status":"QUEUED","queuedAt":1,"executionNumber":1,"approximateSecondsBeforeTimedOut":{said_s},"jobDocument":{{}}}}}}"#
        );
        let ticket = offer(&mut agent, now, payload.as_bytes());
        agent.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
        let start = perform(&mut agent, now).publish();
        accept(&mut agent, now, &start, "");
        let deadline = perform(&mut agent, now).deadline;
        assert_eq!(deadline, Some(now.plus(believed_s * 1_000)));
    }
}

#[test]
fn what_a_list_left_out_is_taken_from_the_answer_into_the_record() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    connect_idle(&mut agent, now);
    tell(&mut agent, now, r#"{"jobId":"a"}"#);
    let question = next_publish(&mut agent, &mut now);
    let token = question.payload.trim_matches(['{', '}']);
    let token = token
        .split(',')
        .find(|m| m.contains("clientToken"))
        .unwrap();
    let found = format!(
        r#"{{"execution":{{"jobId":"a","status":"QUEUED","queuedAt":9,"executionNumber":4,"jobDocument":{{}}}},{token}}}"#
    );
    let topic = format!("{ABOUT_A}/accepted");
    let Handled::Offer(ticket, offer) = agent.handle_publish(now, &topic, found.as_bytes()) else {
        panic!("no offer");
    };
    assert!(!offer.resuming);
    agent.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
    let start = perform(&mut agent, now).publish();
    accept(&mut agent, now, &start, "");
    let record = perform(&mut agent, now).record.unwrap();
    assert_eq!((record.queued_at, record.execution_number), (9, Some(4)));
}

#[test]
fn a_checkpoint_resumes_at_once_without_any_network() {
    let config = config();
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    agent
        .restore(0, &record(RecordKind::Checkpoint, false, 1))
        .unwrap();
    let seen = perform(&mut agent, Millis(0));
    let resumed = Checkpoint::new(&[3]).unwrap();
    assert_eq!(seen.start, Some(Start::Resume(resumed)));
}

#[test]
fn a_checkpoint_that_needs_the_document_resumes_with_the_plan_of_a_new_offer() {
    let config = config();
    let mut now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    agent
        .restore(0, &record(RecordKind::Checkpoint, true, 1))
        .unwrap();
    connect_idle_beside(&mut agent, now);
    let question = next_publish(&mut agent, &mut now);
    assert_eq!(question.topic, ABOUT_A);
    let token = question.payload.trim_matches(['{', '}']);
    let token = token
        .split(',')
        .find(|m| m.contains("clientToken"))
        .unwrap();
    let found = format!(
        r#"{{"execution":{{"jobId":"a","status":"IN_PROGRESS","queuedAt":1,"executionNumber":1,"jobDocument":{{}}}},{token}}}"#
    );
    let topic = format!("{ABOUT_A}/accepted");
    let Handled::Offer(ticket, offer) = agent.handle_publish(now, &topic, found.as_bytes()) else {
        panic!("no offer");
    };
    assert!(offer.resuming);
    agent.handle_plan(now, ticket, Ok((TAG, RunPolicy::DEFAULT)));
    let resumed = Checkpoint::new(&[3]).unwrap().with_document();
    let start = loop {
        let seen = perform(&mut agent, now);
        if let Some(start) = seen.start {
            break start;
        }
        for request in &seen.publishes {
            accept(&mut agent, now, request, "");
        }
        now = seen.next.unwrap_or(now);
    };
    assert_eq!(start, Start::Resume(resumed));
}

/// Connected; what the agent asks about the queue is nobody's business here.
fn connect_idle_beside(agent: &mut OneJob<'_>, now: Millis) {
    agent.handle_connected(now);
    let receipt = perform(agent, now).subscription.unwrap();
    agent.handle_done(now, receipt, jobs_agent_core::Completion::Done);
}

#[test]
fn a_reset_that_did_not_happen_three_times_is_reported_failed() {
    let config = config();
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    agent
        .restore(0, &record(RecordKind::Reboot, false, 3))
        .unwrap();
    let seen = perform(&mut agent, Millis(0));
    assert!(seen.reset.is_none());
    let kept = seen.record.unwrap();
    assert_eq!(kept.kind, RecordKind::Outcome(Status::Failed));
}

#[test]
fn reasons_and_pairs_keep_what_they_are_given() {
    let long = "x".repeat(REASON_LEN_MAX + 1);
    assert_eq!(Reason::new("no such slot").as_str(), "no such slot");
    assert_eq!(Reason::new(&long).as_str(), &long[..REASON_LEN_MAX]);
    let reason = Progress::reason("waiting for rain");
    assert!(reason.iter().eq([(REASON_KEY, "waiting for rain")]));
    assert!(!reason.is_empty());
    assert!(Pairs::<8>::new().is_empty());
}

/// Knows one operation, and tells which one was asked to do what.
struct Named(&'static str);

impl JobHandler for Named {
    type Plan = ();

    fn plan(&self, _: &Offer<'_>) -> Result<(OperationTag, ()), Refusal> {
        Ok((TAG, ()))
    }

    fn policy(&self, _: OperationTag, (): &()) -> RunPolicy {
        RunPolicy {
            time_limit_ms: u32::try_from(self.0.len()).ok(),
            ..RunPolicy::DEFAULT
        }
    }

    async fn run<P: JobPort>(&self, (): (), _: &mut P) -> Outcome {
        Outcome::failed(self.0)
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        plan: Option<()>,
        _: &mut P,
    ) -> Outcome {
        match plan {
            Some(()) => Outcome::rejected(self.0),
            None => Outcome::failed(self.0),
        }
    }
}

/// Asks for nothing.
struct NoPort;

impl JobPort for NoPort {
    async fn checkpoint(&mut self, _: Checkpoint) -> Result<(), Stopped> {
        Ok(())
    }
    fn report(&mut self, _: Progress) {}
    fn stop_requested(&self) -> Option<StopReason> {
        None
    }
    async fn stopped(&mut self) -> StopReason {
        StopReason::Over
    }
    fn deadline_ms(&self) -> Option<u64> {
        None
    }
    fn attempt(&self) -> Attempt {
        Attempt { number: 1, last: 1 }
    }
    fn job_id(&self) -> &str {
        "a"
    }
}

fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("waits"),
    }
}

#[test]
fn a_route_plans_runs_and_resumes_with_the_handler_of_the_operation() {
    let routes = NoRoute.on("one", Named("one")).on("three", Named("three"));
    for operation in ["one", "three"] {
        let document = format!(r#"{{"operation":"{operation}"}}"#);
        let offer = Offer {
            job_id: JobId::new("a").unwrap(),
            execution_number: None,
            status: None,
            status_details: None,
            document: Document(document.as_bytes()),
            resuming: false,
        };
        let plan = || routes.plan(&offer).unwrap();
        let (tag, planned) = plan();
        assert_eq!(tag, OperationTag::of(operation));
        let limit_ms = u32::try_from(operation.len()).ok();
        assert_eq!(routes.policy(tag, &planned).time_limit_ms, limit_ms);
        assert_eq!(
            done(routes.run(planned, &mut NoPort)),
            Outcome::failed(operation)
        );
        let from = Checkpoint::default();
        let resumed = done(routes.resume(tag, &from, None, &mut NoPort));
        assert_eq!(resumed, Outcome::failed(operation));
        let resumed = done(routes.resume(tag, &from, Some(plan().1), &mut NoPort));
        assert_eq!(resumed, Outcome::rejected(operation));
    }
}
