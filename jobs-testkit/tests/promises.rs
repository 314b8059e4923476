//! The promises P1 to P9, one property each, in the words of ARCHITECTURE.md.

use jobs_agent_core::{Ending, RunPolicy, StopReason};
use jobs_emulator::model::Fault;
use jobs_testkit::{
    Action, Crash, LinkFault, Moment, Restart, Scenario, Script, Step, World, stories,
};
use serde_json::json;

fn once() -> RunPolicy {
    RunPolicy {
        rerun: false,
        ..RunPolicy::DEFAULT
    }
}

/// P1
#[test]
fn a_repeated_notification_of_a_finished_job_starts_nothing() {
    let story = Scenario::new("late repeat")
        .script("two", stories::two_pieces())
        .at(50, Action::Link(LinkFault::DuplicateNotification(60_000)))
        .at(51, Action::Link(LinkFault::DuplicateNotification(60_000)))
        .job(100, "a", "two");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.runs("a"), 1);
    assert_eq!(
        report.endings("a"),
        [
            Ending::Reported(jobs_agent_core::Status::Succeeded),
            Ending::AlreadyOver
        ]
    );
}

/// P1
#[test]
fn a_repeated_notification_of_a_running_job_starts_nothing_beside_it() {
    let story = Scenario::new("repeat")
        .script(
            "slow",
            Script::new([Step::Effect("work"), Step::Sleep(20_000), Step::Succeed]),
        )
        .at(50, Action::Link(LinkFault::DuplicateNotification(4_000)))
        .at(51, Action::Link(LinkFault::DuplicateNotification(5_000)))
        .job(100, "a", "slow");
    let report = World::<2>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!((report.runs("a"), report.effects("a", "work")), (1, 1));
}

/// P1
#[test]
fn slow_storage_holds_the_start_back() {
    let report = World::<1>::play(&stories::happy().slow_storage(400), None);
    report.assert_kept("slow storage");
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
}

/// P2
#[test]
fn an_outcome_is_sent_again_until_the_service_answers() {
    let mut story = stories::happy();
    // The replies to the start and to the first two reports: only the third report is answered.
    for at in [900, 901] {
        story = story.at(at, Action::Link(LinkFault::DropReply));
    }
    let story = Scenario {
        actions: story.actions,
        ..story
    }
    .script(
        "two",
        Script::new([Step::Effect("first"), Step::Sleep(2_000), Step::Succeed]),
    );
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.reports(), 3);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
    // The service had taken the first report: the third is answered by "already over".
    assert_eq!(report.endings("a"), [Ending::AlreadyOver]);
}

/// P3
#[test]
fn work_that_takes_the_device_down_is_given_up_after_the_budget() {
    let story = Scenario::new("boot loop")
        .script("bomb", Script::new([Step::Effect("lit"), Step::Crash]))
        .job(100, "a", "bomb");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("FAILED"));
    assert_eq!(report.runs("a"), 3);
    assert_eq!(
        report.detail("a", "reason"),
        Some("gave up: interrupted too often")
    );
}

/// P3
#[test]
fn a_self_test_that_takes_the_device_down_is_given_up_after_the_budget() {
    let story = Scenario::new("self-test loop")
        .script(
            "bomb",
            Script::new([Step::Reboot, Step::Effect("tested"), Step::Crash]),
        )
        .job(100, "a", "bomb");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("FAILED"));
    assert_eq!(report.effects("a", "tested"), 3);
}

/// P3
#[test]
fn progress_between_crashes_renews_the_budget() {
    let steps = (0..60).flat_map(|_| [Step::Stumble, Step::Checkpoint]);
    let story = Scenario::new("slow but sure")
        .script("patient", Script::new(steps.chain([Step::Succeed])))
        .job(100, "a", "patient");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
    assert_eq!(report.runs("a"), 61);
}

/// P3
#[test]
fn progress_between_crashes_does_not_renew_the_budget_for_ever() {
    let steps = (0..120).flat_map(|_| [Step::Stumble, Step::Checkpoint]);
    let story = Scenario::new("endless")
        .script("endless", Script::new(steps.chain([Step::Succeed])))
        .job(100, "a", "endless");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("FAILED"));
    assert_eq!(report.runs("a"), 100);
}

/// P3
#[test]
fn work_that_must_not_be_repeated_is_reported_failed_after_a_cut() {
    let story = Scenario::new("once")
        .script(
            "once",
            Script::new([Step::Effect("sent"), Step::Sleep(1_000), Step::Succeed]).policy(once()),
        )
        .job(100, "a", "once");
    let mut cut_at_work = 0;
    for at in 0.. {
        let crash = Crash {
            at,
            moment: Moment::After,
            restart: Restart::Process,
            lose_up: false,
        };
        let report = World::<1>::play(&story, Some(crash));
        if !report.crashed {
            break;
        }
        report.assert_kept("once");
        assert!(report.effects("a", "sent") <= 1, "crash after effect {at}");
        cut_at_work += usize::from(report.status("a") == Some("FAILED"));
    }
    assert!(cut_at_work >= 1, "no crash hit the work");
}

