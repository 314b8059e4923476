//! Makes a story out of a seed.

use std::collections::BTreeSet;

use jobs_agent_core::RunPolicy;
use jobs_emulator::model::{Fault, TerminalUpdate};
use serde_json::{Map, Value, json};

use super::draw::Draw;
use crate::{
    board::Restart,
    link::LinkFault,
    scenario::{Action, Scenario},
    script::{Script, Step},
    store::Tear,
    world::{Crash, Moment},
};

/// Faults and jobs come in this time; then the world is left in peace.
const BUSY_MS: u64 = 3 * 3_600_000;
/// By then everything must be over: longer than all work, back-off and slow checks together.
const END_MS: u64 = 40 * 3_600_000;
const OPERATIONS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const JOBS_MAX: u64 = 16;
const FAULTS_MAX: u64 = 24;
const CRASHES_MAX: u64 = 4;
const SLOTS_MAX: u64 = 8;
/// Crashes that a job survives for sure: the attempts of the core's default, less one.
const SURVIVED: usize = 2;

/// A story, and what is known of its end.
#[derive(Clone, Debug)]
pub struct Story {
    /// Slots of the agent, 1 to 8.
    pub slots: u64,
    /// What happens.
    pub scenario: Scenario,
    /// When the device goes down.
    pub crashes: Vec<Crash>,
    /// Jobs that nothing in the story keeps from success.
    pub must_succeed: BTreeSet<String>,
}

/// The story of a seed.
#[must_use]
pub fn story(seed: u64) -> Story {
    let mut draw = Draw::new(seed);
    let mut scenario = Scenario::new("simulated");
    scenario.lenient = true;
    scenario.end_ms = END_MS;
    scenario.leave_unclaimed = draw.chance(50);
    scenario.session_kept = seed.is_multiple_of(2);
    scenario.storage_ms = draw.one_of(&[0, 0, 5, 40, 300]);
    scenario.settings.timeout_lag_ms = draw.one_of(&[0, 60_000]);
    scenario.settings.notify_on_start = draw.chance(20);
    scenario.settings.terminal_update = draw.one_of(&[
        TerminalUpdate::InvalidStateTransition,
        TerminalUpdate::TerminalStateReached,
    ]);
    let mut safe = BTreeSet::new();
    for operation in OPERATIONS {
        let script = script(&mut draw);
        if is_safe(&script) {
            safe.insert(operation);
        }
        scenario = scenario.script(operation, script);
    }
    let crashes = crashes(&mut draw);
    let (scenario, plain) = jobs(&mut draw, scenario);
    let (scenario, cut_short) = faults(&mut draw, scenario);
    // Any other handler may take the device down, and the work of all with it.
    let calm = safe.len() == OPERATIONS.len() && crashes.len() <= SURVIVED && !cut_short;
    let must_succeed = if calm { plain } else { BTreeSet::new() };
    Story {
        slots: draw.between(1, SLOTS_MAX),
        scenario,
        crashes,
        must_succeed,
    }
}

/// Succeeds, however often it is run again, and never takes the device down.
fn is_safe(script: &Script) -> bool {
    let harmless = script.steps.iter().all(|step| match step {
        Step::Effect(_)
        | Step::Checkpoint
        | Step::CheckpointWithDocument
        | Step::Report(_)
        | Step::Sleep(_)
        | Step::Succeed => true,
        Step::Reboot | Step::Fail | Step::Crash | Step::Stumble => false,
    });
    harmless && script.policy.rerun && script.policy.time_limit_ms.is_none()
}

fn script(draw: &mut Draw) -> Script {
    let instant = draw.chance(15);
    let wild = !instant && draw.chance(30);
    let mut steps = Vec::new();
    for _ in 0..draw.between(0, 8) {
        steps.push(match draw.between(0, 9) {
            0 | 1 => Step::Effect("work"),
            2 | 3 => Step::Report(draw.small(0, 100)),
            4 => Step::Sleep(draw.between(1, 500)),
            5 if !instant => Step::Sleep(draw.between(1_000, 900_000)),
            6 | 7 if !instant => Step::Checkpoint,
            8 if !instant => Step::CheckpointWithDocument,
            9 if wild => draw.one_of(&[Step::Reboot, Step::Stumble]),
            _ => Step::Effect("more"),
        });
    }
    steps.push(match draw.between(0, 19) {
        0 | 1 => Step::Fail,
        2 if wild => Step::Crash,
        _ => Step::Succeed,
    });
    let policy = RunPolicy {
        rerun: instant || draw.chance(85),
        instant,
        step_timeout_minutes: draw.chance(30).then(|| u16::from(draw.small(1, 6))),
        time_limit_ms: draw.chance(10).then_some(600_000),
    };
    Script::new(steps).policy(policy)
}

