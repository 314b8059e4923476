//! Stories of one board in virtual time: the whole adapter but MQTT.

mod support;

use std::rc::Rc;

use agent_embassy::{LinkError, start_boot};
use embassy_futures::block_on;
use jobs_emulator::model::ExecutionStatus::{
    Canceled, Failed, InProgress, Queued, Rejected, Succeeded,
};
use serde_json::json;
use support::{End, ScriptedStore, World, now_ms};

/// Until the job has ended and nothing is left of it.
fn over(id: &'static str) -> impl FnMut(&World) -> bool {
    move |world| !matches!(world.status(id), Queued | InProgress) && world.no_records()
}

/// Until the agent has nothing more to say to a service without jobs.
fn idle(world: &World) -> bool {
    world.published().len() == 1
}

#[test]
fn a_happy_job_costs_two_publishes_after_its_notification() {
    let mut world = World::new();
    let mut created = false;
    let end = world.live::<1>(None, |world| {
        if idle(world) && !created {
            created = true;
            world.create_job("j1", &json!({"operation": "steps", "steps": 0}));
        }
        created && over("j1")(world)
    });
    assert_eq!(end, End::Reached);
    assert_eq!(world.status("j1"), Succeeded);
    assert_eq!(world.log(), ["j1 starts", "j1 done"]);
    assert_eq!(
        world.published()[1..],
        [
            "$aws/things/pump-17/jobs/j1/update",
            "$aws/things/pump-17/jobs/j1/update"
        ]
    );
    assert_eq!(world.state.borrow().net.subscribes, 1);
}

#[test]
fn checkpoints_are_durable_when_they_return() {
    let mut world = World::new();
    world.create_job("j1", &json!({"operation": "steps", "steps": 3}));
    world.live::<1>(None, over("j1"));
    assert_eq!(world.status("j1"), Succeeded);
    assert_eq!(
        world.log(),
        [
            "j1 starts",
            "j1 saved 1",
            "j1 saved 2",
            "j1 saved 3",
            "j1 done"
        ]
    );
    // Start, three checkpoints, outcome, erasure.
    assert_eq!(world.state.borrow().store.changes, 6);
}

/// The power is cut, or the future dropped, at every single await of a job's life.
fn cut_everywhere(new_boot: bool) {
    let mut cuts = 0;
    for at in 1.. {
        let mut world = World::new();
        world.create_job("j1", &json!({"operation": "steps", "steps": 2}));
        let first = world.live::<1>(Some(at), over("j1"));
        if first == End::Reached {
            break;
        }
        cuts += 1;
        if new_boot {
            world.state.borrow_mut().boots += 1;
        }
        let before = world.log();
        assert_eq!(world.live::<1>(None, over("j1")), End::Reached);
        assert_eq!(
            world.status("j1"),
            Succeeded,
            "cut at {at}: {:?}",
            world.log()
        );
        let log = world.log();
        let done = log.iter().filter(|line| line.ends_with("done")).count();
        assert!((1..=2).contains(&done), "cut at {at}: {log:?}");
        // What was durable is not done again.
        for step in before.iter().filter(|line| line.contains("saved")) {
            let again = log.iter().filter(|line| *line == step).count();
            assert_eq!(again, 1, "cut at {at}: {log:?}");
        }
    }
    assert!(cuts > 30, "only {cuts} awaits in a whole job");
}

#[test]
fn a_power_cut_at_any_await_loses_nothing_and_repeats_nothing_durable() {
    cut_everywhere(true);
}

#[test]
fn a_run_dropped_at_any_await_goes_on_when_it_is_run_again() {
    cut_everywhere(false);
}

#[test]
fn a_cancel_reaches_the_running_handler() {
    let mut world = World::new();
    world.create_job("j1", &json!({"operation": "hang", "obeys": 1}));
    let mut canceled = false;
    world.live::<1>(None, |world| {
        if world.log() == ["j1 starts"] && !canceled {
            canceled = true;
            world.service(|service, now| service.cancel_job(now, "j1", true).unwrap());
        }
        world.log().len() == 2 && world.no_records()
    });
    // Of an execution that is over, the service says no more than that.
    assert_eq!(world.log(), ["j1 starts", "j1 obeys Over"]);
    assert_eq!(world.status("j1"), Canceled);
}

