//! What exhaustive exploration and seeded simulation found, each told as a story of its own.

use jobs_agent_core::{RunPolicy, StopReason};
use jobs_emulator::model::Fault;
use jobs_testkit::{
    Action, Crash, Found, LinkFault, Moment, Restart, Scenario, Script, Step, World, stories,
};
use serde_json::json;

/// P5: the cancel's notification comes after the start was accepted, while its record is still
/// being written; nothing else will ever tell of it.
#[test]
fn a_cancel_between_the_accepted_start_and_its_durable_record_stops_the_handler() {
    let story = Scenario::new("cancel while opening")
        .script("long", Script::new([Step::Sleep(240_000), Step::Succeed]))
        .slow_storage(400)
        .job(100, "a", "long")
        .at(300, Action::CancelJob("a".into()));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.stop("a"), Some(StopReason::Over));
}

/// P5: the handler asks for a checkpoint while the question about its job is under way.
#[test]
fn a_checkpoint_does_not_drop_the_answer_that_the_job_is_over() {
    let steps = [
        Step::Sleep(880),
        Step::Checkpoint,
        Step::Sleep(240_000),
        Step::Succeed,
    ];
    let story = Scenario::new("checkpoint while verifying")
        .script("long", Script::new(steps))
        .job(100, "a", "long")
        // Two notifications would lead to two questions, and the second one would do.
        .at(999, Action::Link(LinkFault::DropNotification))
        .at(1_000, Action::CancelJob("a".into()));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.stop("a"), Some(StopReason::Over));
}

/// P5: every word of the cancel is lost, the connection stays, and the handler says nothing that
/// could be refused.
#[test]
fn a_cancel_of_which_every_notification_is_lost_stops_a_silent_handler_all_the_same() {
    const THREE_HOURS_MS: u64 = 3 * 3_600_000;
    let story = Scenario::new("unheard cancel")
        .script(
            "silent",
            Script::new([Step::Sleep(THREE_HOURS_MS), Step::Succeed]),
        )
        .job(100, "a", "silent")
        .at(998, Action::Link(LinkFault::DropNotification))
        .at(999, Action::Link(LinkFault::DropNotification))
        .at(1_000, Action::CancelJob("a".into()));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.stop("a"), Some(StopReason::Over));
}

/// P1: a checkpoint is still being written when its job is canceled and the slot taken by an
/// instantaneous one, whose start waits for no record.
#[test]
fn a_write_of_an_earlier_job_does_not_start_an_instantaneous_one_again() {
    let policy = RunPolicy {
        instant: true,
        ..RunPolicy::DEFAULT
    };
    let set = Script::new([Step::Effect("set"), Step::Sleep(10_000), Step::Succeed]);
    let story = Scenario::new("cancel while saving")
        .script("long", stories::long())
        .script("set", set.policy(policy))
        .slow_storage(3_000)
        .job(100, "a", "long")
        .job(200, "b", "set")
        .at(3_300, Action::CancelJob("a".into()));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!((report.runs("b"), report.effects("b", "set")), (1, 1));
}

/// P1: the service times an execution out and queues the next one, while the handler of the
/// first still works in another slot.
#[test]
fn a_retried_execution_waits_until_the_handler_of_the_one_before_has_ended() {
    let story = Scenario::new("retry beside its predecessor")
        .script(
            "slow",
            Script::new([Step::Effect("work"), Step::Sleep(90_000), Step::Succeed]),
        )
        .job_with(
            100,
            "a",
            "slow",
            json!({
                "timeoutConfig": { "inProgressTimeoutInMinutes": 1 },
                "jobExecutionsRetryConfig":
                    { "criteriaList": [{ "failureType": "TIMED_OUT", "numberOfRetries": 1 }] },
            }),
        )
        // The question whether the first execution is still on has no answer for a while.
        .at(
            60_100,
            Action::Service(Fault::InternalError { requests: 1 }),
        );
    let report = World::<2>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.runs("a"), 2);
}

/// P2, P3: a read that lags says that the execution does not exist; the record of its start is
/// all that counts the attempts.
#[test]
fn a_lagging_read_after_a_restart_does_not_erase_the_record_of_a_job_that_is_on() {
    let story = Scenario::new("lag after a restart")
        .script(
            "slow",
            Script::new([Step::Effect("work"), Step::Sleep(5_000), Step::Succeed]),
        )
        .at(50, Action::Service(Fault::ReadLag { reads: 2 }))
        .job(100, "a", "slow");
    // Effects: SUBSCRIBE, $next, start, record; the crash takes the running handler.
    let crash = Crash {
        at: 4,
        moment: Moment::After,
        restart: Restart::Process,
        lose_up: false,
    };
    let report = World::<1>::play(&story, Some(crash));
    report.assert_kept(story.name);
    assert_eq!(report.found, [Found::Started]);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
}

/// P1: the record of an execution that is over could not be erased yet when its retry began in
/// another slot, and then the device went down: it finds both.
#[test]
fn of_two_executions_found_after_a_crash_only_the_later_one_goes_on() {
    let steps = [Step::Checkpoint, Step::Sleep(90_000), Step::Succeed];
    let extra = json!({
        "timeoutConfig": { "inProgressTimeoutInMinutes": 1 },
        "jobExecutionsRetryConfig":
            { "criteriaList": [{ "failureType": "TIMED_OUT", "numberOfRetries": 1 }] },
    });
    let mut both = 0;
    for at in 0.. {
        let story = Scenario::new("erasure fails before a retry")
            .script("slow", Script::new(steps))
            .job_with(100, "a", "slow", extra.clone())
            .at(59_000, Action::FailWrites(2));
        let crash = Crash {
            at,
            moment: Moment::After,
            restart: Restart::Process,
            lose_up: false,
        };
        let report = World::<2>::play(&story, Some(crash));
        if !report.crashed {
            break;
        }
        report.assert_kept(&format!("crash after effect {at}"));
        both += usize::from(report.found.len() == 2);
    }
    assert!(both > 0, "no crash left two records");
}
