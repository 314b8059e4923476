//! P6: a document that does not fit the receive buffer of the device is answered. The broker drops
//! it without a word, so it has to be told from a service that is away.

use jobs_emulator::model::Fault;
use jobs_testkit::{Action, LinkFault, Report, Scenario, Script, Step, World};
use serde_json::json;

/// Room for every message but a large document, bytes.
const TAKES: usize = 1_024;

const REASON: &str = "job document does not fit this device's receive buffer";

/// Work for a small document, on a device with little room.
fn little_room(name: &'static str) -> Scenario {
    Scenario::new(name)
        .script("work", Script::new([Step::Effect("work"), Step::Succeed]))
        .taking_at_most(TAKES)
}

/// A job for an operation with this many bytes of padding in its document.
fn large(at_ms: u64, story: Scenario, id: &str, operation: &str, bytes: usize) -> Scenario {
    let document = json!({ "operation": operation, "padding": "x".repeat(bytes) });
    let create = Action::CreateJob {
        id: id.into(),
        document,
        extra: json!({}),
    };
    story.at(at_ms, create)
}

fn assert_refused(report: &Report, id: &str) {
    assert_eq!(report.status(id), Some("REJECTED"));
    assert_eq!(report.detail(id, "reason"), Some(REASON));
    assert_eq!(report.effects(id, "work"), 0);
}

#[test]
fn a_document_that_does_not_fit_is_rejected_and_the_next_job_done() {
    // From just too large up to what the service allows.
    for bytes in [TAKES, 8_000, 32_000] {
        let story = large(100, little_room("large, then small"), "big", "work", bytes);
        let report = World::<1>::play(&story.job(200, "small", "work"), None);
        report.assert_kept("large, then small");
        assert_refused(&report, "big");
        assert_eq!(report.status("small"), Some("SUCCEEDED"));
    }
}

#[test]
fn a_document_that_does_not_fit_is_found_at_the_start_too() {
    // Created before the device first asks: there is no notification, only an unanswered question.
    let story = large(0, little_room("there before us"), "big", "work", 8_000);
    let report = World::<1>::play(&story.job(0, "small", "work"), None);
    report.assert_kept("there before us");
    assert_refused(&report, "big");
    assert_eq!(report.status("small"), Some("SUCCEEDED"));
}

#[test]
fn a_document_that_does_not_fit_may_be_left_to_others() {
    // Nobody can tell that it is not for us.
    let story = large(100, little_room("left"), "big", "theirs", 8_000);
    let story = story.job(200, "small", "work").leaving_unclaimed();
    let report = World::<2>::play(&story, None);
    report.assert_kept("left");
    assert_eq!(report.status("big"), Some("QUEUED"));
    assert_eq!(report.status("small"), Some("SUCCEEDED"));
}

#[test]
fn a_job_behind_a_large_document_left_to_others_is_found_after_a_time_offline() {
    // Nobody tells of it: only the list shows what a foreign head hides.
    let story = large(100, little_room("behind"), "big", "theirs", 8_000).leaving_unclaimed();
    let story = story.at(200_000, Action::Link(LinkFault::Cut(1_000)));
    let report = World::<1>::play(&story.job(200_500, "small", "work"), None);
    report.assert_kept("behind");
    assert_eq!(report.status("big"), Some("QUEUED"));
    assert_eq!(report.status("small"), Some("SUCCEEDED"));
}

#[test]
fn replies_that_are_lost_are_no_sign_of_a_large_document() {
    // However many are lost in a row: the document fits, and comes in the end.
    for lost in 1..12 {
        let mut story = Scenario::new("lost replies")
            .script("work", Script::new([Step::Effect("work"), Step::Succeed]))
            .taking_at_most(TAKES);
        for _ in 0..lost {
            story = story.at(0, Action::Link(LinkFault::DropReply));
        }
        // No notification either: all depends on the questions.
        story = story.at(0, Action::Link(LinkFault::DropNotification));
        story = story.at(0, Action::Link(LinkFault::DropNotification));
        let report = World::<1>::play(&story.job(10, "a", "work"), None);
        report.assert_kept("lost replies");
        assert_eq!(report.status("a"), Some("SUCCEEDED"), "{lost} lost");
    }
}

#[test]
fn a_service_in_trouble_is_no_sign_of_a_large_document() {
    for count in 1..12 {
        let story =
            little_room("throttled").at(0, Action::Service(Fault::Throttle { requests: count }));
        let report = World::<1>::play(&story.job(10, "a", "work"), None);
        report.assert_kept("throttled");
        assert_eq!(report.status("a"), Some("SUCCEEDED"), "{count} throttled");
    }
}
