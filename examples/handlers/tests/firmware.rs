//! A firmware update, from the document to the outcome, through everything that goes wrong.

mod support;

use std::collections::VecDeque;

use handlers::{BLOCK_LEN, RETRIES_MAX};
use jobs_agent_core::{JobHandler, Outcome, StopReason};
use support::{Device, detail, drive, offer};

/// Five and a bit blocks: two checkpoints on the way, and a last block that is not full.
const IMAGE_LEN: usize = 5 * BLOCK_LEN + 123;

/// Bytes between checkpoints in these tests.
const INTERVAL: u64 = 2 * BLOCK_LEN as u64;

fn reason(outcome: &Outcome) -> String {
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    detail(outcome, "reason").unwrap()
}

fn assert_updated(device: &Device, outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(detail(outcome, "version").as_deref(), Some("1.1.0"));
    assert_eq!(device.running(), "1.1.0");
    let slots = device.0.slots.borrow();
    assert!(
        slots.running().bytes == device.0.server.borrow().image,
        "another image runs"
    );
}

#[test]
fn an_update_ends_in_the_new_version_after_its_self_test() {
    let device = Device::new(IMAGE_LEN);
    let outcome = device.perform(&device.document(), false);
    assert_updated(&device, &outcome);
    assert_eq!(detail(&outcome, "previous").as_deref(), Some("1.0.0"));
    assert_eq!(device.0.checks.get(), 1);
    device.reset();
    assert_eq!(device.running(), "1.1.0", "the trial is over");
}

#[test]
fn progress_is_told_in_percent_and_bytes() {
    let device = Device::new(4 * BLOCK_LEN);
    device.perform(&device.document(), false);
    let reports = device.0.reports.borrow();
    let told: Vec<Vec<_>> = reports.iter().map(|pairs| pairs.iter().collect()).collect();
    assert_eq!(told[0], [("progress", "25"), ("received", "4096")]);
    assert_eq!(told[3], [("progress", "100"), ("received", "16384")]);
}

#[test]
fn a_cut_between_any_two_effects_costs_no_more_than_one_interval() {
    for resets in [false, true] {
        let whole = Device::new(IMAGE_LEN);
        whole.perform(&whole.document(), resets);
        let effects = whole.0.effects.get();
        assert!(effects > 12, "{effects} effects");
        for cut_at in 0..effects {
            let device = Device::new(IMAGE_LEN);
            device.0.power.set(Some(cut_at));
            let outcome = device.perform(&device.document(), resets);
            // A reset during the self-test makes the boot loader go back: also a defined end.
            if let Outcome::Failed(_) = outcome {
                let in_self_test = (effects - 3..effects - 1).contains(&cut_at);
                assert!(resets && in_self_test, "cut at {cut_at}: {outcome:?}");
                assert_eq!(device.running(), "1.0.0");
                assert!(reason(&outcome).contains("went back to 1.0.0"));
            } else {
                assert_updated(&device, &outcome);
            }
            let received = device.0.server.borrow().delivered();
            let most = IMAGE_LEN as u64 + INTERVAL;
            assert!(received <= most, "cut at {cut_at}: received {received}");
            let settled = device.running();
            device.reset();
            assert_eq!(device.running(), settled, "cut at {cut_at}");
        }
    }
}

#[test]
fn after_a_cut_the_download_goes_on_at_its_checkpoint() {
    let device = Device::new(IMAGE_LEN);
    // prepare, two writes, sync, checkpoint, one write, and out.
    device.0.power.set(Some(6));
    let outcome = device.perform(&device.document(), true);
    assert_updated(&device, &outcome);
    let server = device.0.server.borrow();
    assert_eq!(server.log.len(), 2);
    assert_eq!(server.log[1], (INTERVAL, IMAGE_LEN as u64 - INTERVAL));
}

