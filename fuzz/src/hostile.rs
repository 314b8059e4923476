//! The agent alone, between a service that says anything and an adapter that does things late, twice
//! or not at all: whatever they do, the agent waits in the end, and P1, P2, P4 and P9 hold.

use std::collections::{BTreeMap, BTreeSet};

use jobs_agent_core::{
    Agent, Boot, BootId, Checkpoint, Completion, Config, Details, Handled, Ignored, Millis,
    OperationTag, Outcome, Output, Progress, Reason, Receipt, Record, RecordKind, Refusal, RunId,
    RunPolicy, Scratch, Start, Status, Unclaimed,
};
use jobs_proto::ThingName;
use serde_json::Value;

use crate::input::Input;

/// Slots of the agent.
const JOBS: usize = 2;
/// Outputs in a row after which the agent is said to spin; far above anything it needs.
const OUTPUTS_MAX: usize = 200;
/// Cuts of the power in one run.
const CRASHES_MAX: usize = 8;

const JOB_IDS: [&str; 3] = ["a", "b", "get"];

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let config = config(&mut input);
    let mut device = Device::new(&config);
    while !input.is_empty() {
        device.operate(&mut input);
        device.drain();
    }
}

/// An agent that finds `record` after a restart, and drives on.
pub(crate) fn restored(record: &[u8]) {
    let config = Config::new(ThingName::new("t").expect("legal"));
    let mut device = Device::new(&config);
    device.stored[0] = Some(record.to_vec());
    let read = Record::decode(record).expect("a record");
    device.confirmed.insert(read.job_id.to_string());
    device.restart(false);
    for round in 0..40_u64 {
        device.drain();
        device.agent.handle_connected(device.now);
        device.drain();
        while let Some(effect) = device.pending.pop() {
            device.finish(effect, Completion::Done);
            device.drain();
        }
        device.now = device.now.plus(round * 10_000);
    }
}

fn config(input: &mut Input<'_>) -> Config<'static> {
    let byte = input.byte();
    let mut config = Config::new(ThingName::new("t").expect("legal"));
    config.unclaimed = if byte & 1 == 0 {
        Unclaimed::Reject
    } else {
        Unclaimed::Leave
    };
    config.subscribe_replies = byte & 2 != 0;
    // The edges of what a user can write.
    if byte & 4 != 0 {
        config.attempts_max = input.pick(&[0, 1, 255]);
        config.runs_max = input.pick(&[0, 1, u16::MAX]);
        config.backoff.base_ms = input.pick(&[1, 1_000, u32::MAX]);
        config.backoff.cap_ms = input.pick(&[1, 1_000, u32::MAX]);
        config.throttled = config.backoff;
        config.reply_timeout_ms = input.pick(&[1, 1_000, u32::MAX]);
        config.resync_ms = input.pick(&[1_000, u32::MAX]);
        config.settle_ms = input.pick(&[1_000, u32::MAX]);
    }
    config
}

/// A job and the number of its execution.
type Execution = (String, Option<i64>);

/// An effect that the adapter has not finished.
#[derive(Clone)]
struct Effect {
    receipt: Receipt,
    /// The slot and its record from now on, if it is a write.
    write: Option<(u8, Option<Vec<u8>>)>,
}

/// A request that left, for replies to be made from.
#[derive(Clone)]
struct Request {
    topic: String,
    token: String,
    starts: Option<String>,
}

struct Device<'c> {
    agent: Agent<'c, JOBS>,
    config: &'c Config<'c>,
    now: Millis,
    boots: u8,
    starts: u64,
    crashes: usize,
    stored: [Option<Vec<u8>>; JOBS],
    pending: Vec<Effect>,
    old: Vec<Receipt>,
    requests: Vec<Request>,
    running: BTreeMap<u8, (RunId, Execution)>,
    ended: Vec<(u8, RunId)>,
    instant: BTreeSet<u32>,
    confirmed: BTreeSet<String>,
}

