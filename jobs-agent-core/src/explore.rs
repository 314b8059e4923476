//! What an exhaustive exploration needs to see of an agent, and nothing a user needs: behind the
//! feature `_explore`, hidden, outside every promise of compatibility.
//!
//! An agent is plain data, so a state of it can be hashed; yet two states that behave alike may
//! differ in names (counters never repeat) and in absolute times. These functions look through
//! that; only [`Agent::calm_jitter`] changes anything.

use crate::{
    agent::{Agent, Link},
    config::{Boot, BootId},
    output::RunId,
    queue::QueueRequest,
    rng::Rng,
    slot::{Request, Slot, Storage},
    table::Phase,
    time::Millis,
    token,
};

/// Repetitions beyond this are alike, if back-off does not grow: more than any bound in the core.
const TRIES_ALIKE: u8 = 5;

impl<const JOBS: usize> Agent<'_, JOBS> {
    /// Takes the chance out of this agent: every back-off is half of its step from now on.
    #[doc(hidden)]
    pub fn calm_jitter(&mut self) {
        self.rng = Rng::calm();
    }

    /// This agent with every name blanked, every time relative to `now`, and what its phase does
    /// not read left out: equal for two agents that behave alike. To compare, not to run.
    ///
    /// Which message answers which request is told by [`awaits`](Self::awaits) instead.
    #[doc(hidden)]
    #[must_use]
    pub fn canonical(&self, now: Millis) -> Self {
        let mut view = self.clone();
        view.boot = Boot {
            id: BootId([0; 16]),
            entropy: 0,
        };
        view.rng = Rng::calm();
        view.counter = 0;
        if let Link::Subscribing {
            due_at,
            tries,
            sent,
        } = &mut view.link
        {
            *due_at = from(now, *due_at);
            *tries = 0;
            *sent = sent.map(|_| 0);
        }
        let queue = &mut view.queue;
        queue.next_at = queue.next_at.map(|at| from(now, at));
        queue.list_at = queue.list_at.map(|at| from(now, at));
        queue.settle_at = queue.settle_at.map(|at| from(now, at));
        queue.resync_at = from(now, queue.resync_at);
        queue.tries = 0;
        queue.request = queue.request.map(|request| QueueRequest {
            counter: 0,
            deadline: from(now, request.deadline),
            ..request
        });
        for slot in &mut view.slots {
            slot.blank(now);
        }
        view
    }

    /// Which open request `token` answers: the slot's number, or [`JOBS_MAX`](crate::JOBS_MAX)
    /// for a question about the queue. `None`: none, now and for ever.
    #[doc(hidden)]
    #[must_use]
    pub fn awaits(&self, token: &str) -> Option<usize> {
        let ours = |counter: u32| token::text(self.boot.entropy, counter).as_str() == token;
        if self.queue.request.is_some_and(|r| ours(r.counter)) {
            return Some(crate::agent::JOBS_MAX);
        }
        self.slots
            .iter()
            .position(|slot| slot.request.is_some_and(|r| ours(r.counter)))
    }

    /// Whether `run` is the one that the slot holds.
    #[doc(hidden)]
    #[must_use]
    pub fn holds_run(&self, slot: u8, run: RunId) -> bool {
        self.slots
            .get(usize::from(slot))
            .is_some_and(|held| held.run == run)
    }
}

impl Slot {
    /// See [`Agent::canonical`].
    fn blank(&mut self, now: Millis) {
        if self.phase == Phase::Free && self.ended.is_none() {
            // A new job overwrites the rest when it is held.
            *self = Self {
                storage: self.storage,
                want: self.want,
                stored: self.stored,
                store_at: self.store_at,
                store_tries: self.store_tries,
                ..Self::default()
            };
        }
        self.run = RunId(0);
        self.generation = 0;
        self.storage = match self.storage {
            Storage::Idle => Storage::Idle,
            Storage::Persisting { current, .. } => Storage::Persisting {
                sequence: 0,
                current,
            },
            Storage::Erasing { .. } => Storage::Erasing { sequence: 0 },
        };
        self.request = self.request.map(|request| Request {
            counter: 0,
            deadline: from(now, request.deadline),
            ..request
        });
        self.reset_busy = self.reset_busy.map(|_| 0);
        for at in [
            &mut self.store_at,
            &mut self.due_at,
            &mut self.report_at,
            &mut self.reset_at,
        ] {
            *at = from(now, *at);
        }
        for at in [&mut self.renew_at, &mut self.verify_at, &mut self.limit_at] {
            *at = at.map(|at| from(now, at));
        }
        // Only told to the handler.
        self.timeout_at = None;
        if !self.progress_pending {
            self.progress.clear();
        }
        self.tries = self.tries.min(TRIES_ALIKE);
        self.store_tries = self.store_tries.min(1);
    }
}

/// `at` as seen from `now`; what has passed is alike.
fn from(now: Millis, at: Millis) -> Millis {
    Millis(now.until(at))
}