#[test]
fn a_line_that_breaks_anywhere_costs_no_byte() {
    for cut in (0..=IMAGE_LEN as u64).step_by(97) {
        let device = Device::new(IMAGE_LEN);
        device.0.server.borrow_mut().cuts = VecDeque::from([cut]);
        let outcome = device.perform(&device.document(), false);
        assert_updated(&device, &outcome);
        assert_eq!(
            device.0.server.borrow().delivered(),
            IMAGE_LEN as u64,
            "cut at {cut}"
        );
    }
}

#[test]
fn a_wrong_checksum_leaves_the_old_version_active() {
    let device = Device::new(IMAGE_LEN);
    let document = device.document_with(b"another image", "true");
    let outcome = device.perform(&document, false);
    let reason = reason(&outcome);
    assert!(
        reason.starts_with("checksum mismatch: expected "),
        "{reason}"
    );
    assert_eq!(
        reason.len(),
        "checksum mismatch: expected , got ".len() + 128
    );
    assert_eq!(detail(&outcome, "version").as_deref(), Some("1.0.0"));
    assert!(
        device.spare().is_empty(),
        "nothing is left to be taken for a part of the image"
    );
    device.reset();
    assert_eq!(device.running(), "1.0.0");
}

#[test]
fn a_server_without_ranges_sends_all_again_after_a_break() {
    let device = Device::new(IMAGE_LEN);
    device.0.server.borrow_mut().ignores_range = true;
    device.0.server.borrow_mut().cuts = VecDeque::from([9_000]);
    let outcome = device.perform(&device.document(), false);
    assert_updated(&device, &outcome);
    assert_eq!(
        device.0.server.borrow().log,
        [(0, 9_000), (0, IMAGE_LEN as u64)]
    );
}

#[test]
fn a_server_without_ranges_behind_a_bad_line_is_given_up() {
    let device = Device::new(IMAGE_LEN);
    device.0.server.borrow_mut().ignores_range = true;
    device.0.server.borrow_mut().cuts = (0..9).map(|_| 9_000).collect();
    let outcome = device.perform(&device.document(), false);
    assert!(
        reason(&outcome).contains("gave up after 3 new starts"),
        "{outcome:?}"
    );
}

#[test]
fn a_server_that_hides_the_length_is_read_to_its_end() {
    for len in [IMAGE_LEN, 3 * BLOCK_LEN, 1] {
        let device = Device::new(len);
        device.0.server.borrow_mut().hides_length = true;
        let outcome = device.perform(&device.document(), false);
        assert_updated(&device, &outcome);
    }
}

#[test]
fn an_image_replaced_under_way_is_received_from_its_start() {
    for (etag, what) in [("\"two\"", "another tag"), ("", "no tag, another length")] {
        let device = Device::new(IMAGE_LEN);
        let second = vec![7; IMAGE_LEN + 5];
        let document = device.document_with(&second, "true");
        {
            let mut server = device.0.server.borrow_mut();
            server.etag = if etag.is_empty() {
                String::new()
            } else {
                "\"one\"".into()
            };
            server.cuts = VecDeque::from([13_000]);
            server.replacement = Some((10_000, second, etag.into()));
        }
        let outcome = device.perform(&document, false);
        assert_updated(&device, &outcome);
        assert!(
            device
                .0
                .notes
                .borrow()
                .iter()
                .any(|note| note.contains("starts over")),
            "{what}"
        );
    }
}

#[test]
fn an_image_that_became_shorter_is_received_from_its_start() {
    let device = Device::new(IMAGE_LEN);
    let second = vec![7; 100];
    let document = device.document_with(&second, "true");
    {
        let mut server = device.0.server.borrow_mut();
        server.etag = String::new();
        server.cuts = VecDeque::from([13_000]);
        server.replacement = Some((10_000, second, String::new()));
    }
    let outcome = device.perform(&document, false);
    assert_updated(&device, &outcome);
}

/// What a checkpoint of a download claims: so many bytes of the image with this tag.
fn claim(device: &Device) -> Option<(usize, String)> {
    let checkpoints = device.0.checkpoints.borrow();
    let bytes = checkpoints.last()?.bytes();
    // Format, phase, digest, received, total, length of the tag, tag.
    assert_eq!(bytes[..2], [1, b'D']);
    let received = u64::from_le_bytes(bytes[34..42].try_into().unwrap());
    Some((
        received as usize,
        String::from_utf8(bytes[51..].to_vec()).unwrap(),
    ))
}

