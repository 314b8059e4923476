//! What a slot is made of: flags and numbers of one job, its times, what is out.

use crate::{
    handler::StopReason,
    output::{Ending, Status},
    silence::Silence,
    time::Timer,
};

/// What the next job overwrites, but for its times and texts.
// In this order: what is cleared together lies together, in few enough words to be stored one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub(crate) struct Work {
    pub(crate) request: Option<RequestKind>,
    pub(crate) tries: u8,
    /// Final words on the request that were not believed yet.
    pub(crate) refusals: u8,
    /// Questions for the document in a row that nobody answered.
    pub(crate) silence: Silence,
    /// Set from Closing on.
    pub(crate) outcome: Option<Status>,
    pub(crate) instant: bool,
    pub(crate) has_checkpoint: bool,
    /// The offer is news, not the answer to a question: an instantaneous job may run on it.
    pub(crate) live: bool,
    pub(crate) progress_pending: bool,
    /// The handler is to be started / told that it is saved / told to stop / named as ended.
    pub(crate) run_due: bool,
    pub(crate) saved_due: bool,
    pub(crate) stop_due: bool,
    pub(crate) stop: Option<StopReason>,
    pub(crate) ended: Option<Ending>,
    /// The reset was asked for.
    pub(crate) resetting: bool,
    /// The job was first named without its time and number.
    pub(crate) listed_bare: bool,
    /// Number in the token of the request, and sequence of its receipt.
    pub(crate) asked: u32,
}

/// The times of one slot, by their names in [`at`].
pub(crate) type Timers = [Timer; 9];

/// The names of the times of a slot.
pub(crate) mod at {
    use super::{Timer, Timers};

    /// When the request of the present phase may be sent.
    pub(crate) const DUE: usize = 0;
    /// When the request that is out is overdue.
    pub(crate) const REPLY: usize = 1;
    /// Earliest time of the next progress report (P7).
    pub(crate) const REPORT: usize = 2;
    /// When the step timer wants renewal.
    pub(crate) const RENEW: usize = 3;
    /// When the service is asked whether the execution is still on.
    pub(crate) const VERIFY: usize = 4;
    /// When the job times out at the service, as far as known.
    pub(crate) const TIMEOUT: usize = 5;
    /// When the local time limit stops the handler.
    pub(crate) const LIMIT: usize = 6;
    /// When the reset was asked for, or may be asked for.
    pub(crate) const RESET: usize = 7;
    /// When storage may be tried again after a failure; outlives the job.
    pub(crate) const STORE: usize = 8;

    /// What is due at once in a slot, and what is not.
    pub(crate) const FIRST: Timers = {
        let mut timers = [Timer::NEVER; 9];
        timers[DUE] = Timer::NOW;
        timers[REPORT] = Timer::NOW;
        timers[RESET] = Timer::NOW;
        timers[STORE] = Timer::NOW;
        timers
    };
}

/// The storage effect that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Storage {
    Idle,
    /// A record was handed out.
    Persisting,
    /// A record was handed out, and the slot wants another one since.
    Superseded,
    /// The erasure was handed out.
    Erasing,
}

/// What the slot wants of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Want {
    Nothing,
    Persist,
    Erase,
}

/// What a slot asks the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RequestKind {
    /// The document of a job seen in a list, or begun before a restart.
    Describe = 1,
    /// IN_PROGRESS, to be confirmed before the work starts.
    Start,
    /// IN_PROGRESS again: progress, or the renewal of the step timer.
    Progress,
    /// Whether the running execution is still on.
    Verify,
    /// The outcome.
    Outcome,
}

/// One more, up to the most that a byte holds.
#[inline(never)]
pub(crate) fn count(counter: &mut u8) {
    *counter = counter.saturating_add(1);
}
