//! An adversary's tests of the agent core: each tells one way to brick a device, to lose an
//! outcome or to waste a connection. Those that the core does not pass yet are ignored, with the
//! number of the finding.

use jobs_agent_core::{
    Agent, Boot, BootId, Checkpoint, Completion, Config, Details, Ending, Handled, Millis,
    OperationTag, Outcome, Output, Phase, Progress, Receipt, Record, RecordKind, Refusal, RunId,
    RunPolicy, Scratch, Start, Status, StopReason, Ticket, Unclaimed,
};
use jobs_emulator::model::Fault;
use jobs_proto::ThingName;
use jobs_testkit::{
    Action, Crash, LinkFault, Moment, Report, Restart, Scenario, Script, Step, Tear, World, stories,
};
use serde_json::{Value, json};

const TOPICS: &str = "$aws/things/pump-17/jobs";

/// More effects than any of these tests needs between two waits.
const DRAIN_MAX: usize = 1_000;

const INSTANT: RunPolicy = RunPolicy {
    instant: true,
    ..RunPolicy::DEFAULT
};

/// An effect, kept beyond the scratch space.
#[derive(Clone, Debug, PartialEq)]
enum Out {
    Persist(u8, Receipt, Box<Record>),
    Erase(u8, Receipt),
    Send(String, Value),
    Subscribe(Receipt),
    Run(u8, RunId, bool),
    Saved(u8),
    Stop(u8, StopReason),
    Reboot(u8, Receipt),
    Ended(u8, String, Ending),
}

/// An agent in the hands of a test that decides on every message and receipt by itself.
struct Rig<const JOBS: usize> {
    agent: Agent<'static, JOBS>,
    now: u64,
    wake: Option<Millis>,
    /// Receipts of the storage are returned at once.
    stores: bool,
    /// Receipts of subscriptions are returned at once.
    subscribes: bool,
    /// Everything that came out, in order.
    log: Vec<Out>,
}

