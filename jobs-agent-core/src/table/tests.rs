//! The table against its reviewed listing, and against what must hold of any such table.

use std::{fmt::Write as _, string::String};

use super::*;

/// The table as text, one line per transition that exists.
fn listing() -> String {
    let mut text = String::new();
    let mut events = EVENTS;
    events.sort_by_key(|event| *event as u8);
    for phase in PHASES {
        for event in events {
            if let Some(target) = next(phase, event) {
                writeln!(text, "{phase:?} --{event:?}--> {target:?}").unwrap();
            }
        }
    }
    text
}

/// A change of the table has to be looked at: write the new listing to the file by hand.
#[test]
fn the_table_is_the_one_that_was_reviewed() {
    assert_eq!(listing(), include_str!("../table.snapshot.txt"));
}

#[test]
fn the_packed_table_says_the_same() {
    for phase in PHASES {
        for event in EVENTS {
            assert_eq!(next_packed(phase, event), next(phase, event));
        }
    }
}

#[test]
fn every_phase_can_be_entered_and_left() {
    for phase in PHASES {
        let entered = phase == Phase::Free
            || PHASES
                .iter()
                .any(|from| EVENTS.iter().any(|e| next(*from, *e) == Some(phase)));
        let left = EVENTS.iter().any(|event| next(phase, *event).is_some());
        assert!(entered && left, "{phase:?}");
    }
}

#[test]
fn work_starts_only_behind_a_durable_record_or_as_instantaneous() {
    for phase in PHASES {
        for event in EVENTS {
            if next(phase, event) == Some(Phase::Running) {
                assert!(matches!(event, Event::Persisted | Event::AcceptedInstant));
            }
        }
    }
}
