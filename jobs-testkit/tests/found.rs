//! What exhaustive exploration and seeded simulation found, each told as a story of its own.

use jobs_agent_core::{RunPolicy, StopReason};
use jobs_testkit::{Action, LinkFault, Scenario, Script, Step, World, stories};

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