#[test]
fn a_cut_while_starting_over_never_mixes_two_images() {
    for cut_at in 0..16 {
        let device = Device::new(IMAGE_LEN);
        let first = device.0.server.borrow().image.clone();
        let second: Vec<u8> = first.iter().map(|byte| !byte).collect();
        let document = device.document_with(&second, "true");
        {
            let mut server = device.0.server.borrow_mut();
            server.cuts = VecDeque::from([13_000]);
            server.replacement = Some((10_000, second.clone(), "\"two\"".into()));
        }
        device.0.power.set(Some(cut_at));
        let (_, plan) = device.handler().plan(&offer(&document)).unwrap();
        if drive(device.handler().run(plan, &mut device.clone())).is_none()
            && let Some((received, etag)) = claim(&device)
        {
            let of = if etag == "\"two\"" { &second } else { &first };
            let held = device.spare();
            assert_eq!(held.get(..received), of.get(..received), "cut at {cut_at}");
        }
        let device = Device::new(IMAGE_LEN);
        {
            let mut server = device.0.server.borrow_mut();
            server.cuts = VecDeque::from([13_000]);
            server.replacement = Some((10_000, second, "\"two\"".into()));
        }
        device.0.power.set(Some(cut_at));
        let outcome = device.perform(&document, false);
        assert_updated(&device, &outcome);
    }
}

#[test]
fn a_slot_that_lost_its_bytes_is_filled_from_the_start() {
    let device = Device::new(IMAGE_LEN);
    let handler = device.handler();
    device.0.power.set(Some(6));
    let (tag, plan) = handler.plan(&offer(&device.document())).unwrap();
    assert_eq!(drive(handler.run(plan.clone(), &mut device.clone())), None);
    device.0.power.set(None);
    let checkpoint = device.0.checkpoints.borrow().last().cloned().unwrap();
    device.0.slots.borrow_mut().slots[1].bytes.truncate(100);
    let ended = drive(handler.resume(tag, &checkpoint, Some(plan), &mut device.clone()));
    assert!(matches!(ended, Some(Outcome::Reboot(_))), "{ended:?}");
    assert_eq!(device.spare(), device.0.server.borrow().image);
}

#[test]
fn a_server_in_trouble_is_asked_again_and_then_given_up() {
    let device = Device::new(IMAGE_LEN);
    device.0.server.borrow_mut().statuses = VecDeque::from([503, 429]);
    let outcome = device.perform(&device.document(), false);
    assert_updated(&device, &outcome);
    assert_eq!(device.0.pauses.get(), 2);

    let device = Device::new(IMAGE_LEN);
    device.0.server.borrow_mut().statuses = (0..20).map(|_| 503).collect();
    let outcome = device.perform(&device.document(), false);
    assert_eq!(reason(&outcome), "download given up: HTTP status 503");
    assert_eq!(device.0.pauses.get(), usize::from(RETRIES_MAX));
}

#[test]
fn a_refusal_of_the_server_is_final_and_named() {
    for (status, named) in [(404, "HTTP 404"), (403, "has the URL expired?")] {
        let device = Device::new(IMAGE_LEN);
        device.0.server.borrow_mut().statuses = VecDeque::from([status]);
        let outcome = device.perform(&device.document(), false);
        assert!(reason(&outcome).contains(named), "{outcome:?}");
        assert_eq!(device.0.pauses.get(), 0);
    }
}

#[test]
fn images_that_are_empty_or_too_long_are_refused_before_they_are_written() {
    for len in [0, (1 << 20) + 1] {
        for hides_length in [false, true] {
            let device = Device::new(len);
            device.0.server.borrow_mut().hides_length = hides_length;
            let outcome = device.perform(&device.document(), false);
            let reason = reason(&outcome);
            assert!(reason.contains("empty") || reason.contains("there is room for 1048576"));
            assert_eq!(device.running(), "1.0.0");
        }
    }
}