impl<const JOBS: usize> Rig<JOBS> {
    fn with(change: impl FnOnce(&mut Config<'static>), boot: u8) -> Self {
        let mut config = Config::new(ThingName::new("pump-17").expect("a legal name"));
        change(&mut config);
        let config = Box::leak(Box::new(config));
        let boot = Boot {
            id: BootId([boot; 16]),
            entropy: 0xA0 + u64::from(boot),
        };
        Self {
            agent: Agent::new(config, boot),
            now: 1_000,
            wake: None,
            stores: true,
            subscribes: true,
            log: Vec::new(),
        }
    }

    /// Connected, with the first question answered by an empty queue.
    fn online() -> Self {
        Self::online_with(|_| {})
    }

    fn online_with(change: impl FnOnce(&mut Config<'static>)) -> Self {
        let mut rig = Self::with(change, 1);
        rig.connect();
        rig.answer("/$next/get/accepted", json!({}));
        rig
    }

    fn now(&self) -> Millis {
        Millis(self.now)
    }

    fn connect(&mut self) -> Vec<Out> {
        self.agent.handle_connected(self.now());
        self.drain()
    }

    /// Performs effects until the agent waits; returns what came out.
    fn drain(&mut self) -> Vec<Out> {
        let mut scratch = Scratch::new();
        let mut outs = Vec::new();
        for _ in 0..DRAIN_MAX {
            let now = self.now();
            let out = match self.agent.poll(now, &mut scratch) {
                Output::Wait(until) => {
                    self.wake = until;
                    self.log.extend(outs.iter().cloned());
                    return outs;
                }
                Output::Persist {
                    receipt,
                    slot,
                    record,
                } => {
                    let record = Box::new(Record::decode(record).expect("a record"));
                    Out::Persist(slot, receipt, record)
                }
                Output::Erase { receipt, slot } => Out::Erase(slot, receipt),
                Output::Transmit { topic, payload, .. } => Out::Send(
                    topic.strip_prefix(TOPICS).expect("ours").into(),
                    serde_json::from_slice(payload).expect("JSON"),
                ),
                Output::Subscribe { receipt, .. } => Out::Subscribe(receipt),
                Output::Run(permit) => {
                    let (slot, run) = (permit.slot(), permit.run());
                    Out::Run(slot, run, matches!(permit.into_start(), Start::Resume(_)))
                }
                Output::Saved { slot, .. } => Out::Saved(slot),
                Output::Stop { slot, reason, .. } => Out::Stop(slot, reason),
                Output::Reboot(permit) => Out::Reboot(permit.slot(), permit.into_receipt()),
                Output::Ended {
                    slot,
                    job_id,
                    ending,
                } => Out::Ended(slot, job_id.as_str().into(), ending),
            };
            match &out {
                Out::Persist(_, receipt, _) | Out::Erase(_, receipt) if self.stores => {
                    self.agent.handle_done(now, *receipt, Completion::Done);
                }
                Out::Subscribe(receipt) if self.subscribes => {
                    self.agent.handle_done(now, *receipt, Completion::Done);
                }
                _ => {}
            }
            outs.push(out);
        }
        panic!("the agent never waits: {:?}", &outs[outs.len() - 6..]);
    }

    /// Sleeps until the agent wants to be woken, at most for `ms`; then drains.
    fn pass(&mut self, ms: u64) -> Vec<Out> {
        let end = self.now + ms;
        let mut outs = Vec::new();
        while let Some(wake) = self.wake.filter(|wake| wake.0 <= end) {
            assert!(wake.0 > self.now, "woken for nothing at {}", self.now);
            self.now = wake.0;
            outs.extend(self.drain());
        }
        self.now = end;
        outs.extend(self.drain());
        outs
    }

    fn done(&mut self, receipt: Receipt, completion: Completion) -> Vec<Out> {
        self.agent.handle_done(self.now(), receipt, completion);
        self.drain()
    }

    /// The token of the last request on the topic that `reply` answers.
    fn token(&self, reply: &str) -> Value {
        let request = reply
            .strip_suffix("/accepted")
            .or_else(|| reply.strip_suffix("/rejected"))
            .expect("a reply");
        let sent = self.log.iter().rev().find_map(|out| match out {
            Out::Send(topic, payload) if topic == request => Some(payload),
            _ => None,
        });
        sent.unwrap_or_else(|| panic!("nothing sent on {request}: {:?}", self.log))["clientToken"]
            .clone()
    }

    /// Answers the last request of its kind; an offer in it is decided on by `verdict`.
    fn answer_as(
        &mut self,
        topic: &str,
        mut body: Value,
        verdict: Result<RunPolicy, Refusal>,
    ) -> Vec<Out> {
        body["clientToken"] = self.token(topic);
        body["timestamp"] = json!(1);
        self.message(topic, &body, verdict);
        self.drain()
    }

    fn answer(&mut self, topic: &str, body: Value) -> Vec<Out> {
        self.answer_as(topic, body, Ok(RunPolicy::DEFAULT))
    }

    /// A message comes in and is not followed by a drain; `true` if it was an offer.
    fn message(&mut self, topic: &str, body: &Value, verdict: Result<RunPolicy, Refusal>) -> bool {
        let (topic, payload) = (format!("{TOPICS}{topic}"), body.to_string());
        let now = self.now();
        let ticket: Ticket = match self.agent.handle_publish(now, &topic, payload.as_bytes()) {
            Handled::Offer(ticket, _) => ticket,
            Handled::Taken | Handled::Ignored(_) => return false,
        };
        let verdict = verdict.map(|policy| (OperationTag::of("op"), policy));
        self.agent.handle_plan(now, ticket, verdict);
        true
    }

    fn notify_next(&mut self, id: &str, verdict: Result<RunPolicy, Refusal>) -> Vec<Out> {
        let body = json!({ "timestamp": 1, "execution": execution(id, "QUEUED") });
        self.message("/notify-next", &body, verdict);
        self.drain()
    }

    fn notify(&mut self, jobs: Value) -> Vec<Out> {
        let body = json!({ "timestamp": 1, "jobs": jobs });
        self.message("/notify", &body, Ok(RunPolicy::DEFAULT));
        self.drain()
    }

    /// Offers the job and brings its handler to run.
    fn run(&mut self, id: &str, policy: RunPolicy) -> RunId {
        self.notify_next(id, Ok(policy));
        self.answer(&format!("/{id}/update/accepted"), json!({}));
        self.last_run()
    }

    fn last_run(&self) -> RunId {
        self.runs().pop().expect("a run")
    }

    fn runs(&self) -> Vec<RunId> {
        let run = |out: &Out| match out {
            Out::Run(_, run, _) => Some(*run),
            _ => None,
        };
        self.log.iter().filter_map(run).collect()
    }

    fn outcome(&mut self, slot: u8, run: RunId, outcome: &Outcome) -> Vec<Out> {
        let now = self.now();
        self.agent.handle_outcome(now, slot, run, outcome);
        self.drain()
    }

    fn checkpoint(&mut self, run: RunId) -> Vec<Out> {
        let checkpoint = Checkpoint::new(&[1]).expect("one byte fits");
        let now = self.now();
        self.agent
            .handle_checkpoint(now, 0, run, &checkpoint)
            .expect("the run is on");
        self.drain()
    }
}

fn execution(id: &str, status: &str) -> Value {
    json!({ "jobId": id, "status": status, "queuedAt": 1_700_000_000, "lastUpdatedAt": 1_700_000_000,
        "versionNumber": 1, "executionNumber": 1, "jobDocument": { "operation": "op" } })
}

fn summary(id: &str) -> Value {
    json!({ "jobId": id, "queuedAt": 1_700_000_000, "lastUpdatedAt": 1_700_000_000,
        "versionNumber": 1, "executionNumber": 1 })
}

fn sends<'o>(outs: &'o [Out], topic: &'o str) -> impl Iterator<Item = &'o Value> {
    outs.iter().filter_map(move |out| match out {
        Out::Send(sent, payload) if sent == topic => Some(payload),
        _ => None,
    })
}

fn persisting(outs: &[Out]) -> Receipt {
    let receipt = |out: &Out| match out {
        Out::Persist(_, receipt, _) => Some(*receipt),
        _ => None,
    };
    outs.iter()
        .find_map(receipt)
        .unwrap_or_else(|| panic!("{outs:?}"))
}

fn stored(id: &str, kind: RecordKind, boot: u8, bytes: &mut [u8; 512]) -> usize {
    let record = Record {
        kind,
        job_id: id.parse().expect("short"),
        execution_number: Some(1),
        queued_at: 1_700_000_000,
        tag: OperationTag::of("op"),
        rerun: true,
        needs_document: false,
        attempts: 1,
        runs: 1,
        step_timeout_minutes: 0,
        time_limit_ms: 0,
        boot: BootId([boot; 16]),
        body: Default::default(),
    };
    record.encode(bytes).expect("a small record").len()
}

// ---- boot loops ---------------------------------------------------------------------------

#[test]
fn a_job_that_asks_for_a_reset_after_every_reset_is_given_up() {
    let resets = std::iter::repeat_n(Step::Reboot, 150);
    let story = Scenario::new("reset loop")
        .script("loop", Script::new(resets.chain([Step::Succeed])))
        .job(100, "a", "loop");
    let report = World::<1>::play(&story, None);
    assert!(report.settled, "{:?}", report.status("a"));
    assert!(report.runs("a") <= 100, "{} runs", report.runs("a"));
    assert_eq!(report.status("a"), Some("FAILED"));
}

#[test]
fn an_instantaneous_job_that_takes_the_device_down_is_given_up() {
    let story = Scenario::new("instant bomb")
        .script(
            "bomb",
            Script::new([Step::Effect("lit"), Step::Crash]).policy(INSTANT),
        )
        .job(100, "a", "bomb");
    let report = World::<1>::play(&story, None);
    assert!(
        report.effects("a", "lit") <= 4,
        "{} times",
        report.effects("a", "lit")
    );
    report.assert_kept(story.name);
}

#[test]
fn an_instantaneous_job_that_asks_for_a_reboot_is_reported_failed() {
    let mut rig = Rig::<1>::online();
    rig.notify_next("a", Ok(INSTANT));
    let run = rig.last_run();
    let checkpoint = Checkpoint::new(&[1]).expect("fits").with_document();
    let outs = rig.outcome(0, run, &Outcome::Reboot(checkpoint));
    let kinds: Vec<_> = outs
        .iter()
        .filter_map(|out| match out {
            Out::Persist(_, _, record) => Some(record.kind),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [RecordKind::Outcome(Status::Failed)]);
    assert!(sends(&rig.log, "/a/update").any(|update| update["status"] == "FAILED"));
}

#[test]
fn a_reset_that_never_happens_ends_in_a_report() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    let checkpoint = Checkpoint::new(&[1]).expect("fits");
    let mut outs = rig.outcome(0, run, &Outcome::Reboot(checkpoint));
    for _ in 0..50 {
        let Some(receipt) = outs.iter().find_map(|out| match out {
            Out::Reboot(_, receipt) => Some(*receipt),
            _ => None,
        }) else {
            break;
        };
        rig.done(receipt, Completion::Failed);
        outs = rig.pass(400_000);
    }
    assert_ne!(rig.agent.phase(0), Some(Phase::Rebooting));
}

#[test]
fn a_reset_that_was_taken_on_and_does_not_happen_is_asked_for_again() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    let checkpoint = Checkpoint::new(&[1]).expect("fits");
    let outs = rig.outcome(0, run, &Outcome::Reboot(checkpoint));
    let receipt = outs.iter().find_map(|out| match out {
        Out::Reboot(_, receipt) => Some(*receipt),
        _ => None,
    });
    rig.done(receipt.expect("a reset"), Completion::Done);
    let outs = rig.pass(24 * 3_600_000);
    assert!(
        outs.iter().any(|out| matches!(out, Out::Reboot(..))),
        "nothing for a day"
    );
}

// ---- outcomes -----------------------------------------------------------------------------

#[test]
fn a_reset_waits_for_the_outcome_of_another_job_to_be_durable() {
    let once = RunPolicy {
        rerun: false,
        ..RunPolicy::DEFAULT
    };
    let story = Scenario::new("reset beside an outcome")
        .script(
            "reboot",
            Script::new([Step::Sleep(4_000), Step::Reboot, Step::Succeed]),
        )
        .script(
            "work",
            Script::new([Step::Effect("work"), Step::Sleep(5_000), Step::Succeed]).policy(once),
        )
        .job(100, "a", "reboot")
        .job(101, "b", "work");
    let report = World::<2>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(
        (report.status("b"), report.detail("b", "reason")),
        (Some("SUCCEEDED"), None)
    );
}

#[test]
fn a_reset_of_the_first_slot_comes_after_the_outcome_of_the_second() {
    let mut rig = Rig::<2>::online();
    let a = rig.run("a", RunPolicy::DEFAULT);
    let b = rig.run("b", RunPolicy::DEFAULT);
    let checkpoint = Checkpoint::new(&[1]).expect("fits");
    let outs = rig.outcome(0, a, &Outcome::Reboot(checkpoint));
    assert!(
        !outs.iter().any(|out| matches!(out, Out::Reboot(..))),
        "b is at work"
    );
    let outs = rig.outcome(1, b, &Outcome::succeeded());
    let first = outs
        .iter()
        .find(|out| matches!(out, Out::Reboot(..) | Out::Persist(1, ..)));
    assert!(matches!(first, Some(Out::Persist(1, ..))), "{outs:?}");
}

#[test]
fn a_report_that_is_refused_for_good_does_not_make_the_work_be_done_again() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    rig.outcome(0, run, &Outcome::succeeded());
    for _ in 0..5 {
        if rig.agent.phase(0) != Some(Phase::Reporting) {
            break;
        }
        let refusal = json!({ "code": "InvalidRequest", "message": "no" });
        rig.answer("/a/update/rejected", refusal);
        rig.pass(5_000);
    }
    rig.pass(60_000);
    let taken = rig.message(
        "/notify-next",
        &json!({ "timestamp": 1, "execution": execution("a", "IN_PROGRESS") }),
        Ok(RunPolicy::DEFAULT),
    );
    assert!(!taken, "offered again, phase {:?}", rig.agent.phase(0));
}