impl<'c> Device<'c> {
    fn new(config: &'c Config<'c>) -> Self {
        Self {
            agent: Agent::new(
                config,
                Boot {
                    id: BootId([0; 16]),
                    entropy: 0,
                },
            ),
            config,
            now: Millis(0),
            boots: 0,
            starts: 0,
            crashes: 0,
            stored: Default::default(),
            pending: Vec::new(),
            old: Vec::new(),
            requests: Vec::new(),
            running: BTreeMap::new(),
            ended: Vec::new(),
            instant: BTreeSet::new(),
            confirmed: BTreeSet::new(),
        }
    }

    fn boot(&self) -> BootId {
        BootId([self.boots; 16])
    }

    fn operate(&mut self, input: &mut Input<'_>) {
        match input.below(12) {
            0 => self.now = self.now.plus(1 << input.below(24)),
            1 => self.agent.handle_connected(self.now),
            2 => self.agent.handle_disconnected(self.now),
            3 | 4 => self.reply(input),
            5 => self.notify(input),
            6 => {
                let topic = String::from_utf8_lossy(input.short()).into_owned();
                let payload = input.long();
                self.receive(input, &topic, payload);
            }
            7 | 8 => self.finish_some(input),
            9 => self.handler_speaks(input),
            10 => self.stale(input),
            _ if self.crashes < CRASHES_MAX => {
                self.crashes += 1;
                let torn = input.byte();
                self.tear(torn);
                self.restart(input.bool());
            }
            _ => {}
        }
    }

    /// A write that was under way when the power went: done or not.
    fn tear(&mut self, torn: u8) {
        for (index, effect) in self.pending.iter().enumerate() {
            if let Some((slot, record)) = &effect.write
                && torn >> (index % 8) & 1 == 1
            {
                self.stored[usize::from(*slot)].clone_from(record);
            }
        }
    }

    fn restart(&mut self, reboot: bool) {
        self.boots = self.boots.wrapping_add(u8::from(reboot));
        self.starts += 1;
        let boot = Boot {
            id: self.boot(),
            entropy: self.starts,
        };
        self.agent = Agent::new(self.config, boot);
        self.pending.clear();
        self.old.clear();
        self.running.clear();
        self.ended.clear();
        if reboot {
            self.now = Millis(0);
        }
        for (slot, record) in self.stored.iter().enumerate() {
            if let Some(record) = record {
                self.agent
                    .restore(u8::try_from(slot).expect("two"), record)
                    .expect("our own record");
            }
        }
    }

    /// An answer to one of the last requests, true or not.
    fn reply(&mut self, input: &mut Input<'_>) {
        let back = input.below(4);
        let Some(request) = self.requests.iter().rev().nth(back).cloned() else {
            return;
        };
        let accepted = !input.below(3).eq(&0);
        let job = input.pick(&JOB_IDS);
        let own = request
            .topic
            .rsplit('/')
            .nth(1)
            .filter(|job| JOB_IDS.contains(job));
        let job = own
            .filter(|_| !input.below(8).eq(&0))
            .unwrap_or(job)
            .to_owned();
        let token = if input.below(8) == 0 {
            "0-0".into()
        } else {
            request.token.clone()
        };
        let body = if accepted {
            let execution = execution(input, &job);
            let lists = format!(
                "\"inProgressJobs\":[{}],\"queuedJobs\":[]",
                line(input, &job)
            );
            format!("{{\"clientToken\":\"{token}\",{lists},\"execution\":{execution}}}")
        } else {
            let code = input.pick(&[
                "InvalidStateTransition",
                "ResourceNotFound",
                "VersionMismatch",
                "InternalError",
                "RequestThrottled",
                "TerminalStateReached",
                "InvalidRequest",
                "Strange",
            ]);
            let status = input.pick(&["QUEUED", "IN_PROGRESS", "SUCCEEDED", "CANCELED", "STRANGE"]);
            let state = format!("{{\"status\":\"{status}\",\"versionNumber\":2}}");
            format!(
                "{{\"code\":\"{code}\",\"clientToken\":\"{token}\",\"executionState\":{state}}}"
            )
        };
        let ending = if accepted { "accepted" } else { "rejected" };
        if let Some(job) = &request.starts
            && accepted
            && token == request.token
        {
            self.confirmed.insert(job.clone());
        }
        let topic = format!("{}/{ending}", request.topic);
        self.receive(input, &topic, body.as_bytes());
    }