#[test]
fn a_cancel_under_way_stops_the_download() {
    let device = Device::new(IMAGE_LEN);
    device.0.stop_at.set(Some(6_000));
    let outcome = device.perform(&device.document(), false);
    assert_eq!(reason(&outcome), "stopped: Canceled");
    assert!(
        device.0.server.borrow().delivered() < 7_000,
        "one more read at most"
    );
    assert_eq!(device.running(), "1.0.0");
}

#[test]
fn a_cancel_before_the_switch_leaves_the_next_boot_as_it_was() {
    let device = Device::new(BLOCK_LEN);
    device.0.stop_at.set(Some(BLOCK_LEN as u64));
    let outcome = device.perform(&device.document(), false);
    assert_eq!(reason(&outcome), "stopped: Canceled");
    device.reset();
    assert_eq!(device.running(), "1.0.0");
}

#[test]
fn a_failed_self_test_rolls_back_and_says_why() {
    let device = Device::new(IMAGE_LEN);
    *device.0.self_test.borrow_mut() = Some("no link to the pump".into());
    let outcome = device.perform(&device.document(), false);
    assert_eq!(
        reason(&outcome),
        "1.1.0 failed its self-test: no link to the pump; rolled back"
    );
    assert_eq!(detail(&outcome, "version").as_deref(), Some("1.0.0"));
    assert_eq!(device.running(), "1.0.0");
}

#[test]
fn a_self_test_that_never_comes_back_is_rolled_back_on_the_last_attempt() {
    let device = Device::new(IMAGE_LEN);
    let document = device.document();
    let handler = device.handler();
    let (tag, plan) = handler.plan(&offer(&document)).unwrap();
    let Some(Outcome::Reboot(checkpoint)) = drive(handler.run(plan, &mut device.clone())) else {
        panic!("no reboot wanted");
    };
    device.reset();
    for attempt in [1, 2] {
        device.0.attempt.set(attempt);
        device.0.power.set(Some(0));
        let ended = drive(handler.resume(tag, &checkpoint, None, &mut device.clone()));
        assert_eq!(ended, None, "the process died in the self-test");
    }
    device.0.attempt.set(3);
    device.0.power.set(None);
    let ended = drive(handler.resume(tag, &checkpoint, None, &mut device.clone()));
    let Some(Outcome::Reboot(checkpoint)) = ended else {
        panic!("{ended:?}")
    };
    device.reset();
    assert_eq!(device.running(), "1.0.0");
    let ended = drive(handler.resume(tag, &checkpoint, None, &mut device.clone())).unwrap();
    assert!(reason(&ended).contains("cut off 2 times"), "{ended:?}");
}

#[test]
fn a_roll_back_that_fails_is_told_with_the_reason_behind_it() {
    let device = Device::new(IMAGE_LEN);
    *device.0.self_test.borrow_mut() = Some("no link to the pump".into());
    device.0.slots.borrow_mut().fail_roll_back = true;
    let outcome = device.perform(&device.document(), false);
    let reason = reason(&outcome);
    assert!(
        reason.contains("read-only") && reason.contains("no link"),
        "{reason}"
    );
    assert_eq!(detail(&outcome, "version").as_deref(), Some("1.1.0"));
}

#[test]
fn the_version_that_runs_already_is_success_without_a_download() {
    let device = Device::new(IMAGE_LEN);
    device.0.slots.borrow_mut().slots[0].version = "1.1.0".into();
    let outcome = device.perform(&device.document(), false);
    assert_eq!(detail(&outcome, "note").as_deref(), Some("it ran already"));
    assert!(device.0.server.borrow().log.is_empty());
}

