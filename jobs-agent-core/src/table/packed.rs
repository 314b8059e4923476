//! The table as it is looked up.

use super::{EVENTS, Event, PHASES, Phase, next};

/// Bits of a phase in a line.
const PHASE_BITS: u32 = 4;

/// How many lines there are: pairs of a phase and an event that mean something.
const LINES: usize = {
    let mut count = 0;
    let mut events: &[Event] = &EVENTS;
    while let [event, others @ ..] = events {
        events = others;
        let mut phases: &[Phase] = &PHASES;
        while let [phase, rest @ ..] = phases {
            phases = rest;
            if next(*phase, *event).is_some() {
                count += 1;
            }
        }
    }
    count
};

/// [`next`] as a list of event, phase, and phase after it, in bits from the top: a tenth of the code
/// that its branches are, and half of a table of rows.
const PACKED: [u16; LINES] = {
    let mut lines = [0; LINES];
    let mut places: &mut [u16] = &mut lines;
    let mut events: &[Event] = &EVENTS;
    while let [event, others @ ..] = events {
        events = others;
        let mut phases: &[Phase] = &PHASES;
        while let [phase, rest @ ..] = phases {
            phases = rest;
            let Some(target) = next(*phase, *event) else {
                continue;
            };
            if let [place, more @ ..] = places {
                *place = question(*phase, *event) << PHASE_BITS | target as u16;
                places = more;
            } else {
                break;
            }
        }
    }
    lines
};

/// What is looked for.
const fn question(phase: Phase, event: Event) -> u16 {
    (event as u16) << PHASE_BITS | phase as u16
}

/// The same as [`next`].
pub(crate) fn next_packed(phase: Phase, event: Event) -> Option<Phase> {
    let question = question(phase, event);
    let line = PACKED
        .iter()
        .find(|line| **line >> PHASE_BITS == question)?;
    PHASES.get(usize::from(*line & 0xF)).copied()
}