#[test]
fn a_handler_that_does_not_stop_is_dropped_after_its_grace_time() {
    let mut world = World::new();
    world.create_job("j1", &json!({"operation": "hang"}));
    let mut canceled_at = None;
    world.live::<1>(None, |world| {
        if world.log() == ["j1 starts"] && canceled_at.is_none() {
            canceled_at = Some(now_ms());
            world.service(|service, now| service.cancel_job(now, "j1", true).unwrap());
            world.create_job("j2", &json!({"operation": "steps", "steps": 0}));
        }
        // The slot is free again only when the handler is gone.
        world.log().len() > 1 && over("j2")(world)
    });
    assert_eq!(world.status("j2"), Succeeded);
    let waited = now_ms() - canceled_at.unwrap();
    assert!((10_000..30_000).contains(&waited), "{waited} ms");
}

#[test]
fn a_reboot_job_succeeds_only_in_the_boot_after_it() {
    let mut world = World::new();
    world.create_job("j1", &json!({"operation": "reboot"}));
    assert_eq!(world.live::<1>(None, over("j1")), End::Reset);
    assert_eq!(world.status("j1"), InProgress);
    assert_eq!(world.live::<1>(None, over("j1")), End::Reached);
    assert_eq!(world.status("j1"), Succeeded);
    assert_eq!(world.log(), ["j1 starts", "j1 resumes"]);
}

#[test]
fn a_board_that_cannot_be_reset_fails_the_job_in_the_end() {
    let mut world = World::new();
    world.state.borrow_mut().refuse_reset = true;
    world.create_job("j1", &json!({"operation": "reboot"}));
    assert_eq!(world.live::<1>(None, over("j1")), End::Reached);
    assert_eq!(world.status("j1"), Failed);
}

#[test]
fn a_refused_subscription_does_not_silence_the_agent() {
    let mut world = World::new();
    world.state.borrow_mut().net.refuse_subscribes = 2;
    world.create_job("j1", &json!({"operation": "steps", "steps": 1}));
    world.live::<1>(None, |world| {
        over("j1")(world) && world.state.borrow().net.subscribes == 3
    });
    assert_eq!(world.status("j1"), Succeeded);
}

#[test]
fn a_job_waits_for_a_store_that_fails_for_a_while() {
    let mut world = World::new();
    world.state.borrow_mut().store.failing = 3;
    world.create_job("j1", &json!({"operation": "steps", "steps": 1}));
    world.live::<1>(None, over("j1"));
    assert_eq!(world.status("j1"), Succeeded);
    assert_eq!(world.log(), ["j1 starts", "j1 saved 1", "j1 done"]);
}

#[test]
fn a_store_damaged_at_the_start_is_emptied_and_the_service_asked() {
    let mut world = World::new();
    world.create_job("j1", &json!({"operation": "steps", "steps": 3}));
    world.live::<1>(None, |world| world.log().len() == 3);
    assert_eq!(world.log(), ["j1 starts", "j1 saved 1", "j1 saved 2"]);
    world.state.borrow_mut().store.damaged = true;
    world.live::<1>(None, over("j1"));
    assert_eq!(world.state.borrow().store.resets, 1);
    // The checkpoints are gone with the store: the work began anew.
    assert_eq!(world.log()[3..4], ["j1 starts"]);
    assert_eq!(world.status("j1"), Succeeded);
}

#[test]
fn a_store_damaged_while_a_job_runs_is_emptied_and_written_again() {
    let mut world = World::new();
    world.create_job("j1", &json!({"operation": "steps", "steps": 3}));
    let mut damaged = false;
    world.live::<1>(None, |world| {
        if world.log().len() == 2 && !damaged {
            damaged = true;
            world.state.borrow_mut().store.damaged = true;
        }
        over("j1")(world)
    });
    assert_eq!(world.state.borrow().store.resets, 1);
    assert_eq!(world.status("j1"), Succeeded);
    assert_eq!(world.log().len(), 5);
}

/// Two jobs are on when the store turns out to be damaged. Cut when, of the emptied store, this many
/// records are durable again: one is the count of boots. Then a life without faults.
fn damaged_under_two_jobs(records: usize) -> World {
    let mut world = World::new();
    for id in ["a", "b"] {
        world.create_job(id, &json!({"operation": "steps", "steps": 4}));
    }
    let mut damaged = false;
    world.live::<2>(None, |world| {
        let saved = |id: &str| world.log().contains(&format!("{id} saved 1"));
        if saved("a") && saved("b") && !damaged {
            damaged = true;
            world.state.borrow_mut().store.damaged = true;
        }
        let store = &world.state.borrow().store;
        store.resets == 1 && store.records.len() == records
    });
    world.live::<2>(None, |world| over("a")(world) && over("b")(world));
    world
}

fn starts_of(world: &World, id: &str) -> usize {
    let line = format!("{id} starts");
    world.log().iter().filter(|other| **other == line).count()
}