#[test]
fn without_a_reboot_the_new_version_waits_for_the_next_one() {
    let device = Device::new(IMAGE_LEN);
    let document = device.document_with(&device.0.server.borrow().image, "false");
    let outcome = device.perform(&document, false);
    assert_eq!(
        detail(&outcome, "active").as_deref(),
        Some("from the next boot on")
    );
    assert_eq!(device.running(), "1.0.0");
    device.reset();
    assert_eq!(device.running(), "1.1.0");
    device.reset();
    assert_eq!(device.running(), "1.1.0", "for good");
}

#[test]
fn the_time_limit_of_the_document_is_the_policy_of_its_run() {
    let device = Device::new(1);
    let handler = device.handler();
    let document = device.document();
    let (tag, plan) = handler.plan(&offer(&document)).unwrap();
    assert_eq!(handler.policy(tag, &plan).time_limit_ms, Some(300_000));
    assert!(handler.policy(tag, &plan).rerun);
    let document = document.replace(r#","timeout":300"#, "");
    let (tag, plan) = handler.plan(&offer(&document)).unwrap();
    assert_eq!(handler.policy(tag, &plan).time_limit_ms, None);
}

#[test]
fn another_image_under_the_same_job_does_not_continue_the_first() {
    let device = Device::new(IMAGE_LEN);
    let handler = device.handler();
    device.0.power.set(Some(6));
    let (tag, plan) = handler.plan(&offer(&device.document())).unwrap();
    assert_eq!(drive(handler.run(plan, &mut device.clone())), None);
    device.0.power.set(None);
    let checkpoint = device.0.checkpoints.borrow().last().cloned().unwrap();
    let second = vec![9; IMAGE_LEN];
    let document = device.document_with(&second, "true");
    device.0.server.borrow_mut().image = second;
    let (_, plan) = handler.plan(&offer(&document)).unwrap();
    let ended = drive(handler.resume(tag, &checkpoint, Some(plan), &mut device.clone()));
    assert!(matches!(ended, Some(Outcome::Reboot(_))), "{ended:?}");
    assert_eq!(device.0.server.borrow().log[1].0, 0);
}

#[test]
fn a_second_update_waits_for_the_first() {
    use std::{future::Future, pin::pin, task::Context, task::Poll, task::Waker};
    let (device, second) = (Device::new(IMAGE_LEN), Device::new(0));
    let handler = device.handler();
    let (_, plan) = handler.plan(&offer(&device.document())).unwrap();
    device.0.power.set(Some(3));
    let (mut one, mut two) = (device.clone(), second.clone());
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(handler.run(plan.clone(), &mut one));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let connections = device.0.server.borrow().log.len();

    device.0.pauses.set(0);
    device.0.pause_for_ever.set(true);
    let mut waits = pin!(handler.run(plan, &mut two));
    assert!(waits.as_mut().poll(&mut context).is_pending());
    assert_eq!(device.0.pauses.get(), 1);
    assert_eq!(
        device.0.server.borrow().log.len(),
        connections,
        "it touched nothing"
    );
    second.0.stop.set(Some(StopReason::Canceled));
    let Poll::Ready(ended) = waits.as_mut().poll(&mut context) else {
        panic!("still waits")
    };
    assert_eq!(reason(&ended), "stopped: Canceled");

    drop(first);
    second.0.stop.set(None);
    device.0.power.set(None);
    let (_, plan) = handler.plan(&offer(&device.document())).unwrap();
    let ended = drive(handler.run(plan, &mut device.clone()));
    assert!(
        matches!(ended, Some(Outcome::Reboot(_))),
        "its turn was given back: {ended:?}"
    );
}

#[test]
fn a_checkpoint_of_unknown_layout_is_failed_with_what_to_do() {
    let device = Device::new(IMAGE_LEN);
    let handler = device.handler();
    let (tag, _) = handler.plan(&offer(&device.document())).unwrap();
    let foreign = jobs_agent_core::Checkpoint::new(&[9, 9, 9]).unwrap();
    let ended = drive(handler.resume(tag, &foreign, None, &mut device.clone())).unwrap();
    assert!(reason(&ended).contains("create the job again"));
    assert_eq!(device.0.stop.get(), None::<StopReason>);
}
