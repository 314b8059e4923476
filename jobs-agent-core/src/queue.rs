//! What the agent knows of the thing's queue at the service, and when it asks about it.

use crate::{
    hash::{FNV_START, fnv1a},
    slot::JobKey,
    time::Millis,
};

/// How many jobs left alone are remembered: one more than the service ever lists (15), so that a
/// queue full of somebody else's jobs is not asked about in circles.
const LEFT_MAX: usize = 16;

/// The thing's queue, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Queue {
    /// When `$next/get` may be sent.
    pub(crate) next_at: Option<Millis>,
    /// When the list may be asked for.
    pub(crate) list_at: Option<Millis>,
    /// When `$next/get` is sent unless a notification comes first, after a job has ended.
    pub(crate) settle_at: Option<Millis>,
    /// When the slow check is due.
    pub(crate) resync_at: Millis,
    pub(crate) request: Option<QueueRequest>,
    pub(crate) tries: u8,
    /// An offer came while no slot was free.
    pub(crate) missed: bool,
    /// The head was asked for and answered in this life: what comes now is news.
    pub(crate) oriented: bool,
    /// A list had more jobs than there were free slots.
    pub(crate) more: bool,
    /// Hashes of jobs left alone; the oldest is forgotten first. A collision (2^-32 a pair)
    /// hides a job until the agent restarts or sixteen others are left.
    left: [u32; LEFT_MAX],
    left_next: u8,
}

/// A question about the queue whose reply is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueueRequest {
    pub(crate) ask: Ask,
    pub(crate) counter: u32,
    pub(crate) deadline: Millis,
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
    pub(crate) fn leave(&mut self, key: JobKey<'_>) {
        if self.is_left(key) {
            return;
        }
        let slot = usize::from(self.left_next).wrapping_rem(LEFT_MAX);
        if let Some(place) = self.left.get_mut(slot) {
            *place = left_hash(key);
        }
        self.left_next = self.left_next.wrapping_add(1);
    }

    pub(crate) fn is_left(&self, key: JobKey<'_>) -> bool {
        self.left.contains(&left_hash(key))
    }

    /// A notification tells what the settling question would have asked.
    pub(crate) fn heard(&mut self, now: Millis, resync_ms: u32) {
        self.settle_at = None;
        self.resync_at = now.plus(u64::from(resync_ms));
    }

    /// A slot became free: ask for what had no room before.
    pub(crate) fn slot_freed(&mut self, now: Millis) {
        if core::mem::take(&mut self.missed) {
            self.next_at = Some(now);
        }
        if core::mem::take(&mut self.more) {
            self.list_at = Some(now);
        }
    }

    /// The question that is due next, and when.
    pub(crate) fn due(&self) -> (Millis, Ask) {
        let resync = self.resync_at;
        let next = self
            .next_at
            .into_iter()
            .chain(self.settle_at)
            .fold(resync, Ord::min);
        match self.list_at {
            // The head first: it comes with its document.
            Some(list) if list < next => (list, Ask::List),
            Some(_) | None => (next, Ask::Next),
        }
    }

    /// The question went out: its times are met.
    pub(crate) fn asked(&mut self, request: QueueRequest, resync_at: Millis) {
        match request.ask {
            Ask::Next => {
                self.next_at = None;
                self.settle_at = None;
                self.resync_at = resync_at;
            }
            Ask::List => self.list_at = None,
        }
        self.request = Some(request);
    }

    /// The question has to be put again at `at`.
    pub(crate) fn again(&mut self, ask: Ask, at: Millis) {
        self.request = None;
        self.tries = self.tries.saturating_add(1);
        match ask {
            Ask::Next => self.next_at = Some(at),
            Ask::List => self.list_at = Some(at),
        }
    }
}

/// Never zero, which marks an empty place.
fn left_hash(key: JobKey<'_>) -> u32 {
    let mut hash = fnv1a(FNV_START, key.id.as_str().as_bytes());
    hash = fnv1a(hash, &key.execution_number.unwrap_or(0).to_le_bytes());
    hash = fnv1a(hash, &key.queued_at.to_le_bytes());
    hash.max(1)
}