/// P4
#[test]
fn a_restart_of_the_process_is_no_reboot() {
    let story = stories::reboot_job();
    for at in 0.. {
        let crash = Crash {
            at,
            moment: Moment::Before,
            restart: Restart::Process,
            lose_up: true,
        };
        let report = World::<1>::play(&story, Some(crash));
        if !report.crashed {
            break;
        }
        // The observer compares the boot of the wish with the boot of the success.
        report.assert_kept("reboot by restart");
        assert_eq!(report.status("a"), Some("SUCCEEDED"));
    }
}

/// P5
#[test]
fn a_deleted_job_stops_its_handler() {
    let story = Scenario::new("deleted")
        .script("long", stories::long())
        .job(100, "a", "long")
        .at(30_000, Action::DeleteJob("a".into()));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.stop("a"), Some(StopReason::Removed));
}

/// P5
#[test]
fn a_cancel_that_no_notification_told_of_is_learnt_from_a_refused_report() {
    let mut steps = vec![Step::Effect("begin")];
    for percent in 0..100 {
        steps.extend([Step::Sleep(5_000), Step::Report(percent)]);
    }
    let story = Scenario::new("silent cancel")
        .script(
            "talks",
            Script::new(steps.into_iter().chain([Step::Succeed])),
        )
        .job(100, "a", "talks")
        .at(29_000, Action::Link(LinkFault::DropNotification))
        .at(29_001, Action::Link(LinkFault::DropNotification))
        .at(30_000, Action::CancelJob("a".into()));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.stop("a"), Some(StopReason::Canceled));
    assert!(
        report.end_ms < 60_000,
        "noticed only at {} ms",
        report.end_ms
    );
}

/// P5
#[test]
fn an_old_notification_does_not_stop_a_running_job() {
    // The list that says "nothing pending" was sent before the job was created.
    let story = Scenario::new("old list")
        .script("two", stories::two_pieces())
        .script("long", Script::new([Step::Sleep(20_000), Step::Succeed]))
        .job(100, "first", "two")
        .at(300, Action::Link(LinkFault::DelayNotification(8_000)))
        .job(3_000, "a", "long");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.stop("a"), None);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
}

/// P5
#[test]
fn an_unclaimed_job_is_rejected_with_a_reason_when_nobody_else_is_there() {
    let story = Scenario::new("unknown operation").job(100, "a", "frobnicate");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("REJECTED"));
    assert_eq!(report.detail("a", "reason"), Some("unsupported operation"));
}

/// P7
#[test]
fn a_hundred_reports_in_a_second_cost_one_publish() {
    let chatter = (0..100).map(Step::Report);
    let story = Scenario::new("chatter")
        .script(
            "talks",
            Script::new(chatter.chain([Step::Sleep(1_000), Step::Succeed])),
        )
        .job(100, "a", "talks");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    // $next/get at connect, start, one progress, outcome.
    assert_eq!(report.published, 4);
}

/// P7
#[test]
fn reports_over_a_minute_keep_their_distance() {
    let chatter = (0..60).flat_map(|second| [Step::Sleep(1_000), Step::Report(second)]);
    let story = Scenario::new("a minute")
        .script("talks", Script::new(chatter.chain([Step::Succeed])))
        .job(100, "a", "talks");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    // $next/get at connect, start, outcome, and one report in ten seconds.
    assert!(report.published <= 3 + 6, "{} publishes", report.published);
}

/// P7
#[test]
fn lost_progress_harms_nothing() {
    let story = Scenario::new("lost progress")
        .script(
            "talks",
            Script::new([
                Step::Sleep(500),
                Step::Report(5),
                Step::Sleep(500),
                Step::Succeed,
            ]),
        )
        .at(400, Action::Link(LinkFault::DropRequest))
        .job(100, "a", "talks");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
}

/// P8
#[test]
fn a_happy_job_costs_two_publishes_and_no_subscribe() {
    let quiet = Script::new([Step::Effect("work"), Step::Succeed]);
    let idle = World::<1>::play(&Scenario::new("idle").script("quiet", quiet.clone()), None);
    let story = Scenario::new("quiet")
        .script("quiet", quiet)
        .job(1_000, "a", "quiet")
        .job(20_000, "b", "quiet");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(idle.published, 1, "one $next/get at connect");
    assert_eq!(report.published - idle.published, 2 * 2);
    assert_eq!((idle.subscribed, report.subscribed), (1, 1));
}

