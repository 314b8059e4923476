//! A crash after every single effect of every story, under both kinds of restart.
//!
//! The oracle is threefold: the observer checks the promises at every output, the world checks
//! the crash table while the device is still offline, and each story has its own expected end.

use jobs_testkit::{
    Crash, Moment, Report, Restart, Scenario, Tear, World,
    stories::{
        cancel, duplicate_notify, foreign_head, happy, lost_reply, reboot_job, rejected_update,
        throttled, time_out, two_jobs,
    },
};

const MOMENTS: [Moment; 4] = [
    Moment::Before,
    Moment::Within(Tear::Old),
    Moment::Within(Tear::New),
    Moment::After,
];

/// Plays `story` with a crash at every effect, in every way; returns how many were played.
fn crash_everywhere<const JOBS: usize>(story: &Scenario, check: impl Fn(&Report, &str)) -> usize {
    crash_at::<JOBS>(story, &MOMENTS, check)
}

fn crash_at<const JOBS: usize>(
    story: &Scenario,
    moments: &[Moment],
    check: impl Fn(&Report, &str),
) -> usize {
    let mut played = 0;
    for &moment in moments {
        for restart in [Restart::Process, Restart::Reboot] {
            for lose_up in [false, true] {
                for at in 0.. {
                    let crash = Crash {
                        at,
                        moment,
                        restart,
                        lose_up,
                    };
                    let report = World::<JOBS>::play(story, Some(crash));
                    if !report.crashed {
                        break;
                    }
                    let name = format!("{} with {JOBS} slots, {crash:?}", story.name);
                    report.assert_kept(&name);
                    check(&report, &name);
                    played += 1;
                }
            }
        }
    }
    played
}

fn all_slot_counts(story: &Scenario, check: impl Fn(&Report, &str) + Copy) {
    let played = crash_everywhere::<1>(story, check)
        + crash_everywhere::<2>(story, check)
        + crash_everywhere::<8>(story, check);
    println!("crashes: {}: {played} played", story.name);
    assert!(
        played > 300,
        "{}: only {played} crashes were played",
        story.name
    );
}

/// Work on either side of a checkpoint: what a crash may repeat, and what not.
fn check_two_pieces(report: &Report, job: &str, name: &str) {
    assert_eq!(report.status(job), Some("SUCCEEDED"), "{name}");
    let (first, second) = (report.effects(job, "first"), report.effects(job, "second"));
    // One crash: at most one of the two pieces is repeated, and none is skipped.
    assert!((1..=2).contains(&first), "{name}: first {first} times");
    assert!((1..=2).contains(&second), "{name}: second {second} times");
    assert!(first + second <= 3, "{name}: both pieces repeated");
}

#[test]
fn a_crash_anywhere_in_a_happy_job_repeats_at_most_the_piece_it_hit() {
    all_slot_counts(&happy(), |report, name| check_two_pieces(report, "a", name));
}

#[test]
fn a_crash_anywhere_in_two_jobs_loses_neither() {
    all_slot_counts(&two_jobs(), |report, name| {
        check_two_pieces(report, "a", name);
        check_two_pieces(report, "b", name);
    });
}

#[test]
fn a_crash_anywhere_around_a_reboot_ends_in_one_self_test_after_it() {
    all_slot_counts(&reboot_job(), |report, name| {
        assert_eq!(report.status("a"), Some("SUCCEEDED"), "{name}");
        for piece in ["install", "switch", "self-test"] {
            let times = report.effects("a", piece);
            assert!((1..=2).contains(&times), "{name}: {piece} {times} times");
        }
    });
}

#[test]
fn a_crash_anywhere_around_a_cancel_leaves_the_job_cancelled_and_the_next_one_done() {
    all_slot_counts(&cancel(), |report, name| {
        assert_eq!(report.status("a"), Some("CANCELED"), "{name}");
        check_two_pieces(report, "b", name);
    });
}

#[test]
fn a_crash_anywhere_around_a_time_out_leaves_the_job_timed_out() {
    all_slot_counts(&time_out(), |report, name| {
        assert_eq!(report.status("a"), Some("TIMED_OUT"), "{name}");
    });
}

#[test]
fn a_crash_anywhere_around_a_rejected_update_neither_starts_nor_blocks() {
    all_slot_counts(&rejected_update(), |report, name| {
        assert_eq!(report.status("a"), Some("CANCELED"), "{name}");
        assert_eq!(report.runs("a"), 0, "{name}");
        check_two_pieces(report, "b", name);
    });
}

#[test]
fn a_crash_anywhere_around_lost_replies_still_ends_the_job() {
    all_slot_counts(&lost_reply(), |report, name| {
        check_two_pieces(report, "a", name);
    });
}

#[test]
fn a_crash_anywhere_among_duplicates_still_runs_the_job_as_once() {
    all_slot_counts(&duplicate_notify(), |report, name| {
        check_two_pieces(report, "a", name);
        assert!(report.runs("a") <= 2, "{name}: {} runs", report.runs("a"));
    });
}

#[test]
fn a_crash_anywhere_under_throttling_still_ends_both_jobs() {
    all_slot_counts(&throttled(), |report, name| {
        check_two_pieces(report, "a", name);
        check_two_pieces(report, "b", name);
    });
}

#[test]
fn a_crash_anywhere_behind_a_foreign_head_touches_only_what_is_ours() {
    all_slot_counts(&foreign_head(), |report, name| {
        assert_eq!(report.status("foreign"), Some("QUEUED"), "{name}");
        check_two_pieces(report, "a", name);
        check_two_pieces(report, "b", name);
    });
}

#[test]
fn slow_storage_changes_nothing_of_this() {
    for story in [happy(), two_jobs(), reboot_job()] {
        crash_everywhere::<2>(&story.slow_storage(30), |report, name| {
            assert_eq!(report.status("a"), Some("SUCCEEDED"), "{name}");
        });
    }
}

/// A store that breaks its promise and loses a record in the cut: the job may be done anew from
/// its start, but it ends, ends right, and blocks nothing.
#[test]
fn a_record_lost_in_the_cut_costs_a_repetition_and_nothing_else() {
    for story in [happy(), two_jobs(), reboot_job(), lost_reply(), throttled()] {
        crash_at::<2>(&story, &[Moment::Within(Tear::Garbage)], |report, name| {
            assert_eq!(report.status("a"), Some("SUCCEEDED"), "{name}");
        });
    }
}