#[test]
fn an_outcome_is_not_reported_for_a_job_that_was_made_anew_under_the_same_id() {
    let story = Scenario::new("same id")
        .script(
            "work",
            Script::new([Step::Effect("work"), Step::Sleep(2_000), Step::Succeed]),
        )
        .job(100, "a", "work")
        // The device finishes while it is offline.
        .at(1_000, Action::Link(LinkFault::Cut(20_000)))
        .at(10_000, Action::DeleteJob("a".into()))
        .job(12_000, "a", "work");
    let report = World::<1>::play(&story, None);
    // The observer tells executions by their number alone, which is the same here.
    assert!(report.settled, "{:?}", report.status("a"));
    assert_eq!(report.effects("a", "work"), 2, "the new job was not done");
}

#[test]
fn an_outcome_record_with_more_details_than_this_build_has_room_for_is_still_reported() {
    // Written by a build with `large-details`, read after a roll-back to one without.
    if jobs_agent_core::BODY_LEN_MAX > 256 {
        return;
    }
    let mut bytes = [0; 512];
    let len = stored("a", RecordKind::Outcome(Status::Succeeded), 1, &mut bytes);
    let mut bytes = bytes[..len - 4].to_vec();
    let body = vec![0; 300];
    bytes[51..53].copy_from_slice(&300_u16.to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
    let mut rig = Rig::<1>::with(|_| {}, 2);
    rig.agent.restore(0, &bytes).expect("the outcome at least");
    assert_eq!(rig.agent.phase(0), Some(Phase::Reporting));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn an_outcome_is_sent_although_the_subscription_is_refused() {
    let mut bytes = [0; 512];
    let len = stored("a", RecordKind::Outcome(Status::Succeeded), 1, &mut bytes);
    let mut rig = Rig::<1>::with(|_| {}, 2);
    rig.agent.restore(0, &bytes[..len]).expect("a record");
    rig.subscribes = false;
    let mut outs = rig.connect();
    for _ in 0..10 {
        let receipt = outs.iter().find_map(|out| match out {
            Out::Subscribe(receipt) => Some(*receipt),
            _ => None,
        });
        if let Some(receipt) = receipt {
            let asked = rig.done(receipt, Completion::Failed);
            // First the question whether it is still the same execution.
            if sends(&asked, "/a/get").next().is_some() {
                rig.answer(
                    "/a/get/accepted",
                    json!({ "execution": execution("a", "IN_PROGRESS") }),
                );
            }
        }
        outs = rig.pass(400_000);
    }
    assert!(sends(&rig.log, "/a/update").next().is_some());
}

// ---- cancel -------------------------------------------------------------------------------

#[test]
fn a_checkpoint_does_not_swallow_the_answer_that_the_job_is_cancelled() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    // The list without the job makes the agent ask; the handler keeps on working meanwhile.
    let outs = rig.notify(json!({}));
    assert_eq!(sends(&outs, "/a/get").count(), 1);
    rig.checkpoint(run);
    let over = json!({ "code": "TerminalStateReached" });
    rig.answer("/a/get/rejected", over);
    rig.pass(600_000);
    assert!(
        rig.log.iter().any(|out| matches!(out, Out::Stop(..))),
        "the handler works on"
    );
}

#[test]
fn a_cancel_that_comes_while_the_start_is_being_made_durable_reaches_the_handler() {
    let story = Scenario::new("cancel in Opening")
        .script(
            "slow",
            Script::new([Step::Effect("work"), Step::Sleep(600_000), Step::Succeed]),
        )
        .slow_storage(2_000)
        .job(100, "a", "slow")
        .at(1_000, Action::CancelJob("a".into()));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert!(report.stop("a").is_some(), "it worked to its end");
}

#[test]
fn a_job_resumed_over_slow_storage_is_checked_after_the_connection_is_up() {
    let mut bytes = [0; 512];
    let len = stored("a", RecordKind::Checkpoint, 1, &mut bytes);
    let mut rig = Rig::<1>::with(|_| {}, 2);
    rig.stores = false;
    rig.agent.restore(0, &bytes[..len]).expect("a record");
    let receipt = persisting(&rig.drain());
    rig.connect();
    rig.done(receipt, Completion::Done);
    rig.pass(600_000);
    assert!(sends(&rig.log, "/a/get").next().is_some());
}

#[test]
fn a_cancel_whose_notifications_are_lost_reaches_a_handler_that_reports_nothing() {
    let story = Scenario::new("silent")
        .script(
            "slow",
            Script::new([Step::Sleep(5 * 3_600_000), Step::Succeed]),
        )
        .job(100, "a", "slow")
        .at(29_000, Action::Link(LinkFault::DropNotification))
        .at(29_001, Action::Link(LinkFault::DropNotification))
        .at(30_000, Action::CancelJob("a".into()));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert!(report.stop("a").is_some(), "it worked to its end");
}

#[test]
fn a_checkpoint_asked_for_after_a_time_limit_is_answered_when_the_job_is_cancelled() {
    let limited = RunPolicy {
        time_limit_ms: Some(5_000),
        ..RunPolicy::DEFAULT
    };
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", limited);
    let outs = rig.pass(6_000);
    assert!(outs.contains(&Out::Stop(0, StopReason::TimeLimit)));
    rig.notify(json!({}));
    // The handler cleans up and keeps a last checkpoint; the write takes its time.
    rig.stores = false;
    let receipt = persisting(&rig.checkpoint(run));
    rig.pass(60_000);
    rig.notify(json!({}));
    rig.answer("/a/get/rejected", json!({ "code": "TerminalStateReached" }));
    assert_eq!(rig.agent.phase(0), Some(Phase::Draining));
    let before = rig.log.len();
    rig.done(receipt, Completion::Done);
    rig.stores = true;
    rig.pass(600_000);
    let told = rig.log[before - 2..]
        .iter()
        .any(|out| matches!(out, Out::Saved(_) | Out::Stop(..)));
    assert!(told, "the handler waits for ever: {:?}", &rig.log[before..]);
}

#[test]
fn a_run_is_begun_before_it_is_stopped() {
    let none = RunPolicy {
        time_limit_ms: Some(0),
        ..RunPolicy::DEFAULT
    };
    let mut rig = Rig::<1>::online();
    rig.run("a", none);
    // A limit of 0 is over within a millisecond.
    rig.pass(1);
    let words = rig
        .log
        .iter()
        .filter(|out| matches!(out, Out::Run(..) | Out::Stop(..)));
    let words: Vec<_> = words.collect();
    assert!(
        matches!(words[..], [Out::Run(..), Out::Stop(..)]),
        "{words:?}"
    );
}

// ---- records and slots --------------------------------------------------------------------

#[test]
fn a_late_receipt_of_an_earlier_job_does_not_start_an_instantaneous_one_twice() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    rig.stores = false;
    let late = persisting(&rig.checkpoint(run));
    // The cancel is learnt while the write is out; the handler obeys at once.
    rig.notify(json!({}));
    rig.answer("/a/get/rejected", json!({ "code": "TerminalStateReached" }));
    rig.outcome(0, run, &Outcome::failed("stopped"));
    rig.notify_next("b", Ok(INSTANT));
    assert_eq!(rig.runs().len(), 2);
    rig.done(late, Completion::Done);
    assert_eq!(rig.runs().len(), 2, "b was started twice");
}

