//! That the measurements compare like with like, and that nothing of ours touches the heap.
//!
//! One program for all of it, because each is linked with fat LTO.

mod allocations;
mod readers;

use serde_json::Value;
use speed::happy::Happy;
use speed::messages::*;

#[test]
fn every_message_is_json_and_has_the_length_that_its_name_says() {
    assert_eq!(notify_next_300().len(), 300);
    for (message, least) in [
        (notify_next_mixed(), 32_500),
        (notify_next_string(), DOCUMENT_MAX),
        (notify_next_pretty(), 32_500),
    ] {
        assert!(serde_json::from_slice::<Value>(&message).is_ok());
        assert!(
            (least..DOCUMENT_MAX + 500).contains(&message.len()),
            "{}",
            message.len()
        );
    }
    let lists = [
        notify(0),
        notify(1),
        notify(15),
        pending(0),
        pending(1),
        pending(15),
    ];
    let replies = [update_accepted(), rejected(), described()].concat();
    for message in lists.iter().chain(&replies) {
        assert!(serde_json::from_slice::<Value>(message).is_ok());
    }
}

#[test]
fn a_happy_job_is_two_publishes_two_writes_one_run_and_an_erased_record() {
    let happy = Happy::new();
    let mut agent = happy.agent();
    let seen = happy.run(&mut agent);
    assert!(agent.is_idle());
    assert_eq!(
        (seen.published, seen.written, seen.erased, seen.started),
        (2, 2, 1, 1)
    );
}
