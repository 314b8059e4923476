//! P6: whatever arrives, the agent answers it or ignores it, and loses nothing by it.

use jobs_testkit::{Action, LinkFault, Scenario, Script, Step, World, stories};

/// Bytes that no service sends: each with the topic it comes on.
fn bombs() -> Vec<(String, Vec<u8>)> {
    let deep = format!(
        "{{\"execution\":{}1{}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let mut bombs = vec![
        ("/notify-next".into(), b"".to_vec()),
        ("/notify-next".into(), b"null".to_vec()),
        ("/notify-next".into(), b"[]".to_vec()),
        ("/notify-next".into(), b"{\"execution\":7}".to_vec()),
        (
            "/notify-next".into(),
            b"{\"execution\":{\"jobId\":\"../../x\"}}".to_vec(),
        ),
        ("/notify-next".into(), b"\xFF\xFE{".to_vec()),
        ("/notify-next".into(), deep.clone().into_bytes()),
        ("/notify".into(), deep.into_bytes()),
        ("/notify".into(), b"{\"jobs\":{\"QUEUED\":[1,2]}}".to_vec()),
        (
            "/notify".into(),
            b"{\"jobs\":{\"IN_PROGRESS\":\"x\"}}".to_vec(),
        ),
        ("/notify".into(), b"{\"jobs\":{\"QUEUED\":[]}}".to_vec()),
        ("/nobody/update/accepted".into(), b"{}".to_vec()),
        (
            "/nobody/update/rejected".into(),
            b"{\"code\":\"ResourceNotFound\"}".to_vec(),
        ),
        (
            "/a/update/rejected".into(),
            b"{\"code\":\"TerminalStateReached\"}".to_vec(),
        ),
        (
            "/a/update/accepted".into(),
            b"{\"clientToken\":\"not-ours\"}".to_vec(),
        ),
        (
            "/a/get/accepted".into(),
            b"{\"clientToken\":\"0-0\",\"execution\":{}}".to_vec(),
        ),
        (
            "/$next/get/rejected".into(),
            b"{\"code\":\"InternalError\"}".to_vec(),
        ),
        ("/$next/update/accepted".into(), b"{}".to_vec()),
        (
            "/start-next/accepted".into(),
            b"{\"execution\":{\"jobId\":\"a\"}}".to_vec(),
        ),
        ("/a/namespace-x/update/accepted".into(), b"{}".to_vec()),
        ("/".into(), b"{}".to_vec()),
        (
            "$aws/things/other/jobs/notify-next".into(),
            b"{\"execution\":{\"jobId\":\"z\"}}".to_vec(),
        ),
        ("$aws/things/pump-17".into(), b"".to_vec()),
        ("weather/today".into(), b"sunny".to_vec()),
    ];
    for cut in 0..40 {
        let whole = br#"{"timestamp":1,"jobs":{"QUEUED":[{"jobId":"#;
        bombs.push(("/notify".into(), whole[..cut.min(whole.len())].to_vec()));
    }
    bombs
}

#[test]
fn hostile_messages_around_a_job_change_nothing_of_it() {
    let mut story = Scenario::new("hostile")
        .script(
            "slow",
            Script::new([Step::Effect("work"), Step::Sleep(20_000), Step::Succeed]),
        )
        .job(100, "a", "slow");
    for (place, (topic, payload)) in bombs().into_iter().enumerate() {
        // Half of them come while the job runs, half after it.
        let at = if place % 2 == 0 { 1_000 } else { 40_000 };
        story = story.at(at + place as u64, Action::Inject { topic, payload });
    }
    let story = story.job(60_000, "b", "slow");
    let report = World::<2>::play(&story, None);
    report.assert_kept(story.name);
    assert_eq!(
        (report.status("a"), report.status("b")),
        (Some("SUCCEEDED"), Some("SUCCEEDED"))
    );
    assert_eq!(
        (report.effects("a", "work"), report.effects("b", "work")),
        (1, 1)
    );
}

/// A device whose receive buffer holds `len` bytes: every message with a document is cut there.
fn narrow(len: usize) -> Scenario {
    let mut story = Scenario::new("narrow").script("two", stories::two_pieces());
    for at in 50..60 {
        story = story.at(at, Action::Link(LinkFault::Truncate(len)));
    }
    story.job(100, "a", "two")
}

#[test]
fn a_job_whose_notification_was_cut_is_asked_for_and_done() {
    for len in (0..220).step_by(7) {
        let story = Scenario::new("cut message")
            .script("two", stories::two_pieces())
            .at(50, Action::Link(LinkFault::Truncate(len)))
            .job(100, "a", "two");
        let report = World::<1>::play(&story, None);
        report.assert_kept(&format!("cut after {len} bytes"));
        assert_eq!(report.status("a"), Some("SUCCEEDED"), "cut after {len}");
    }
}

#[test]
fn a_job_that_never_fits_is_rejected_with_a_reason_and_the_next_one_is_done() {
    // Wherever the cut is: before the job id nothing is known, and the agent goes on asking;
    // behind it the job is answered.
    let mut rejected = 0;
    for len in (0..220).step_by(7) {
        let report = World::<1>::play(&narrow(len).job(3_000_000, "b", "two"), None);
        report.assert_kept(&format!("cut after {len} bytes"));
        let status = report.status("a").expect("the job is there");
        if status == "REJECTED" {
            rejected += 1;
            let reason = report.detail("a", "reason").expect("a reason");
            assert!(reason.starts_with("job document unreadable"), "{reason}");
        } else {
            assert_eq!(status, "SUCCEEDED", "cut after {len}");
        }
    }
    assert!(rejected > 10, "only {rejected} cuts hit the job");
}

#[test]
fn a_job_cut_in_its_document_is_rejected() {
    let report = World::<1>::play(&narrow(170), None);
    report.assert_kept("narrow");
    assert_eq!(report.status("a"), Some("REJECTED"));
}
