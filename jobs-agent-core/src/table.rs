//! The transitions of a slot: one table, one line per event and target, no wildcard.
//!
//! What is stored in each phase, and what a restart makes of it (the crash table):
//!
//! | phase | record on the device | after a restart |
//! |---|---|---|
//! | Free, Listed, Planning, Claiming | none, or that of an answered job | nothing was started; the service offers the job again |
//! | Opening | none, or the record being renewed | as before the start, or as the old record says |
//! | Running, Saving | Started | document asked for again, planned anew, run again; or FAILED if it must not be rerun |
//! | Running, Saving | Checkpoint | resumed; no network needed unless the checkpoint asks for the document |
//! | Parking, Rebooting | Reboot, same boot | reset again |
//! | Parking, Rebooting | Reboot, other boot | resumed: the self-test |
//! | Closing | Started or Checkpoint | as if the work had been cut off just before its end |
//! | Reporting | Outcome | published again; "already over" counts as answered |
//! | Draining | being erased | the service answers that the job is over |
//! | Recovering, Replanning | Started or Checkpoint | the same again |

pub(crate) use self::packed::next_packed;

mod packed;

/// What a slot is doing, named by what it waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing; may still be erasing the record of an answered job.
    #[default]
    Free,
    /// A job was seen in a list; its document is asked for unless a notification brings it.
    Listed,
    /// The handler is deciding on an offer (within one call of the adapter).
    Planning,
    /// The service was asked to let us start: waits for the accepted IN_PROGRESS.
    Claiming,
    /// The attempt is being made durable; then the handler runs.
    Opening,
    /// The handler works.
    Running,
    /// The handler waits for its checkpoint to become durable.
    Saving,
    /// The job is over at the service; waits for the handler to end.
    Draining,
    /// The outcome is being made durable.
    Closing,
    /// The outcome is durable: waits for the service's answer to it.
    Reporting,
    /// The wish to reboot is being made durable.
    Parking,
    /// Waits for the reset.
    Rebooting,
    /// After a restart: waits for the job document.
    Recovering,
    /// After a restart: the handler is deciding on its document.
    Replanning,
}

/// What can happen to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The job is in a list of pending ones.
    Seen,
    /// Its document came.
    Document,
    /// The handler takes it.
    Accepted,
    /// The handler takes it and needs no confirmation (instantaneous and idempotent).
    AcceptedInstant,
    /// The job is ours and refused.
    Declined,
    /// The job is not ours.
    Left,
    /// Not now.
    Postponed,
    /// The service accepted our start.
    Confirmed,
    /// The record that this phase needs is durable.
    Persisted,
    /// The handler wants a checkpoint kept.
    CheckpointAsked,
    /// The handler returned an outcome.
    OutcomeGiven,
    /// The handler returned the wish to reboot.
    RebootAsked,
    /// The handler is gone without an outcome.
    Aborted,
    /// The service says the execution is over or gone.
    Over,
    /// The service accepted our outcome.
    Answered,
    /// The service refuses our request for good.
    Refused,
    /// The device could not be reset, too often.
    ResetHopeless,
    /// Restart: work begun, to be planned anew from its document.
    RestoredWork,
    /// Restart: work begun, to be resumed from its checkpoint.
    RestoredCheckpoint,
    /// Restart: a reboot is still wanted.
    RestoredReboot,
    /// Restart: work begun that must not go on (budget used up, or not repeatable).
    RestoredHopeless,
    /// Restart: the outcome is known.
    RestoredOutcome,
}

/// All phases, by their numbers.
const PHASES: [Phase; 14] = [
    Phase::Free,
    Phase::Listed,
    Phase::Planning,
    Phase::Claiming,
    Phase::Opening,
    Phase::Running,
    Phase::Saving,
    Phase::Draining,
    Phase::Closing,
    Phase::Reporting,
    Phase::Parking,
    Phase::Rebooting,
    Phase::Recovering,
    Phase::Replanning,
];

/// All events, those of a job that goes well first: they are looked for in this order.
const EVENTS: [Event; 22] = [
    Event::Document,
    Event::Accepted,
    Event::Confirmed,
    Event::Persisted,
    Event::OutcomeGiven,
    Event::Answered,
    Event::CheckpointAsked,
    Event::Over,
    Event::Seen,
    Event::AcceptedInstant,
    Event::Declined,
    Event::Left,
    Event::Postponed,
    Event::RebootAsked,
    Event::Aborted,
    Event::Refused,
    Event::ResetHopeless,
    Event::RestoredWork,
    Event::RestoredCheckpoint,
    Event::RestoredReboot,
    Event::RestoredHopeless,
    Event::RestoredOutcome,
];

