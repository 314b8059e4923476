//! The ten stories that the crash tests and the mutants are played on.

use jobs_emulator::model::Fault;
use serde_json::json;

use crate::{
    link::LinkFault,
    scenario::{Action, Scenario},
    script::{Script, Step},
};

/// A handler with two pieces of work on either side of a checkpoint.
#[must_use]
pub fn two_pieces() -> Script {
    Script::new([
        Step::Effect("first"),
        Step::Report(10),
        Step::Checkpoint,
        Step::Effect("second"),
        Step::Sleep(200),
        Step::Report(90),
        Step::Succeed,
    ])
}

/// A handler that needs a reset in the middle.
#[must_use]
pub fn with_reboot() -> Script {
    Script::new([
        Step::Effect("install"),
        Step::Checkpoint,
        Step::Effect("switch"),
        Step::Reboot,
        Step::Effect("self-test"),
        Step::Succeed,
    ])
}

/// A handler that works for four minutes in small steps; a resume needs its document.
#[must_use]
pub fn long() -> Script {
    let work = std::iter::repeat_n(Step::Sleep(1_000), 240);
    Script::new(
        [Step::Effect("begin"), Step::CheckpointWithDocument]
            .into_iter()
            .chain(work)
            .chain([Step::Succeed]),
    )
}

/// One job, nothing goes wrong.
#[must_use]
pub fn happy() -> Scenario {
    Scenario::new("happy")
        .script("two", two_pieces())
        .job(100, "a", "two")
}

/// Two jobs, one behind the other or side by side.
#[must_use]
pub fn two_jobs() -> Scenario {
    Scenario::new("two jobs")
        .script("two", two_pieces())
        .job(100, "a", "two")
        .job(150, "b", "two")
}

/// A job that needs a reset.
#[must_use]
pub fn reboot_job() -> Scenario {
    Scenario::new("reboot job")
        .script("reboot", with_reboot())
        .job(100, "a", "reboot")
}

/// A job that is cancelled by force while it runs, and one behind it.
#[must_use]
pub fn cancel() -> Scenario {
    Scenario::new("cancel")
        .script("long", long())
        .script("two", two_pieces())
        .job(100, "a", "long")
        .job(200, "b", "two")
        .at(60_000, Action::CancelJob("a".into()))
}

/// A job that the service times out while it runs.
#[must_use]
pub fn time_out() -> Scenario {
    Scenario::new("time-out").script("long", long()).job_with(
        100,
        "a",
        "long",
        json!({ "timeoutConfig": { "inProgressTimeoutInMinutes": 1 } }),
    )
}

/// A job that is cancelled before the device hears of it, and one after it.
#[must_use]
pub fn rejected_update() -> Scenario {
    // The job is gone before the device hears of it: its start, or its report, is refused.
    Scenario::new("rejected update")
        .script("two", two_pieces())
        .job(100, "a", "two")
        .at(100, Action::Link(LinkFault::DropNotification))
        .at(115, Action::CancelJob("a".into()))
        .job(5_000, "b", "two")
}

/// Replies are lost on the way.
#[must_use]
pub fn lost_reply() -> Scenario {
    Scenario::new("lost reply")
        .script("two", two_pieces())
        .job(100, "a", "two")
        .at(101, Action::Link(LinkFault::DropReply))
        .at(102, Action::Link(LinkFault::DropReply))
        .at(103, Action::Link(LinkFault::DropReply))
}

/// Notifications, requests and replies arrive twice.
#[must_use]
pub fn duplicate_notify() -> Scenario {
    Scenario::new("duplicate notify")
        .script("two", two_pieces())
        .at(50, Action::Link(LinkFault::DuplicateNotification(30)))
        .at(51, Action::Link(LinkFault::DuplicateNotification(700)))
        .at(52, Action::Link(LinkFault::DuplicateRequest))
        .at(53, Action::Link(LinkFault::DuplicateReply(900)))
        .job(100, "a", "two")
}

/// The service throttles, and fails.
#[must_use]
pub fn throttled() -> Scenario {
    Scenario::new("throttled")
        .script("two", two_pieces())
        .at(90, Action::Service(Fault::Throttle { requests: 3 }))
        .job(100, "a", "two")
        .at(
            20_000,
            Action::Service(Fault::InternalError { requests: 2 }),
        )
        .job(20_001, "b", "two")
}

/// Somebody else's job stands at the head of the queue.
#[must_use]
pub fn foreign_head() -> Scenario {
    Scenario::new("foreign head")
        .leaving_unclaimed()
        .script("two", two_pieces())
        .job(100, "foreign", "somebody-elses")
        .job(1_000, "a", "two")
        .job(2_000, "b", "two")
}

/// All ten.
#[must_use]
pub fn all() -> Vec<Scenario> {
    vec![
        happy(),
        two_jobs(),
        reboot_job(),
        cancel(),
        time_out(),
        rejected_update(),
        lost_reply(),
        duplicate_notify(),
        throttled(),
        foreign_head(),
    ]
}