/// P8
#[test]
fn two_jobs_in_a_row_cost_two_publishes_each() {
    let story = Scenario::new("row")
        .script(
            "quiet",
            Script::new([Step::Effect("work"), Step::Sleep(10_000), Step::Succeed]),
        )
        .job(1_000, "a", "quiet")
        .job(2_000, "b", "quiet");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("b"), Some("SUCCEEDED"));
    // The list that came while the slot was taken makes the agent look once more.
    assert!(
        report.published <= 1 + 2 * 2 + 1,
        "{} publishes",
        report.published
    );
}

/// P8
#[test]
fn an_instantaneous_job_costs_one_publish() {
    let policy = RunPolicy {
        instant: true,
        ..RunPolicy::DEFAULT
    };
    let story = Scenario::new("instant")
        .script(
            "set",
            Script::new([Step::Effect("set"), Step::Succeed]).policy(policy),
        )
        .job(1_000, "a", "set");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
    assert_eq!(report.published, 1 + 1);
}

/// P9
#[test]
fn an_old_reply_does_not_answer_for_a_lost_report() {
    // The answer to the start comes again just when the report of the outcome was lost.
    let story = Scenario::new("old reply")
        .script(
            "quick",
            Script::new([Step::Effect("work"), Step::Sleep(300), Step::Succeed]),
        )
        .at(90, Action::Link(LinkFault::DuplicateReply(2_000)))
        .job(100, "a", "quick")
        .at(300, Action::Link(LinkFault::DropRequest));
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
}

/// P9
#[test]
fn replies_to_an_earlier_life_of_the_agent_change_nothing() {
    // Every reply comes a second time, half a minute later, into whatever life there is then.
    for at in 0..12 {
        // Only a kept session brings them there.
        let mut story = stories::two_jobs().keeping_session();
        for armed in 0..6 {
            story = story.at(40 + armed, Action::Link(LinkFault::DuplicateReply(30_000)));
        }
        let crash = Crash {
            at,
            moment: Moment::After,
            restart: Restart::Process,
            lose_up: false,
        };
        let report = World::<1>::play(&story, Some(crash));
        report.assert_kept("replies to an earlier life");
        assert_eq!(report.status("a"), Some("SUCCEEDED"));
        assert_eq!(report.status("b"), Some("SUCCEEDED"));
    }
}

#[test]
fn a_dead_mans_switch_is_renewed_while_the_handler_lives() {
    let policy = RunPolicy {
        step_timeout_minutes: Some(2),
        ..RunPolicy::DEFAULT
    };
    let story = Scenario::new("dead man's switch")
        .script(
            "slow",
            Script::new([Step::Sleep(1_800_000), Step::Succeed]).policy(policy),
        )
        .job(100, "a", "slow");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
}

#[test]
fn a_handler_that_takes_too_long_is_stopped_and_reported_failed() {
    let policy = RunPolicy {
        time_limit_ms: Some(5_000),
        ..RunPolicy::DEFAULT
    };
    let story = Scenario::new("time limit")
        .script(
            "slow",
            Script::new([Step::Sleep(600_000), Step::Succeed]).policy(policy),
        )
        .job(100, "a", "slow");
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.stop("a"), Some(StopReason::TimeLimit));
    assert_eq!(report.status("a"), Some("FAILED"));
}

#[test]
fn a_connection_cut_in_the_middle_costs_nothing_but_time() {
    for cut_at in (0..2_000).step_by(23) {
        let mut story = stories::two_jobs();
        story = story.at(cut_at, Action::Link(LinkFault::Cut(700)));
        let report = World::<2>::play(&story, None);
        report.assert_kept("cut");
        assert_eq!(
            report.effects("a", "first") + report.effects("b", "second"),
            2
        );
    }
}

#[test]
fn a_job_the_service_retries_is_done_as_a_new_execution() {
    let story = Scenario::new("retry")
        .script("fails", Script::new([Step::Effect("tried"), Step::Fail]))
        .job_with(
            100,
            "a",
            "fails",
            json!({ "jobExecutionsRetryConfig":
                { "criteriaList": [{ "failureType": "FAILED", "numberOfRetries": 2 }] } }),
        );
    let report = World::<1>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.effects("a", "tried"), 3);
}

#[test]
fn a_read_that_lags_behind_the_notification_is_repeated() {
    let story = Scenario::new("lag")
        .script("two", stories::two_pieces())
        .at(90, Action::Link(LinkFault::DropNotification))
        .job(100, "blocker", "two")
        .at(200, Action::Service(Fault::ReadLag { reads: 2 }))
        .job(201, "a", "two");
    let report = World::<2>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(report.status("a"), Some("SUCCEEDED"));
}