/// The phase after `event`; `None` where the event means nothing and changes nothing.
#[expect(clippy::too_many_lines, reason = "a table is read in one piece")]
pub(crate) const fn next(phase: Phase, event: Event) -> Option<Phase> {
    use Phase as P;
    match event {
        Event::Seen => match phase {
            P::Free => Some(P::Listed),
            P::Listed
            | P::Planning
            | P::Claiming
            | P::Opening
            | P::Running
            | P::Saving
            | P::Draining
            | P::Closing
            | P::Reporting
            | P::Parking
            | P::Rebooting
            | P::Recovering
            | P::Replanning => None,
        },
        Event::Document => match phase {
            P::Free | P::Listed => Some(P::Planning),
            P::Recovering => Some(P::Replanning),
            P::Planning
            | P::Claiming
            | P::Opening
            | P::Running
            | P::Saving
            | P::Draining
            | P::Closing
            | P::Reporting
            | P::Parking
            | P::Rebooting
            | P::Replanning => None,
        },
        Event::Accepted => on_plan(phase, P::Claiming, P::Opening),
        Event::AcceptedInstant => on_plan(phase, P::Running, P::Opening),
        Event::Declined => on_plan(phase, P::Closing, P::Closing),
        // A job begun here is ours: left alone it would stay IN_PROGRESS for ever.
        Event::Left => on_plan(phase, P::Free, P::Closing),
        Event::Postponed => on_plan(phase, P::Listed, P::Recovering),
        Event::Confirmed => match phase {
            P::Claiming => Some(P::Opening),
            P::Free
            | P::Listed
            | P::Planning
            | P::Opening
            | P::Running
            | P::Saving
            | P::Draining
            | P::Closing
            | P::Reporting
            | P::Parking
            | P::Rebooting
            | P::Recovering
            | P::Replanning => None,
        },
        Event::Persisted => match phase {
            P::Opening | P::Saving => Some(P::Running),
            P::Closing => Some(P::Reporting),
            P::Parking => Some(P::Rebooting),
            P::Free
            | P::Listed
            | P::Planning
            | P::Claiming
            | P::Running
            | P::Draining
            | P::Reporting
            | P::Rebooting
            | P::Recovering
            | P::Replanning => None,
        },
        Event::CheckpointAsked => on_handler(phase, P::Saving, None),
        Event::OutcomeGiven => on_handler(phase, P::Closing, Some(P::Free)),
        Event::RebootAsked => on_handler(phase, P::Parking, Some(P::Free)),
        Event::Aborted => on_handler(phase, P::Closing, Some(P::Free)),
        Event::Over => match phase {
            P::Listed | P::Claiming | P::Opening | P::Reporting | P::Recovering => Some(P::Free),
            P::Running | P::Saving => Some(P::Draining),
            P::Free
            | P::Planning
            | P::Draining
            | P::Closing
            | P::Parking
            | P::Rebooting
            | P::Replanning => None,
        },
        Event::Answered => match phase {
            P::Reporting => Some(P::Free),
            P::Free
            | P::Listed
            | P::Planning
            | P::Claiming
            | P::Opening
            | P::Running
            | P::Saving
            | P::Draining
            | P::Closing
            | P::Parking
            | P::Rebooting
            | P::Recovering
            | P::Replanning => None,
        },
        Event::Refused => match phase {
            P::Listed | P::Claiming | P::Reporting => Some(P::Free),
            P::Free
            | P::Planning
            | P::Opening
            | P::Running
            | P::Saving
            | P::Draining
            | P::Closing
            | P::Parking
            | P::Rebooting
            | P::Recovering
            | P::Replanning => None,
        },
        Event::ResetHopeless => match phase {
            P::Rebooting => Some(P::Closing),
            P::Free
            | P::Listed
            | P::Planning
            | P::Claiming
            | P::Opening
            | P::Running
            | P::Saving
            | P::Draining
            | P::Closing
            | P::Reporting
            | P::Parking
            | P::Recovering
            | P::Replanning => None,
        },
        Event::RestoredWork => on_restore(phase, P::Recovering),
        Event::RestoredCheckpoint => on_restore(phase, P::Opening),
        Event::RestoredReboot => on_restore(phase, P::Parking),
        Event::RestoredHopeless => on_restore(phase, P::Closing),
        Event::RestoredOutcome => on_restore(phase, P::Reporting),
    }
}

/// The handler's decision on an offer: a new job, or one begun before a restart.
const fn on_plan(phase: Phase, new: Phase, begun: Phase) -> Option<Phase> {
    match phase {
        Phase::Planning => Some(new),
        Phase::Replanning => Some(begun),
        Phase::Free
        | Phase::Listed
        | Phase::Claiming
        | Phase::Opening
        | Phase::Running
        | Phase::Saving
        | Phase::Draining
        | Phase::Closing
        | Phase::Reporting
        | Phase::Parking
        | Phase::Rebooting
        | Phase::Recovering => None,
    }
}

/// A word of the running handler: while the job is on, or while it only has to end.
const fn on_handler(phase: Phase, on: Phase, draining: Option<Phase>) -> Option<Phase> {
    match phase {
        Phase::Running | Phase::Saving => Some(on),
        Phase::Draining => draining,
        Phase::Free
        | Phase::Listed
        | Phase::Planning
        | Phase::Claiming
        | Phase::Opening
        | Phase::Closing
        | Phase::Reporting
        | Phase::Parking
        | Phase::Rebooting
        | Phase::Recovering
        | Phase::Replanning => None,
    }
}

/// A record found at start.
const fn on_restore(phase: Phase, target: Phase) -> Option<Phase> {
    match phase {
        Phase::Free => Some(target),
        Phase::Listed
        | Phase::Planning
        | Phase::Claiming
        | Phase::Opening
        | Phase::Running
        | Phase::Saving
        | Phase::Draining
        | Phase::Closing
        | Phase::Reporting
        | Phase::Parking
        | Phase::Rebooting
        | Phase::Recovering
        | Phase::Replanning => None,
    }
}

#[cfg(test)]
mod tests;
