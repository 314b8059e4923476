//! What the agent knows of the thing's queue at the service, and when it asks about it.

use heapless::Vec;

use crate::{
    hash::{FNV_START, fnv1a},
    job::{Execution, JobKey},
    silence::Silence,
    slot::{Slot, count},
    time::{Timer, pass_all},
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
    /// Jobs left alone, by the hashes of their ids; the oldest is forgotten first. A collision
    /// (2^-31 a pair) hides a job until the agent restarts or sixteen others are left.
    left: Vec<(u32, Execution), LEFT_MAX, u8>,
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
    Next = 1,
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
            left: Vec::new(),
        }
    }

    /// So many milliseconds have passed.
    pub(crate) fn pass(&mut self, ms: u32) {
        pass_all(&mut self.timers, ms);
    }

    /// The job of this slot is not asked about again.
    pub(crate) fn leave(&mut self, slot: &Slot) {
        let execution = slot.header.execution();
        let bare = slot.work.listed_bare || execution.is_unknown();
        let left = (id_hash(slot.id.as_bytes()) | u32::from(bare), execution);
        if self.left.push(left).is_ok() {
            return;
        }
        let place = usize::from(self.left_next).wrapping_rem(LEFT_MAX);
        if let Some(place) = self.left.get_mut(place) {
            *place = left;
        }
        self.left_next = self.left_next.wrapping_add(1);
    }

    pub(crate) fn is_left(&self, key: &JobKey<'_>) -> bool {
        let hash = id_hash(key.id.as_bytes());
        let told = key.execution();
        self.left.iter().any(|(left, execution)| {
            // By its id alone it is only known if lists never said more.
            let named = *left == hash | 1 || *left == hash && !told.is_unknown();
            named && execution.is(told)
        })
    }

    /// A notification tells what the settling question would have asked.
    pub(crate) fn heard(&mut self, resync_ms: u32) {
        self.timers[when::SETTLE] = Timer::NEVER;
        self.timers[when::RESYNC] = Timer::after(resync_ms);
    }

    /// A slot became free: ask for what had no room before.
    #[inline(never)]
    pub(crate) fn slot_freed(&mut self) {
        if core::mem::take(&mut self.missed) {
            self.timers[when::NEXT] = Timer::NOW;
        }
        if core::mem::take(&mut self.more) {
            self.timers[when::LIST] = Timer::NOW;
        }
    }

    /// The question that is due next, and when.
    #[inline(always)]
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
    #[inline(always)]
    pub(crate) fn again(&mut self, ask: Ask, then: Timer) {
        self.forget_request();
        count(&mut self.tries);
        match ask {
            Ask::Next => self.timers[when::NEXT] = then,
            Ask::List => self.timers[when::LIST] = then,
        }
    }
}

/// The hash of a job id, with room in the lowest bit for [`Work::listed_bare`](crate::slot::Work).
#[inline(never)]
fn id_hash(id: &[u8]) -> u32 {
    fnv1a(FNV_START, id) & !1
}