/// The jobs, and those of them that nobody cancels, deletes or times out.
fn jobs(draw: &mut Draw, mut scenario: Scenario) -> (Scenario, BTreeSet<String>) {
    let mut plain = BTreeSet::new();
    for number in 0..draw.between(1, JOBS_MAX) {
        let id = format!("job-{number}");
        let at = draw.between(0, BUSY_MS / 2);
        let foreign = draw.chance(8);
        let operation = if foreign {
            draw.one_of(&["theirs", "bad"])
        } else {
            draw.one_of(&OPERATIONS)
        };
        let mut extra = Map::new();
        if draw.chance(20) {
            let retries = draw.between(1, 3);
            let kind = draw.one_of(&["FAILED", "TIMED_OUT", "ALL"]);
            extra.insert(
                "jobExecutionsRetryConfig".into(),
                json!({ "criteriaList": [{ "failureType": kind, "numberOfRetries": retries }] }),
            );
        }
        let timed = draw.chance(15);
        if timed {
            let minutes = draw.between(1, 20);
            let timeout = json!({ "inProgressTimeoutInMinutes": minutes });
            extra.insert("timeoutConfig".into(), timeout);
        }
        scenario = scenario.job_with(at, &id, operation, Value::Object(extra));
        let later = draw.between(at, BUSY_MS);
        let ended = draw.between(0, 9);
        match ended {
            0 => scenario = scenario.at(later, Action::CancelJob(id.clone())),
            1 => scenario = scenario.at(later, Action::DeleteJob(id.clone())),
            _ => {}
        }
        // A dead-man's switch is not held while the device is down or cut off.
        let switched = scenario
            .scripts
            .get(operation)
            .is_none_or(|script| script.policy.step_timeout_minutes.is_some());
        if ended > 1 && !timed && !foreign && !switched {
            plain.insert(id);
        }
    }
    (scenario, plain)
}

/// The faults, and whether one cuts messages short (a job may then be refused rightly).
fn faults(draw: &mut Draw, mut scenario: Scenario) -> (Scenario, bool) {
    let mut cut_short = false;
    for _ in 0..draw.between(0, FAULTS_MAX) {
        let at = draw.between(0, BUSY_MS);
        let late = draw.between(1, 300_000);
        let few = u32::from(draw.small(1, 6));
        let action = match draw.between(0, 12) {
            0 => Action::Link(LinkFault::DropReply),
            1 => Action::Link(LinkFault::DropRequest),
            2 => Action::Link(LinkFault::DropNotification),
            3 => Action::Link(LinkFault::DuplicateRequest),
            4 => Action::Link(LinkFault::DuplicateReply(late)),
            5 => Action::Link(LinkFault::DuplicateNotification(late)),
            6 => Action::Link(LinkFault::DelayNotification(late)),
            7 | 8 => Action::Link(LinkFault::Cut(late)),
            9 => Action::Service(Fault::Throttle { requests: few }),
            10 => Action::Service(Fault::InternalError { requests: few }),
            11 => Action::FailWrites(few),
            _ if draw.chance(50) => Action::Service(Fault::ReadLag { reads: few.min(3) }),
            _ => {
                cut_short = true;
                let len = draw.between(0, 250);
                Action::Link(LinkFault::Truncate(usize::try_from(len).unwrap_or(0)))
            }
        };
        scenario = scenario.at(at, action);
    }
    let peace = Action::Service(Fault::ReadLag { reads: 0 });
    (scenario.at(BUSY_MS, peace), cut_short)
}

fn crashes(draw: &mut Draw) -> Vec<Crash> {
    let mut at = 0;
    let mut crashes = Vec::new();
    for _ in 0..draw.between(0, CRASHES_MAX) {
        at += usize::try_from(draw.between(1, 60)).unwrap_or(1);
        crashes.push(Crash {
            at,
            moment: draw.one_of(&[
                Moment::Before,
                Moment::Within(Tear::Old),
                Moment::Within(Tear::New),
                Moment::After,
            ]),
            restart: draw.one_of(&[Restart::Process, Restart::Reboot]),
            lose_up: draw.chance(50),
        });
    }
    crashes
}