#[test]
fn the_record_of_a_cancelled_job_goes_although_its_slot_is_taken_by_the_next_one() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    rig.stores = false;
    let late = persisting(&rig.checkpoint(run));
    rig.notify(json!({}));
    rig.answer("/a/get/rejected", json!({ "code": "TerminalStateReached" }));
    rig.outcome(0, run, &Outcome::failed("stopped"));
    rig.notify_next("b", Ok(RunPolicy::DEFAULT));
    assert_eq!(rig.agent.phase(0), Some(Phase::Claiming));
    // The checkpoint of the cancelled job is on the medium: a restart now would resume it.
    let mut outs = rig.done(late, Completion::Done);
    rig.agent.handle_disconnected(rig.now());
    outs.extend(rig.pass(3_600_000));
    assert!(
        outs.iter().any(|out| matches!(out, Out::Erase(..))),
        "{outs:?}"
    );
}

#[test]
fn a_failed_erase_is_tried_again_although_a_postponed_job_has_its_slot() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    rig.outcome(0, run, &Outcome::succeeded());
    rig.stores = false;
    let outs = rig.answer("/a/update/accepted", json!({}));
    let erase = outs.iter().find_map(|out| match out {
        Out::Erase(_, receipt) => Some(*receipt),
        _ => None,
    });
    rig.done(erase.expect("an erase"), Completion::Failed);
    rig.notify_next(
        "b",
        Err(Refusal::Later {
            retry_ms: 3_600_000,
        }),
    );
    let outs = rig.pass(1_800_000);
    assert!(
        outs.iter().any(|out| matches!(out, Out::Erase(..))),
        "{outs:?}"
    );
}