#[test]
fn a_store_emptied_under_two_jobs_holds_both_again_after_the_next_write_of_each() {
    let world = damaged_under_two_jobs(3);
    for id in ["a", "b"] {
        assert_eq!(world.status(id), Succeeded);
        assert_eq!(starts_of(&world, id), 1, "{:?}", world.log());
    }
}

#[test]
fn a_cut_right_after_a_store_was_emptied_under_two_jobs_begins_one_of_them_anew() {
    let world = damaged_under_two_jobs(2);
    for id in ["a", "b"] {
        assert_eq!(world.status(id), Succeeded);
    }
    let starts = starts_of(&world, "a") + starts_of(&world, "b");
    assert_eq!(starts, 3, "{:?}", world.log());
}

/// A firmware with more slots, rolled back to one with fewer, and installed again.
#[test]
fn a_record_left_by_a_firmware_with_more_slots_does_not_run_its_job_beside_itself() {
    let mut world = World::new();
    for id in ["a", "b"] {
        world.create_job(id, &json!({"operation": "steps", "steps": 3}));
    }
    world.live::<2>(None, |world| {
        let saved = |id: &str| world.log().contains(&format!("{id} saved 1"));
        saved("a") && saved("b")
    });
    // The second job is offered anew to the one slot, when the first is over.
    world.live::<1>(None, |world| starts_of(world, "b") == 2);
    world.live::<2>(None, |world| over("a")(world) && over("b")(world));
    assert_eq!(world.status("b"), Succeeded);
    let done = world.log().iter().filter(|line| *line == "b done").count();
    assert_eq!(done, 1, "{:?}", world.log());
}

#[test]
fn a_damaged_store_that_is_emptied_keeps_the_count_of_boots() {
    // Counted anew, a later boot would be taken for this one, and its tokens would come again.
    for at_the_start in [true, false] {
        let mut world = World::new();
        world.state.borrow_mut().boots = 7;
        world.create_job("j1", &json!({"operation": "steps", "steps": 3}));
        world.state.borrow_mut().store.damaged = at_the_start;
        let mut damaged = at_the_start;
        world.live::<1>(None, |world| {
            if world.log().len() == 2 && !damaged {
                damaged = true;
                world.state.borrow_mut().store.damaged = true;
            }
            over("j1")(world)
        });
        assert_eq!(world.status("j1"), Succeeded);
        let mut store = ScriptedStore::new(Rc::clone(&world.state));
        let next = block_on(start_boot(&mut store, 0)).unwrap();
        assert_eq!(next.id.0[..8], 8_u64.to_le_bytes());
    }
}

#[test]
fn four_jobs_run_beside_each_other() {
    let mut world = World::new();
    let ids = ["a", "b", "c", "d"];
    for id in ids {
        world.create_job(id, &json!({"operation": "steps", "steps": 2}));
    }
    world.live::<4>(None, |world| ids.iter().all(|id| over(id)(world)));
    for id in ids {
        assert_eq!(world.status(id), Succeeded);
    }
    let log = world.log();
    let last_start = log.iter().rposition(|line| line.ends_with("starts"));
    let first_end = log.iter().position(|line| line.ends_with("done"));
    assert!(last_start < first_end, "{log:?}");
}

#[test]
fn an_unknown_operation_is_rejected_with_a_reason() {
    let mut world = World::new();
    world.create_job("j1", &json!({"operation": "dance"}));
    world.live::<1>(None, over("j1"));
    assert_eq!(world.status("j1"), Rejected);
    let reason = world.detail("j1", "reason");
    assert_eq!(reason.as_deref(), Some("unsupported operation"));
}

#[test]
fn a_handler_goes_on_while_there_is_no_connection() {
    let mut world = World::new();
    world.create_job("j1", &json!({"operation": "steps", "steps": 5}));
    let mut cut = false;
    world.live::<1>(None, |world| {
        if world.log().len() == 2 && !cut {
            cut = true;
            let net = &mut world.state.borrow_mut().net;
            net.mute = true;
            net.cut();
        }
        world.state.borrow().store.changes == 7
    });
    // Start, five checkpoints and outcome are durable without the broker; then it comes back.
    assert_eq!(world.status("j1"), InProgress);
    world.state.borrow_mut().net.mute = false;
    world.live::<1>(None, over("j1"));
    assert_eq!(world.status("j1"), Succeeded);
    assert_eq!(world.log().len(), 7);
}

#[test]
fn a_broker_that_never_answers_is_left_after_a_minute() {
    let mut world = World::new();
    world.state.borrow_mut().net.mute = true;
    let began = now_ms();
    world.live::<1>(None, |world| world.state.borrow().net.connects == 3);
    let took = now_ms() - began;
    assert!((120_000..130_000).contains(&took), "{took} ms");
}