    fn notify(&mut self, input: &mut Input<'_>) {
        let job = input.pick(&JOB_IDS);
        let (topic, body) = match input.below(4) {
            0 | 1 => {
                let execution = execution(input, job);
                (
                    "$aws/things/t/jobs/notify-next",
                    format!("{{\"execution\":{execution}}}"),
                )
            }
            2 => {
                let entry = line(input, job);
                let list = input.pick(&["QUEUED", "IN_PROGRESS", "STRANGE"]);
                (
                    "$aws/things/t/jobs/notify",
                    format!("{{\"jobs\":{{\"{list}\":[{entry}]}}}}"),
                )
            }
            _ => ("$aws/things/t/jobs/notify", "{\"jobs\":{}}".into()),
        };
        let cut = if input.below(8) == 0 {
            usize::from(input.byte())
        } else {
            body.len()
        };
        self.receive(input, topic, &body.as_bytes()[..cut.min(body.len())]);
    }

    fn receive(&mut self, input: &mut Input<'_>, topic: &str, payload: &[u8]) {
        let before = self.waited();
        match self.agent.handle_publish(self.now, topic, payload) {
            Handled::Offer(ticket, offer) => {
                let tag = u32::from(input.byte() % 3);
                assert!(
                    JOB_IDS.contains(&offer.job_id.as_str()) || !offer.job_id.as_str().is_empty()
                );
                let verdict = match input.below(8) {
                    0 => Err(Refusal::Unknown),
                    1 => Err(Refusal::NotMine),
                    2 => Err(Refusal::Reject(Reason::new("no"))),
                    3 => Err(Refusal::Later {
                        retry_ms: u32::from(input.u16()),
                    }),
                    _ => Ok((OperationTag(tag), policy(tag))),
                };
                if policy(tag).instant {
                    self.instant.insert(tag);
                }
                // Sometimes an adapter forgets its duty.
                if input.below(16) != 0 {
                    self.agent.handle_plan(self.now, ticket, verdict);
                }
            }
            Handled::Ignored(Ignored::Token | Ignored::Topic(_)) => {
                assert_eq!(self.agent, before, "P9: {topic} changed something");
            }
            Handled::Ignored(_) | Handled::Taken => {}
        }
    }

    fn finish_some(&mut self, input: &mut Input<'_>) {
        if self.pending.is_empty() {
            return;
        }
        let effect = self.pending.remove(input.below(self.pending.len()));
        let completion = if input.below(4) == 0 {
            Completion::Failed
        } else {
            Completion::Done
        };
        if completion == Completion::Failed && input.bool() {
            // It failed, or so the storage says; the bytes may be there.
            self.keep(&effect);
        }
        self.finish(effect, completion);
    }

    fn keep(&mut self, effect: &Effect) {
        if let Some((slot, record)) = &effect.write {
            self.stored[usize::from(*slot)].clone_from(record);
        }
    }

    fn finish(&mut self, effect: Effect, completion: Completion) {
        if completion == Completion::Done {
            self.keep(&effect);
        }
        self.old.push(effect.receipt);
        self.agent.handle_done(self.now, effect.receipt, completion);
    }

    fn handler_speaks(&mut self, input: &mut Input<'_>) {
        let count = self.running.len();
        if count == 0 {
            return;
        }
        let (&slot, &(run, _)) = self
            .running
            .iter()
            .nth(input.below(count))
            .expect("one of them");
        let checkpoint = Checkpoint::new(&[input.byte(), 1]).expect("short");
        let outcome = match input.below(7) {
            0 => {
                let stale = self
                    .agent
                    .handle_checkpoint(self.now, slot, run, &checkpoint)
                    .is_err();
                if stale {
                    self.running.remove(&slot);
                }
                return;
            }
            1 => {
                return self
                    .agent
                    .handle_progress(slot, run, &Progress::percent(input.byte()));
            }
            2 => Outcome::Succeeded(Details::new().with("text", "value")),
            3 => Outcome::failed("failed"),
            4 => Outcome::rejected("rejected"),
            5 => Outcome::Reboot(checkpoint),
            _ => Outcome::Reboot(checkpoint.with_document()),
        };
        self.running.remove(&slot);
        self.ended.push((slot, run));
        self.agent.handle_outcome(self.now, slot, run, &outcome);
    }