// ---- the queue ----------------------------------------------------------------------------

#[test]
fn two_messages_before_a_drain_lose_no_job() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    rig.outcome(0, run, &Outcome::succeeded());
    // The answer and the two notifications come in one burst.
    let mut answer = json!({ "timestamp": 1 });
    answer["clientToken"] = rig.token("/a/update/accepted");
    rig.message("/a/update/accepted", &answer, Ok(RunPolicy::DEFAULT));
    let list = json!({ "timestamp": 1, "jobs": { "QUEUED": [summary("b")] } });
    rig.message("/notify", &list, Ok(RunPolicy::DEFAULT));
    let head = json!({ "timestamp": 1, "execution": execution("b", "QUEUED") });
    rig.message("/notify-next", &head, Ok(RunPolicy::DEFAULT));
    let mut outs = rig.drain();
    outs.extend(rig.pass(60_000));
    let sent = outs.iter().any(|out| matches!(out, Out::Send(..)));
    assert!(sent, "b waits for the slow check");
}

#[test]
fn a_postponed_head_does_not_hold_back_the_job_behind_it() {
    let mut rig = Rig::<1>::online();
    let later = Refusal::Later {
        retry_ms: 24 * 3_600_000,
    };
    rig.notify_next("a", Err(later));
    rig.notify(json!({ "QUEUED": [summary("a"), summary("b")] }));
    rig.pass(600_000);
    assert!(sends(&rig.log, "/b/get").next().is_some());
}

#[test]
fn a_job_postponed_by_nothing_is_not_asked_for_without_pause() {
    let mut rig = Rig::<1>::online();
    let later = Refusal::Later { retry_ms: 0 };
    rig.notify_next("a", Err(later.clone()));
    let mut rounds = 0;
    while sends(&rig.log, "/a/get").count() > rounds && rounds < 50 {
        rounds += 1;
        let body = json!({ "execution": execution("a", "QUEUED") });
        rig.answer_as("/a/get/accepted", body, Err(later.clone()));
    }
    assert!(rounds < 50, "asked {rounds} times in no time");
}

#[test]
fn a_reconnection_does_not_cut_a_postponement_short() {
    let mut rig = Rig::<1>::online();
    let later = Refusal::Later {
        retry_ms: 3_600_000,
    };
    rig.notify_next("a", Err(later));
    rig.agent.handle_disconnected(rig.now());
    rig.connect();
    rig.answer("/$next/get/accepted", json!({}));
    assert_eq!(sends(&rig.log, "/a/get").count(), 0);
}

