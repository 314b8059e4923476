//! A device of a few lines: performs what the agent wants, and leaves the service to the test.

use jobs_agent_core::{
    Agent, Boot, BootId, Completion, Config, Ending, Handled, Millis, OperationTag, Output,
    RECORD_LEN_MAX, Receipt, Record, RecordKind, RunId, RunPolicy, Scratch, Start, StopReason,
    Ticket,
};
use jobs_proto::ThingName;

pub(crate) const BOOT: Boot = Boot {
    id: BootId([7; 16]),
    entropy: 1,
};
pub(crate) const TAG: OperationTag = OperationTag(1);
pub(crate) const OFFER: &[u8] = br#"{"execution":{"jobId":"a","status":"QUEUED","queuedAt":1,"executionNumber":1,"jobDocument":{}}}"#;
pub(crate) const START: &str = "$aws/things/pump/jobs/a/update";
pub(crate) const ABOUT_A: &str = "$aws/things/pump/jobs/a/get";
pub(crate) const ABOUT_NEXT: &str = "$aws/things/pump/jobs/$next/get";

/// Most stories need one slot.
pub(crate) type OneJob<'c> = Agent<'c, 1>;

/// A request on its way.
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) at_least_once: bool,
    pub(crate) receipt: Receipt,
}

/// What the agent wanted done before it waited.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) publishes: Vec<Publish>,
    pub(crate) subscription: Option<Receipt>,
    pub(crate) record: Option<Record>,
    pub(crate) run: Option<(u8, RunId)>,
    pub(crate) start: Option<Start>,
    pub(crate) deadline: Option<Millis>,
    pub(crate) execution_number: Option<i64>,
    pub(crate) stop: Option<StopReason>,
    pub(crate) ended: Option<Ending>,
    pub(crate) reset: Option<Receipt>,
    pub(crate) next: Option<Millis>,
}

impl Seen {
    pub(crate) fn topics(&self) -> Vec<&str> {
        self.publishes.iter().map(|p| p.topic.as_str()).collect()
    }

    /// The only publish.
    pub(crate) fn publish(mut self) -> Publish {
        assert_eq!(self.publishes.len(), 1, "{:?}", self.topics());
        self.publishes.remove(0)
    }
}

/// A record of the job `a` as its handler left it in this boot, with a checkpoint.
pub(crate) fn checkpoint_of_a() -> Record {
    Record {
        kind: RecordKind::Checkpoint,
        job_id: "a".try_into().unwrap(),
        execution_number: Some(1),
        queued_at: 1,
        tag: TAG,
        rerun: true,
        needs_document: false,
        attempts: 1,
        runs: 1,
        step_timeout_minutes: 0,
        time_limit_ms: 0,
        boot: BOOT.id,
        body: heapless::Vec::from_slice(&[3]).unwrap(),
    }
}

/// A record as a store keeps it.
pub(crate) fn stored(record: &Record) -> Vec<u8> {
    record.encode(&mut [0; RECORD_LEN_MAX]).unwrap().to_vec()
}

pub(crate) fn config() -> Config<'static> {
    Config::new(ThingName::new("pump").unwrap())
}

/// Lets the agent go on until it waits. Records are durable at once; all else is the test's to
/// answer.
pub(crate) fn perform<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, now: Millis) -> Seen {
    let (mut seen, mut scratch) = (Seen::default(), Scratch::new());
    loop {
        match agent.poll(now, &mut scratch) {
            Output::Wait(next) => {
                seen.next = next;
                return seen;
            }
            Output::Persist {
                receipt, record, ..
            } => {
                seen.record = Some(Record::decode(record).unwrap());
                agent.handle_done(now, receipt, Completion::Done);
            }
            Output::Erase { receipt, .. } => agent.handle_done(now, receipt, Completion::Done),
            Output::Subscribe { receipt, .. } => seen.subscription = Some(receipt),
            Output::Transmit {
                receipt,
                topic,
                payload,
                at_least_once,
            } => seen.publishes.push(Publish {
                topic: topic.into(),
                payload: core::str::from_utf8(payload).unwrap().into(),
                at_least_once,
                receipt,
            }),
            Output::Run(permit) => {
                seen.run = Some((permit.slot(), permit.run()));
                seen.deadline = permit.deadline();
                seen.execution_number = permit.execution_number();
                seen.start = Some(permit.into_start());
            }
            Output::Reboot(permit) => seen.reset = Some(permit.into_receipt()),
            Output::Stop { reason, .. } => seen.stop = Some(reason),
            Output::Ended { ending, .. } => seen.ended = Some(ending),
            Output::Saved { .. } => {}
        }
    }
}

