//! The stories without any crash: what a person would expect to see.

use jobs_agent_core::{Ending, StopReason};
use jobs_testkit::{
    World,
    stories::{all, cancel, foreign_head, happy, time_out},
};

#[test]
fn a_happy_job_succeeds_once() {
    let report = World::<1>::play(&happy(), None);
    report.assert_kept("happy");
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
    assert_eq!(
        (report.effects("a", "first"), report.effects("a", "second")),
        (1, 1)
    );
}

#[test]
fn every_story_comes_to_its_end_with_every_promise_kept() {
    for story in all() {
        for report in [
            World::<1>::play(&story, None),
            World::<2>::play(&story, None),
            World::<8>::play(&story, None),
        ] {
            report.assert_kept(story.name);
        }
    }
}

#[test]
fn a_cancelled_job_is_stopped_and_the_next_one_is_done() {
    let report = World::<1>::play(&cancel(), None);
    // The describe that finds it out answers only that the execution is over, not why.
    assert_eq!(report.stop("a"), Some(StopReason::Over));
    assert_eq!(
        (report.status("a"), report.status("b")),
        (Some("CANCELED"), Some("SUCCEEDED"))
    );
}

#[test]
fn a_timed_out_job_is_stopped() {
    let report = World::<1>::play(&time_out(), None);
    assert_eq!(report.stop("a"), Some(StopReason::Over));
    assert_eq!(report.status("a"), Some("TIMED_OUT"));
}

#[test]
fn a_foreign_head_is_left_and_what_is_behind_it_is_done() {
    let report = World::<1>::play(&foreign_head(), None);
    assert_eq!(report.status("foreign"), Some("QUEUED"));
    assert_eq!(
        (report.status("a"), report.status("b")),
        (Some("SUCCEEDED"), Some("SUCCEEDED"))
    );
    assert_eq!(report.endings("foreign").first(), Some(&Ending::Left));
}