#[test]
fn a_left_job_whose_list_names_no_time_is_not_asked_for_without_pause() {
    let mut rig = Rig::<1>::online_with(|config| config.unclaimed = Unclaimed::Leave);
    rig.notify_next("foreign", Err(Refusal::Unknown));
    let bare = json!({ "jobId": "foreign", "versionNumber": 1, "lastUpdatedAt": 1_700_000_000 });
    let mut rounds = 0;
    while sends(&rig.log, "/get").count() > rounds && rounds < 50 {
        rounds += 1;
        let list = json!({ "inProgressJobs": [], "queuedJobs": [bare] });
        rig.answer("/get/accepted", list);
        if sends(&rig.log, "/foreign/get").count() >= rounds {
            let body = json!({ "execution": execution("foreign", "QUEUED") });
            rig.answer_as("/foreign/get/accepted", body, Err(Refusal::Unknown));
        }
    }
    assert!(rounds < 50, "asked {rounds} times in no time");
}

#[test]
fn a_new_execution_waits_until_the_handler_of_the_one_before_it_has_ended() {
    let mut rig = Rig::<2>::online();
    rig.run("a", RunPolicy::DEFAULT);
    // The service has timed the first execution out and retries; the device has not heard of it.
    let mut retry = execution("a", "QUEUED");
    retry["executionNumber"] = json!(2);
    retry["queuedAt"] = json!(1_700_000_060);
    let body = json!({ "timestamp": 1, "execution": retry });
    if rig.message("/notify-next", &body, Ok(RunPolicy::DEFAULT)) {
        rig.drain();
        rig.answer("/a/update/accepted", json!({}));
    }
    assert_eq!(rig.runs().len(), 1, "two handlers work on the same job");
}

#[test]
fn a_list_and_a_document_that_differ_by_a_second_are_about_the_same_job() {
    let mut rig = Rig::<2>::online();
    rig.run("a", RunPolicy::DEFAULT);
    let mut other = execution("a", "IN_PROGRESS");
    other["queuedAt"] = json!(1_700_000_001);
    let body = json!({ "timestamp": 1, "execution": other });
    let offered = rig.message("/notify-next", &body, Ok(RunPolicy::DEFAULT));
    assert!(!offered, "the running job is started beside itself");
}

#[test]
fn a_list_that_disagrees_with_the_document_is_not_asked_for_without_pause() {
    let mut rig = Rig::<2>::online();
    rig.run("a", RunPolicy::DEFAULT);
    let mut listed = summary("a");
    listed["queuedAt"] = json!(1_700_000_005);
    rig.notify(json!({ "IN_PROGRESS": [listed] }));
    rig.pass(5_000);
    let next = |rig: &Rig<2>| sends(&rig.log, "/$next/get").count();
    let mut rounds = next(&rig);
    let before = rounds;
    let body = json!({ "execution": execution("a", "IN_PROGRESS") });
    rig.answer("/a/get/accepted", body.clone());
    while next(&rig) > rounds && rounds < before + 30 {
        rounds = next(&rig);
        rig.answer("/$next/get/accepted", body.clone());
        let list = json!({ "inProgressJobs": [listed], "queuedJobs": [] });
        rig.answer("/get/accepted", list);
        rig.answer("/a/get/accepted", body.clone());
    }
    assert!(rounds < before + 30, "asked {rounds} times in no time");
}

#[test]
fn a_head_without_its_document_is_asked_for_and_not_rejected() {
    let mut rig = Rig::<1>::online();
    let mut bare = execution("a", "QUEUED");
    bare.as_object_mut()
        .expect("an object")
        .remove("jobDocument");
    let body = json!({ "timestamp": 1, "execution": bare });
    rig.message("/notify-next", &body, Err(Refusal::Unknown));
    rig.drain();
    let rejected = sends(&rig.log, "/a/update").any(|sent| sent["status"] == "REJECTED");
    assert!(!rejected);
}

#[test]
fn a_foreign_job_whose_message_was_cut_is_left_alone() {
    let mut rig = Rig::<1>::online_with(|config| config.unclaimed = Unclaimed::Leave);
    rig.notify_next("foreign", Err(Refusal::Unknown));
    rig.answer(
        "/get/accepted",
        json!({ "inProgressJobs": [], "queuedJobs": [summary("foreign")] }),
    );
    // The same job again, with more of a document than the receive buffer holds.
    let text = json!({ "timestamp": 1, "execution": execution("foreign", "IN_PROGRESS") });
    let text = text.to_string();
    let cut = &text.as_bytes()[..text.len() - 4];
    let topic = format!("{TOPICS}/notify-next");
    let now = rig.now();
    let _ = rig.agent.handle_publish(now, &topic, cut);
    rig.drain();
    assert_eq!(sends(&rig.log, "/foreign/update").count(), 0);
}

#[test]
fn a_late_cut_message_does_not_give_a_finished_job_a_second_outcome() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    rig.outcome(0, run, &Outcome::succeeded());
    rig.answer("/a/update/accepted", json!({}));
    let text = json!({ "timestamp": 1, "execution": execution("a", "QUEUED") }).to_string();
    let topic = format!("{TOPICS}/notify-next");
    let now = rig.now();
    let _ = rig
        .agent
        .handle_publish(now, &topic, &text.as_bytes()[..text.len() - 4]);
    rig.drain();
    let rejected = sends(&rig.log, "/a/update").any(|sent| sent["status"] == "REJECTED");
    assert!(!rejected, "reported SUCCEEDED and then REJECTED");
}

#[test]
fn a_list_that_was_cut_leads_to_a_question() {
    let mut rig = Rig::<1>::online();
    let text = json!({ "timestamp": 1, "jobs": { "QUEUED": [summary("a"), summary("b")] } });
    let text = text.to_string();
    let topic = format!("{TOPICS}/notify");
    let now = rig.now();
    let _ = rig
        .agent
        .handle_publish(now, &topic, &text.as_bytes()[..text.len() - 9]);
    rig.drain();
    let outs = rig.pass(60_000);
    assert!(outs.iter().any(|out| matches!(out, Out::Send(..))));
}

