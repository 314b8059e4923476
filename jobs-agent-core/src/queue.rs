//! What the agent knows of the thing's queue at the service, and when it asks about it.

use crate::{
    hash::{FNV_START, fnv1a},
    job::JobKey,
    silence::Silence,
    slot::Slot,
    time::Timer,
};

/// How many jobs left alone are remembered: one more than the service ever lists (15), so that a
/// queue full of somebody else's jobs is not asked about in circles.
const LEFT_MAX: usize = 16;

/// The thing's queue, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub(crate) struct Queue {
    /// The question that is out.
    pub(crate) request: Option<Ask>,
    pub(crate) tries: u8,
    /// Questions for the head in a row that nobody answered.
    pub(crate) silence: Silence,
    /// An offer came while no slot was free.
    pub(crate) missed: bool,
    /// The head was asked for and answered in this life: what comes now is news.
    pub(crate) oriented: bool,
    /// A list had more jobs than there were free slots.
    pub(crate) more: bool,
    left_next: u8,
    /// Number in the token of the question that is out.
    pub(crate) asked: u32,
    pub(crate) timers: [Timer; 5],
    /// Hashes of jobs left alone; the oldest is forgotten first. A collision (2^-32 a pair)
    /// hides a job until the agent restarts or sixteen others are left.
    left: [u32; LEFT_MAX],
}

/// The names of the times of the queue.
pub(crate) mod when {
    /// When the slow check is due.
    pub(crate) const RESYNC: usize = 0;
    /// When the question that is out is overdue.
    pub(crate) const REPLY: usize = 1;
    /// When `$next/get` may be sent.
    pub(crate) const NEXT: usize = 2;
    /// When the list may be asked for.
    pub(crate) const LIST: usize = 3;
    /// When `$next/get` is sent unless a notification comes first, after a job has ended.
    pub(crate) const SETTLE: usize = 4;
}

/// The two questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    /// `$next/get`: the head, with its document.
    Next,
    /// `get`: the list, without documents.
    List,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            request: None,
            tries: 0,
            silence: Silence::NONE,
            missed: false,
            oriented: false,
            more: false,
            left_next: 0,
            asked: 0,
            timers: [
                Timer::NOW,
                Timer::NEVER,
                Timer::NEVER,
                Timer::NEVER,
                Timer::NEVER,
            ],
            left: [0; LEFT_MAX],
        }
    }

    /// So many milliseconds have passed.
    pub(crate) fn pass(&mut self, ms: u32) {
        for timer in &mut self.timers {
            timer.pass(ms);
        }
    }

    /// The job of this slot is not asked about again.
    pub(crate) fn leave(&mut self, slot: &Slot) {
        let Some(mut key) = slot.key() else {
            return;
        };
        self.leave_key(&key);
        if slot.work.listed_bare {
            // Lists name it without time or number: known by its id alone then.
            key.queued_at = 0;
            self.leave_key(&key);
            key.execution_number = None;
            self.leave_key(&key);
        }
    }

    fn leave_key(&mut self, key: &JobKey<'_>) {
        if self.is_left(key) {
            return;
        }
        let place = usize::from(self.left_next).wrapping_rem(LEFT_MAX);
        if let Some(place) = self.left.get_mut(place) {
            *place = left_hash(key);
        }
        self.left_next = self.left_next.wrapping_add(1);
    }

    pub(crate) fn is_left(&self, key: &JobKey<'_>) -> bool {
        self.left.contains(&left_hash(key))
    }

    /// A notification tells what the settling question would have asked.
    pub(crate) fn heard(&mut self, resync_ms: u32) {
        self.timers[when::SETTLE] = Timer::NEVER;
        self.timers[when::RESYNC] = Timer::after(resync_ms);
    }

    /// A slot became free: ask for what had no room before.
    pub(crate) fn slot_freed(&mut self) {
        if core::mem::take(&mut self.missed) {
            self.timers[when::NEXT] = Timer::NOW;
        }
        if core::mem::take(&mut self.more) {
            self.timers[when::LIST] = Timer::NOW;
        }
    }

    /// The question that is due next, and when.
    pub(crate) fn due(&self) -> (Timer, Ask) {
        let next = self.timers[when::NEXT]
            .min(self.timers[when::SETTLE])
            .min(self.timers[when::RESYNC]);
        // The head first: it comes with its document.
        if self.timers[when::LIST] < next {
            (self.timers[when::LIST], Ask::List)
        } else {
            (next, Ask::Next)
        }
    }

    /// The question goes out: its times are met.
    pub(crate) fn ask(&mut self, ask: Ask, counter: u32, reply: Timer, resync_ms: u32) {
        match ask {
            Ask::Next => {
                self.timers[when::NEXT] = Timer::NEVER;
                self.heard(resync_ms);
            }
            Ask::List => self.timers[when::LIST] = Timer::NEVER,
        }
        self.request = Some(ask);
        self.asked = counter;
        self.timers[when::REPLY] = reply;
    }

    /// No reply is awaited any more.
    pub(crate) fn forget_request(&mut self) {
        self.request = None;
        self.timers[when::REPLY] = Timer::NEVER;
    }

    /// The question has to be put again then.
    pub(crate) fn again(&mut self, ask: Ask, then: Timer) {
        self.forget_request();
        self.tries = self.tries.saturating_add(1);
        match ask {
            Ask::Next => self.timers[when::NEXT] = then,
            Ask::List => self.timers[when::LIST] = then,
        }
    }
}

/// Never zero, which marks an empty place.
fn left_hash(key: &JobKey<'_>) -> u32 {
    let mut hash = fnv1a(FNV_START, key.id.as_str().as_bytes());
    hash = fnv1a(hash, &key.execution_number.unwrap_or(0).to_le_bytes());
    hash = fnv1a(hash, &key.queued_at.to_le_bytes());
    hash.max(1)
}
