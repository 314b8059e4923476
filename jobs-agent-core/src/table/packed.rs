//! The table as it is looked up.

use super::{EVENTS, Event, PHASES, Phase, next};

/// Bits of one phase in a packed row.
const PHASE_BITS: u32 = 4;

/// In place of a phase that there is not.
const NO_PHASE: u64 = 0xF;

/// [`next`], as a row of phases for each event: a sixth of the code that its branches are.
const PACKED: [u64; EVENTS.len()] = {
    let mut rows = [0; EVENTS.len()];
    let (mut places, mut events): (&mut [u64], &[Event]) = (&mut rows, &EVENTS);
    while let ([row, more @ ..], [event, other @ ..]) = (places, events) {
        (places, events) = (more, other);
        let mut phases: &[Phase] = &PHASES;
        while let [rest @ .., phase] = phases {
            phases = rest;
            let target = match next(*phase, *event) {
                Some(phase) => phase as u64,
                None => NO_PHASE,
            };
            *row = *row << PHASE_BITS | target;
        }
    }
    rows
};

/// The same as [`next`].
pub(crate) fn next_packed(phase: Phase, event: Event) -> Option<Phase> {
    let row = PACKED.get(event as usize)?;
    let shift = (phase as u32).wrapping_mul(PHASE_BITS);
    let target = usize::try_from(row.wrapping_shr(shift) & NO_PHASE).ok()?;
    PHASES.get(target).copied()
}
