//! What an exhaustive exploration needs to see of an agent, and nothing a user needs: behind the
//! feature `_explore`, hidden, outside every promise of compatibility.
//!
//! An agent is plain data, so a state of it can be hashed; yet two states that behave alike may
//! differ in names (counters never repeat) and in absolute times. These functions look through
//! that; only [`Agent::calm_jitter`] changes anything.

use crate::{
    agent::Agent,
    common::LinkState,
    config::{Boot, BootId},
    output::RunId,
    rng::Rng,
    slot::{Slot, at},
    table::Phase,
    time::{Millis, Timer},
    token,
};

/// Repetitions beyond this are alike, if back-off does not grow: more than any bound in the core.
const TRIES_ALIKE: u8 = 5;

impl<const JOBS: usize> Agent<'_, JOBS> {
    /// Takes the chance out of this agent: every back-off is half of its step from now on.
    #[doc(hidden)]
    pub fn calm_jitter(&mut self) {
        self.common.rng = Rng::calm();
    }

    /// This agent with every name blanked, every time relative to `now`, and what its phase does
    /// not read left out: equal for two agents that behave alike. To compare, not to run.
    ///
    /// Which message answers which request is told by [`awaits`](Self::awaits) instead.
    #[doc(hidden)]
    #[must_use]
    pub fn canonical(&self, now: Millis) -> Self {
        let mut view = self.clone();
        // What has passed is alike: timers stop at zero.
        view.pass(now);
        let common = &mut view.common;
        common.clock = Millis(0);
        common.boot = Boot {
            id: BootId([0; 16]),
            entropy: 0,
        };
        common.rng = Rng::calm();
        common.counter = 0;
        if matches!(common.link.state, LinkState::Offline | LinkState::Online) {
            common.link.due = Timer::NOW;
        }
        common.link.tries = 0;
        common.link.sent = 0;
        common.queue.tries = 0;
        common.queue.asked = 0;
        view.slots.each(Slot::blank_names);
        view
    }

    /// Which open request `token` answers: the slot's number, or [`JOBS_MAX`](crate::JOBS_MAX)
    /// for a question about the queue. `None`: none, now and for ever.
    #[doc(hidden)]
    #[must_use]
    pub fn awaits(&self, token: &str) -> Option<usize> {
        let ours = |counter: u32| token::text(self.common.boot.entropy, counter).as_str() == token;
        let queue = &self.common.queue;
        if queue.request.is_some() && ours(queue.asked) {
            return Some(crate::agent::JOBS_MAX);
        }
        self.slots
            .iter()
            .position(|slot| slot.work.request.is_some() && ours(slot.work.asked))
    }

    /// Whether `run` is the one that the slot holds.
    #[doc(hidden)]
    #[must_use]
    pub fn holds_run(&self, slot: u8, run: RunId) -> bool {
        self.slots.get(slot).is_some_and(|held| held.run == run)
    }
}

impl Slot {
    /// See [`Agent::canonical`].
    fn blank_names(&mut self) {
        if self.is_claimable() {
            // A new job overwrites the rest when it is held.
            self.blank();
        }
        self.run = RunId(0);
        self.generation = 0;
        self.storing = 0;
        self.header.blank();
        self.work.asked = 0;
        // Only told to the handler.
        self.timers[at::TIMEOUT] = Timer::NEVER;
        if !self.work.progress_pending {
            self.progress.clear();
        }
        self.work.tries = self.work.tries.min(TRIES_ALIKE);
        self.store_tries = self.store_tries.min(1);
        debug_assert!(
            self.phase != Phase::Free || self.work.request.is_none(),
            "a free slot asks nothing"
        );
    }
}