// ---- time ---------------------------------------------------------------------------------

#[test]
fn a_subscription_that_is_never_answered_is_tried_again() {
    let mut rig = Rig::<1>::with(|_| {}, 1);
    rig.subscribes = false;
    rig.connect();
    let outs = rig.pass(3_600_000);
    assert!(outs.iter().any(|out| matches!(out, Out::Subscribe(_))));
}

#[test]
fn a_resumed_job_renews_its_step_timer_at_once() {
    let policy = RunPolicy {
        step_timeout_minutes: Some(2),
        ..RunPolicy::DEFAULT
    };
    let mut steps = vec![
        Step::CheckpointWithDocument,
        Step::Sleep(59_700),
        Step::Stumble,
    ];
    steps.extend([Step::Sleep(300_000), Step::Succeed]);
    let story = Scenario::new("resumed in time")
        .script("slow", Script::new(steps).policy(policy))
        .job(100, "a", "slow");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
}

#[test]
fn an_answered_report_ends_the_back_off_of_those_before_it() {
    let mut rig = Rig::<1>::online();
    let run = rig.run("a", RunPolicy::DEFAULT);
    // Some reports are lost, and as many are answered.
    for percent in 0..8 {
        let progress = Progress::percent(percent);
        rig.agent.handle_progress(0, run, &progress);
        rig.drain();
        rig.pass(280_000);
        rig.agent.handle_progress(0, run, &progress);
        rig.drain();
        rig.answer("/a/update/accepted", json!({}));
    }
    // One question that is lost is put again soon.
    rig.log.clear();
    rig.notify(json!({}));
    rig.pass(30_000);
    assert!(sends(&rig.log, "/a/get").count() >= 2, "{:?}", rig.log);
}

#[test]
fn the_back_off_of_a_throttled_job_grows_although_another_slot_remembers_its_id() {
    let mut rig = Rig::<2>::online();
    // The first execution ran in slot 0, whose erase is under way: the next one takes slot 1.
    let run = rig.run("a", RunPolicy::DEFAULT);
    rig.outcome(0, run, &Outcome::failed("no"));
    rig.stores = false;
    rig.answer("/a/update/accepted", json!({}));
    let mut retry = execution("a", "QUEUED");
    retry["executionNumber"] = json!(2);
    retry["queuedAt"] = json!(1_700_000_009);
    let body = json!({ "timestamp": 1, "execution": retry });
    assert!(rig.message("/notify-next", &body, Ok(RunPolicy::DEFAULT)));
    rig.drain();
    assert_eq!(rig.agent.phase(1), Some(Phase::Claiming));
    let mut times = Vec::new();
    for _ in 0..8 {
        rig.answer("/a/update/rejected", json!({ "code": "RequestThrottled" }));
        let wake = rig.wake.expect("a retry").0 - rig.now;
        times.push(wake);
        rig.pass(wake);
    }
    let last = times.last().copied().unwrap_or_default();
    assert!(last > 60_000, "still hammering: {times:?}");
}

#[test]
fn no_new_run_begins_while_a_reset_is_wanted() {
    let mut rig = Rig::<3>::online();
    let a = rig.run("a", RunPolicy::DEFAULT);
    rig.run("b", RunPolicy::DEFAULT);
    rig.notify_next("c", Ok(RunPolicy::DEFAULT));
    let checkpoint = Checkpoint::new(&[1]).expect("fits");
    rig.outcome(0, a, &Outcome::Reboot(checkpoint));
    // b is given its grace; c is confirmed in the meantime.
    rig.answer("/c/update/accepted", json!({}));
    assert_eq!(rig.runs().len(), 2, "c is begun and will be cut off");
}

// ---- what holds ---------------------------------------------------------------------------

#[test]
fn a_reset_with_a_slot_in_report_loses_nothing() {
    let mut rig = Rig::<2>::online();
    let a = rig.run("a", RunPolicy::DEFAULT);
    let b = rig.run("b", RunPolicy::DEFAULT);
    rig.outcome(1, b, &Outcome::Succeeded(Details::new().with("k", "v")));
    let checkpoint = Checkpoint::new(&[1]).expect("fits");
    let outs = rig.outcome(0, a, &Outcome::Reboot(checkpoint));
    assert!(matches!(outs.last(), Some(Out::Reboot(0, _))), "{outs:?}");
    assert_eq!(rig.agent.phase(1), Some(Phase::Reporting));
}

#[test]
fn two_connects_in_a_row_subscribe_for_the_second_one() {
    let mut rig = Rig::<1>::with(|_| {}, 1);
    rig.subscribes = false;
    let first = rig.connect();
    let second = rig.connect();
    let (Out::Subscribe(first), Out::Subscribe(second)) = (&first[0], &second[0]) else {
        panic!("{first:?} {second:?}");
    };
    assert!(rig.done(*first, Completion::Done).is_empty());
    let outs = rig.done(*second, Completion::Done);
    assert_eq!(sends(&outs, "/$next/get").count(), 1);
}

#[test]
fn a_cut_at_every_effect_of_a_reset_beside_another_job_loses_nothing() {
    let story = Scenario::new("reset beside work")
        .script(
            "reboot",
            Script::new([Step::Reboot, Step::Effect("test"), Step::Succeed]),
        )
        .script(
            "work",
            Script::new([
                Step::Effect("work"),
                Step::Checkpoint,
                Step::Sleep(500),
                Step::Succeed,
            ]),
        )
        .job(100, "a", "reboot")
        .job(101, "b", "work");
    for restart in [Restart::Process, Restart::Reboot] {
        for at in 0.. {
            let crash = Crash {
                at,
                moment: Moment::After,
                restart,
                lose_up: true,
            };
            let report = World::<2>::play(&story, Some(crash));
            if !report.crashed {
                break;
            }
            report.assert_kept(&format!("{restart:?} after effect {at}"));
            assert_eq!(
                (report.status("a"), report.status("b")),
                (Some("SUCCEEDED"), Some("SUCCEEDED")),
                "{restart:?} after effect {at}"
            );
        }
    }
}