#[test]
fn a_broker_that_refuses_is_asked_again_only_after_minutes() {
    let mut world = World::new();
    world.state.borrow_mut().net.refuse_connects = vec![LinkError::Refused(0x87); 2];
    let began = now_ms();
    world.live::<1>(None, |world| world.published().len() == 1);
    let took = now_ms() - began;
    assert!((300_000..600_000).contains(&took), "{took} ms");
}

#[test]
fn a_connection_that_breaks_is_made_again_within_a_second() {
    let mut world = World::new();
    let mut cut_at = None;
    world.live::<1>(None, |world| {
        if idle(world) && cut_at.is_none() {
            cut_at = Some(now_ms());
            world.state.borrow_mut().net.cut();
        }
        world.published().len() == 2
    });
    let took = now_ms() - cut_at.unwrap();
    assert!(took <= 1_100, "{took} ms");
    assert_eq!(world.state.borrow().net.subscribes, 2);
}

const DOES_NOT_FIT: &str = "job document does not fit this device's receive buffer";

/// A document with so many bytes of padding.
#[test]
fn a_broker_that_ends_every_connection_after_suback_is_not_stormed() {
    // A policy without iot:Publish, a client id in use twice: the session begins well each time.
    let mut world = World::new();
    world.state.borrow_mut().net.forbid_publish = true;
    let began = now_ms();
    world.live::<1>(None, |_| now_ms() - began >= 3_600_000);
    let connects = world.state.borrow().net.connects;
    // Half a minute each on average, once the waits have grown.
    assert!((60..250).contains(&connects), "{connects} connects an hour");
}

#[test]
fn a_connection_that_breaks_after_a_bad_time_is_made_again_within_a_second() {
    let mut world = World::new();
    world.state.borrow_mut().net.refuse_connects = vec![LinkError::Stream; 6];
    let (mut up_at, mut cut_at) = (None, None);
    world.live::<1>(None, |world| {
        let now = now_ms();
        if idle(world) && world.published().len() == 1 {
            let up_at = *up_at.get_or_insert(now);
            if now - up_at >= 120_000 && cut_at.is_none() {
                cut_at = Some(now);
                world.state.borrow_mut().net.cut();
            }
        }
        world.state.borrow().net.subscribes == 2
    });
    let took = now_ms() - cut_at.unwrap();
    assert!(took <= 1_100, "{took} ms");
}

fn padded(bytes: usize) -> serde_json::Value {
    json!({"operation": "steps", "steps": 1, "padding": "x".repeat(bytes)})
}

#[test]
fn a_document_that_does_not_fit_is_rejected_within_a_minute() {
    let mut world = World::new();
    world.state.borrow_mut().net.packet_max = Some(1_024);
    let mut created_at = None;
    world.live::<1>(None, |world| {
        if idle(world) && created_at.is_none() {
            created_at = Some(now_ms());
            world.create_job("large", &padded(1_024));
            world.create_job("small", &padded(0));
        }
        created_at.is_some() && over("small")(world)
    });
    assert_eq!(world.status("large"), Rejected);
    assert_eq!(
        world.detail("large", "reason").as_deref(),
        Some(DOES_NOT_FIT)
    );
    assert_eq!(world.status("small"), Succeeded);
    let took = now_ms() - created_at.unwrap();
    assert!(took < 60_000, "{took} ms");
}

#[test]
fn work_begun_by_a_firmware_with_more_room_is_rejected_by_one_with_less() {
    let mut world = World::new();
    world.create_job("large", &padded(8_000));
    // Cut before the first checkpoint: the document is needed again.
    world.live::<1>(None, |world| world.log().len() == 1);
    world.state.borrow_mut().net.packet_max = Some(1_024);
    world.live::<1>(None, over("large"));
    assert_eq!(world.log(), ["large starts"]);
    assert_eq!(world.status("large"), Rejected);
    assert_eq!(
        world.detail("large", "reason").as_deref(),
        Some(DOES_NOT_FIT)
    );
}

#[test]
fn a_service_that_is_away_for_an_hour_makes_no_job_rejected() {
    for begun in [false, true] {
        let mut world = World::new();
        world.create_job("j1", &padded(100));
        if begun {
            world.live::<1>(None, |world| world.log().len() == 1);
        }
        world.state.borrow_mut().net.deaf = true;
        let back_at = now_ms() + 3_600_000;
        world.live::<1>(None, |world| {
            if now_ms() >= back_at {
                world.state.borrow_mut().net.deaf = false;
            }
            over("j1")(world)
        });
        assert_eq!(world.status("j1"), Succeeded, "begun: {begun}");
    }
}