/// What a reply to `request` says; `members` come before the token.
pub(crate) fn words(request: &Publish, members: &str) -> String {
    let (_, token) = request.payload.split_once("\"clientToken\":\"").unwrap();
    let token = token.split('"').next().unwrap();
    format!("{{{members}\"clientToken\":\"{token}\"}}")
}

/// The service accepts `request`; `members` come before the token.
pub(crate) fn accept<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: Millis,
    request: &Publish,
    members: &str,
) {
    reply(agent, now, request, "accepted", members);
}

/// The service answers `request` in this way; `members` come before the token.
pub(crate) fn reply<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: Millis,
    request: &Publish,
    how: &str,
    members: &str,
) {
    let reply = words(request, members);
    let topic = format!("{}/{how}", request.topic);
    let handled = agent.handle_publish(now, &topic, reply.as_bytes());
    assert!(matches!(handled, Handled::Taken), "{handled:?}");
}

/// Subscribed; the question for the head is out.
pub(crate) fn connect<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, now: Millis) -> Publish {
    agent.handle_connected(now);
    let receipt = perform(agent, now).subscription.unwrap();
    agent.handle_done(now, receipt, Completion::Done);
    let question = perform(agent, now).publish();
    assert_eq!(question.topic, ABOUT_NEXT);
    question
}

/// The connection is cut and comes back; the question for the head is out again, or is not what
/// the agent has room for.
pub(crate) fn reconnect<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, now: Millis) -> Seen {
    agent.handle_disconnected(now);
    agent.handle_connected(now);
    let receipt = perform(agent, now).subscription.unwrap();
    agent.handle_done(now, receipt, Completion::Done);
    perform(agent, now)
}

/// A notification brings a job with its document.
pub(crate) fn offer<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: Millis,
    payload: &[u8],
) -> Ticket {
    let topic = "$aws/things/pump/jobs/notify-next";
    match agent.handle_publish(now, topic, payload) {
        Handled::Offer(ticket, _) => ticket,
        other => panic!("{other:?}"),
    }
}

/// A notification names these jobs, each as it stands in the list.
pub(crate) fn tell<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, now: Millis, lines: &str) {
    let topic = "$aws/things/pump/jobs/notify";
    let list = format!(r#"{{"jobs":{{"QUEUED":[{lines}]}}}}"#);
    let handled = agent.handle_publish(now, topic, list.as_bytes());
    assert!(matches!(handled, Handled::Taken), "{handled:?}");
}

/// Connected; nothing waits in the queue.
pub(crate) fn connect_idle<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, now: Millis) {
    let question = connect(agent, now);
    accept(agent, now, &question, "");
}

/// A job is offered and taken: its start is out.
pub(crate) fn claim<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: Millis,
    policy: RunPolicy,
) -> Publish {
    connect_idle(agent, now);
    let ticket = offer(agent, now, OFFER);
    agent.handle_plan(now, ticket, Ok((TAG, policy)));
    let start = perform(agent, now).publish();
    assert_eq!(start.topic, START);
    start
}

/// The handler of a claimed job runs.
pub(crate) fn work<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: Millis,
    start: &Publish,
) -> (u8, RunId) {
    accept(agent, now, start, "");
    perform(agent, now).run.unwrap()
}

/// Time passes until the agent sends something.
pub(crate) fn next_publish<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: &mut Millis,
) -> Publish {
    loop {
        let seen = perform(agent, *now);
        if !seen.publishes.is_empty() {
            return seen.publish();
        }
        *now = seen.next.expect("the agent waits for ever");
    }
}