// ---- a sweep ------------------------------------------------------------------------------

/// Stories drawn per run of the tests; more are worth a night.
const SWEEP: u64 = 400;

/// SplitMix64, so that a story can be told again from its seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn one_of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        let place = self.below(N as u64);
        choices[usize::try_from(place).expect("below N")]
    }

    fn number(&mut self, bound: u64) -> u32 {
        u32::try_from(self.below(bound)).expect("small bounds")
    }

    fn crash(&mut self) -> Option<Crash> {
        let crash = Crash {
            at: usize::try_from(self.below(40)).expect("below 40"),
            moment: self.one_of([
                Moment::Before,
                Moment::After,
                Moment::Within(Tear::Old),
                Moment::Within(Tear::New),
            ]),
            restart: self.one_of([Restart::Process, Restart::Reboot]),
            lose_up: self.below(2) == 0,
        };
        (self.below(2) == 0).then_some(crash)
    }

    fn fault(&mut self) -> Action {
        let ms = self.below(9_000);
        match self.below(12) {
            0 => Action::Link(LinkFault::DropReply),
            1 => Action::Link(LinkFault::DropRequest),
            2 => Action::Link(LinkFault::DuplicateRequest),
            3 => Action::Link(LinkFault::DuplicateNotification(ms)),
            4 => Action::Link(LinkFault::DuplicateReply(ms)),
            5 => Action::Link(LinkFault::DropNotification),
            6 => Action::Link(LinkFault::DelayNotification(ms)),
            7 => Action::Link(LinkFault::Truncate(self.number(220) as usize)),
            8 | 9 => Action::Link(LinkFault::Cut(2 * ms + 1)),
            10 => Action::Service(Fault::Throttle {
                requests: self.number(6),
            }),
            _ => Action::Service(Fault::InternalError {
                requests: self.number(6),
            }),
        }
    }

    fn story(&mut self) -> Scenario {
        let mut story = operations().slow_storage(self.one_of([0, 0, 5, 50, 700]));
        if self.below(3) == 0 {
            story = story.leaving_unclaimed();
        }
        let mut at = 50;
        for number in 0..=self.below(6) {
            at += self.below(4_000);
            let operation = self.one_of([
                "two", "slow", "once", "instant", "timer", "limit", "reboot", "nobody", "bad",
            ]);
            let retry = json!({ "jobExecutionsRetryConfig":
                { "criteriaList": [{ "failureType": "ALL", "numberOfRetries": 1 }] } });
            let timeout = json!({ "timeoutConfig": { "inProgressTimeoutInMinutes": 1 } });
            let extra = match self.below(4) {
                0 => retry,
                1 => timeout,
                _ => json!({}),
            };
            let id = format!("job-{number}");
            story = story.job_with(at, &id, operation, extra);
            // A deletion is never refused, as a cancel of a finished job is.
            if self.below(5) == 0 {
                story = story.at(at + self.below(6_000), Action::DeleteJob(id));
            }
        }
        for _ in 0..self.below(6) {
            let when = self.below(at + 8_000);
            let fault = self.fault();
            story = story.at(when, fault);
        }
        story
    }
}

fn operations() -> Scenario {
    let once = RunPolicy {
        rerun: false,
        ..RunPolicy::DEFAULT
    };
    let timer = RunPolicy {
        step_timeout_minutes: Some(2),
        ..RunPolicy::DEFAULT
    };
    let limit = RunPolicy {
        time_limit_ms: Some(4_000),
        ..RunPolicy::DEFAULT
    };
    let slow = [Step::Effect("begin"), Step::CheckpointWithDocument]
        .into_iter()
        .chain(std::iter::repeat_n(Step::Sleep(1_000), 30))
        .chain([Step::Succeed]);
    let sleep = |ms| [Step::Effect("work"), Step::Sleep(ms), Step::Succeed];
    Scenario::new("sweep")
        .script("two", stories::two_pieces())
        .script("reboot", stories::with_reboot())
        .script("slow", Script::new(slow))
        .script("once", Script::new(sleep(3_000)).policy(once))
        .script("instant", Script::new(sleep(50)).policy(INSTANT))
        .script("timer", Script::new(sleep(100_000)).policy(timer))
        .script("limit", Script::new(sleep(100_000)).policy(limit))
}

fn play(slots: u64, story: &Scenario, crash: Option<Crash>) -> Report {
    match slots {
        1 => World::<1>::play(story, crash),
        2 => World::<2>::play(story, crash),
        _ => World::<3>::play(story, crash),
    }
}

#[test]
fn random_stories_come_to_their_end_and_keep_the_promises() {
    for seed in 0..SWEEP {
        let mut draw = Draw(seed);
        let (story, slots, crash) = (draw.story(), 1 + draw.below(3), draw.crash());
        let report = play(slots, &story, crash);
        // The world's crash table counts runs over one cut of half a second, and not over the
        // longer cuts and the slow storage of these stories.
        let broken = report
            .violations()
            .iter()
            .find(|text| !text.contains("offline runs after") && !text.contains("no reset after"));
        assert_eq!(broken, None, "seed {seed}");
        assert!(report.settled, "seed {seed}: stuck");
        assert!(
            report.published < 400,
            "seed {seed}: {} publishes",
            report.published
        );
    }
}