    /// The agent to which nothing happens but that time passes.
    fn waited(&self) -> Agent<'c, JOBS> {
        let mut agent = self.agent.clone();
        let nothing = agent.handle_publish(self.now, "", &[]);
        assert!(matches!(nothing, Handled::Ignored(Ignored::Topic(_))));
        agent
    }

    /// What was said before is said again: it changes nothing.
    fn stale(&mut self, input: &mut Input<'_>) {
        let before = self.waited();
        // That a request failed after all is news; that it was done is none.
        if let Some(receipt) = self.old.get(input.below(self.old.len().max(1))) {
            self.agent.handle_done(self.now, *receipt, Completion::Done);
            assert_eq!(self.agent, before, "an old receipt changed something");
        }
        if let Some((slot, run)) = self.ended.get(input.below(self.ended.len().max(1))) {
            self.agent
                .handle_outcome(self.now, *slot, *run, &Outcome::failed("late"));
            self.agent
                .handle_progress(*slot, *run, &Progress::percent(1));
            assert_eq!(
                self.agent, before,
                "a handler that had ended changed something"
            );
        }
    }

    /// Performs effects until the agent waits.
    fn drain(&mut self) {
        let mut scratch = Scratch::new();
        for _ in 0..OUTPUTS_MAX {
            let mut agent = self.agent.clone();
            let output = agent.poll(self.now, &mut scratch);
            self.agent = agent;
            match output {
                Output::Wait(until) => {
                    assert!(
                        until.is_none_or(|until| until > self.now),
                        "waits for the past"
                    );
                    return;
                }
                Output::Persist {
                    receipt,
                    slot,
                    record,
                } => {
                    Record::decode(record).expect("a record");
                    self.pending.push(Effect {
                        receipt,
                        write: Some((slot, Some(record.to_vec()))),
                    });
                }
                Output::Erase { receipt, slot } => {
                    self.pending.push(Effect {
                        receipt,
                        write: Some((slot, None)),
                    });
                }
                Output::Transmit {
                    receipt,
                    topic,
                    payload,
                    ..
                } => self.sent(receipt, topic, payload),
                Output::Subscribe { receipt, filters } => {
                    assert!(filters.iter().next().is_some());
                    self.pending.push(Effect {
                        receipt,
                        write: None,
                    });
                }
                Output::Run(permit) => {
                    let (slot, run) = (permit.slot(), permit.run());
                    let job = (
                        permit.job_id().as_str().to_owned(),
                        permit.execution_number(),
                    );
                    let instant = policy(permit.tag().0).instant;
                    let fresh = matches!(permit.into_start(), Start::Fresh);
                    self.begin(slot, run, job, instant && fresh);
                }
                Output::Reboot(permit) => {
                    let record = self.record(permit.slot());
                    let durable = record.is_some_and(|record| {
                        record.kind == RecordKind::Reboot && record.boot == self.boot()
                    });
                    assert!(durable, "P4: a reset that is not durable");
                    self.pending.push(Effect {
                        receipt: permit.into_receipt(),
                        write: None,
                    });
                }
                Output::Stop { slot, run, .. } => {
                    if self
                        .running
                        .get(&slot)
                        .is_some_and(|(running, _)| *running == run)
                    {
                        self.running.remove(&slot);
                        self.ended.push((slot, run));
                        self.agent.handle_aborted(self.now, slot, run, "stopped");
                    }
                }
                Output::Saved { .. } | Output::Ended { .. } => {}
            }
        }
        panic!("P6: the agent never waits");
    }

    fn record(&self, slot: u8) -> Option<Record> {
        let bytes = self.stored[usize::from(slot)].as_ref()?;
        Some(Record::decode(bytes).expect("our own record"))
    }

    /// P1: durable, confirmed, and once at a time.
    fn begin(&mut self, slot: u8, run: RunId, execution: Execution, instant: bool) {
        let (job, number) = &execution;
        let twice = self.running.values().any(|(_, (other, other_number))| {
            // Without a number it is whichever is there.
            other == job && (other_number == number || other_number.is_none() || number.is_none())
        });
        assert!(!twice, "P1: {job} runs twice at a time");
        if instant {
            // Allowed to begin on the offer alone, and so to go on after a reset it asked for.
            self.confirmed.insert(job.clone());
        } else {
            let record = self.record(slot);
            let durable = record.is_some_and(|record| {
                record.job_id == job.as_str()
                    && matches!(
                        record.kind,
                        RecordKind::Started | RecordKind::Checkpoint | RecordKind::Reboot
                    )
            });
            assert!(durable, "P1: {job} runs without a durable start");
            assert!(self.confirmed.contains(job), "P1: {job} runs unconfirmed");
        }
        self.running.insert(slot, (run, execution));
    }

    /// P2: an outcome is durable before it is sent.
    fn sent(&mut self, receipt: Receipt, topic: &str, payload: &[u8]) {
        let body: Value = serde_json::from_slice(payload).expect("our own JSON");
        let token = body["clientToken"]
            .as_str()
            .expect("every request has a token")
            .to_owned();
        let repeated = self.requests.iter().any(|request| request.token == token);
        assert!(!repeated, "P9: token {token} comes twice");
        let update = topic
            .strip_suffix("/update")
            .and_then(|rest| rest.rsplit('/').next());
        let status = match body["status"].as_str() {
            Some("SUCCEEDED") => Some(Status::Succeeded),
            Some("FAILED") => Some(Status::Failed),
            Some("REJECTED") => Some(Status::Rejected),
            _ => None,
        };
        if let (Some(job), Some(status)) = (update, status) {
            let durable = (0..JOBS).any(|slot| {
                self.record(u8::try_from(slot).expect("two"))
                    .is_some_and(|record| {
                        record.job_id == job && record.kind == RecordKind::Outcome(status)
                    })
            });
            assert!(
                durable,
                "P2: {status:?} of {job} sent before it was durable"
            );
        }
        let starts = update
            .filter(|_| body["status"] == "IN_PROGRESS")
            .map(String::from);
        self.requests.push(Request {
            topic: topic.into(),
            token,
            starts,
        });
        self.pending.push(Effect {
            receipt,
            write: None,
        });
    }
}

