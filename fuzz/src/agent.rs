//! The agent in its world: a story from any bytes (handlers, jobs, faults, a cut of the power), played
//! against the emulator's model under the testkit's observer, must keep every promise and end.

use jobs_agent_core::RunPolicy;
use jobs_emulator::model::Fault;
use jobs_testkit::{
    Action, Crash, LinkFault, Moment, Restart, Scenario, Script, Step, Tear, World,
};
use serde_json::json;

use crate::input::Input;

const OPERATIONS: [&str; 3] = ["one", "two", "three"];
const JOB_IDS: [&str; 4] = ["a", "b", "c", "get"];
/// Steps of a handler before its end.
const STEPS_MAX: usize = 6;
/// Faults in a story.
const FAULTS_MAX: usize = 6;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let slots = input.below(3);
    let crash = input.option(crash);
    let mut scenario = Scenario::new("fuzzed").slow_storage(input.pick(&[0, 0, 1, 30]));
    for operation in OPERATIONS {
        scenario = scenario.script(operation, script(&mut input));
    }
    scenario = scenario.script("long", long());
    for id in JOB_IDS.iter().take(1 + input.below(JOB_IDS.len())) {
        scenario = job(scenario, &mut input, id);
    }
    for _ in 0..input.below(FAULTS_MAX) {
        let at_ms = u64::from(input.u16());
        let action = fault(&mut input);
        scenario = scenario.at(at_ms, action);
    }
    let report = match slots {
        0 => World::<1>::play(&scenario, crash),
        1 => World::<2>::play(&scenario, crash),
        _ => World::<4>::play(&scenario, crash),
    };
    assert!(
        report.violations().is_empty(),
        "{:#?}\n{crash:?} in {scenario:#?}",
        report.violations()
    );
    assert!(
        report.settled,
        "stuck at {} ms: {crash:?} in {scenario:#?}",
        report.end_ms
    );
}

fn crash(input: &mut Input<'_>) -> Crash {
    Crash {
        at: input.below(64),
        moment: input.pick(&[
            Moment::Before,
            Moment::Within(Tear::Old),
            Moment::Within(Tear::New),
            Moment::After,
        ]),
        restart: input.pick(&[Restart::Process, Restart::Reboot]),
        lose_up: input.bool(),
    }
}

fn script(input: &mut Input<'_>) -> Script {
    let instant = input.below(6) == 0;
    let mut steps = Vec::new();
    for _ in 0..input.below(STEPS_MAX + 1) {
        let step = match input.below(8) {
            0 | 1 => Step::Effect("effect"),
            2 => Step::Report(input.byte() % 101),
            3 => Step::Sleep(1 << input.below(18)),
            4 => Step::Checkpoint,
            5 => Step::CheckpointWithDocument,
            6 => Step::Reboot,
            _ => input.pick(&[Step::Crash, Step::Stumble, Step::Stumble]),
        };
        // Who calls itself instantaneous and idempotent does not take the device down.
        let harmless = matches!(step, Step::Effect(_) | Step::Report(_) | Step::Sleep(_));
        if harmless || !instant {
            steps.push(step);
        }
    }
    steps.push(input.pick(&[Step::Succeed, Step::Succeed, Step::Fail]));
    Script::new(steps).policy(RunPolicy {
        rerun: input.below(4) != 0,
        instant,
        step_timeout_minutes: input.option(|input| 1 + u16::from(input.byte())),
        time_limit_ms: input.option(|input| 1 << (4 + input.below(16))),
    })
}

/// Long enough that it can be cancelled while it surely runs or waits.
fn long() -> Script {
    Script::new([Step::Effect("begin"), Step::Sleep(1_200_000), Step::Succeed])
}

/// A device's first word about a job comes two ways later, milliseconds: until then the job is there to
/// be cancelled, whatever the device will say.
const ANSWER_MIN_MS: u64 = 40;

fn job(scenario: Scenario, input: &mut Input<'_>, id: &str) -> Scenario {
    let at_ms = u64::from(input.u16());
    match input.below(10) {
        0 => scenario.job(at_ms, id, "bad"),
        1 => scenario.job(at_ms, id, "nobody knows"),
        2 => {
            let cancel_at_ms = at_ms + 1 + u64::from(input.byte()) % (ANSWER_MIN_MS - 1);
            let end = match input.bool() {
                true => Action::CancelJob(id.into()),
                false => Action::DeleteJob(id.into()),
            };
            scenario.job(at_ms, id, "long").at(cancel_at_ms, end)
        }
        3 | 4 => {
            let minutes = 1 + i64::from(input.byte());
            let extra = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": minutes}});
            let operation = input.pick(&OPERATIONS);
            scenario.job_with(at_ms, id, operation, extra)
        }
        _ => {
            let operation = input.pick(&OPERATIONS);
            scenario.job(at_ms, id, operation)
        }
    }
}

/// A fault of service, link or stranger. The connection does not break by itself: the world judges what
/// a restarted device did offline at its next connection, whatever that one is for.
fn fault(input: &mut Input<'_>) -> Action {
    let requests = u32::from(input.byte() % 4);
    let later_ms = u64::from(input.u16());
    match input.below(13) {
        0 => Action::Service(Fault::Throttle { requests }),
        1 => Action::Service(Fault::InternalError { requests }),
        2 => Action::Service(Fault::ReadLag { reads: requests }),
        3 => Action::Link(LinkFault::DropReply),
        4 => Action::Link(LinkFault::DropRequest),
        5 => Action::Link(LinkFault::DuplicateRequest),
        6 => Action::Link(LinkFault::DuplicateNotification(later_ms)),
        7 => Action::Link(LinkFault::DuplicateReply(later_ms)),
        8 => Action::Link(LinkFault::DropNotification),
        9 => Action::Link(LinkFault::DelayNotification(later_ms)),
        10 => Action::Link(LinkFault::DropReply),
        11 => Action::Link(LinkFault::Truncate(usize::from(input.byte()))),
        _ => Action::Inject {
            topic: injected(input),
            payload: input.short().to_vec(),
        },
    }
}

fn injected(input: &mut Input<'_>) -> String {
    let job = input.pick(&JOB_IDS);
    let ending = input.pick(&[
        "get/accepted",
        "get/rejected",
        "update/accepted",
        "update/rejected",
    ]);
    format!("/{job}/{ending}")
}