/// How operations are treated, by their tag: one is instantaneous, one must not run again.
fn policy(tag: u32) -> RunPolicy {
    RunPolicy {
        rerun: tag != 1,
        instant: tag == 2,
        step_timeout_minutes: (tag == 1).then_some(2),
        time_limit_ms: (tag == 0).then_some(60_000),
    }
}

fn execution(input: &mut Input<'_>, job: &str) -> String {
    let status = input.pick(&["QUEUED", "IN_PROGRESS", "SUCCEEDED", "REMOVED", "STRANGE"]);
    let number = input.below(3);
    // One execution has one time; another number is another execution.
    let queued_at = 100 + number;
    let document = input.pick(&["{}", "{\"a\":[1]}", "7", "[[", "\u{1}"]);
    match input.below(10) {
        0 => "null".into(),
        1 => "{}".into(),
        2 => format!("{{\"jobId\":\"{job}\",\"jobDocument\":{document}}}"),
        _ => format!(
            "{{\"jobId\":\"{job}\",\"status\":\"{status}\",\"queuedAt\":{queued_at},\
             \"executionNumber\":{number},\"versionNumber\":1,\
             \"approximateSecondsBeforeTimedOut\":60,\"jobDocument\":{document}}}"
        ),
    }
}

fn line(input: &mut Input<'_>, job: &str) -> String {
    let number = input.below(3);
    // One execution has one time; another number is another execution.
    let queued_at = 100 + number;
    format!("{{\"jobId\":\"{job}\",\"executionNumber\":{number},\"queuedAt\":{queued_at}}}")
}
