//! The agent: plain data, driven by an adapter.

use crate::{
    common::{Common, Link, LinkState},
    config::{Boot, Config},
    output::{Completion, Receipt},
    queue::Queue,
    record::{RecordError, Stored},
    slot::Slot,
    slots::Slots,
    table::Phase,
    time::{Millis, Timer},
};

/// Most slots of an agent: slot numbers are kept small in receipts and file names.
pub const JOBS_MAX: usize = 32;

/// Does the jobs of one thing, up to `JOBS` at a time. No I/O, no clock, no allocation.
///
/// Four kinds of calls, and nothing else:
/// - construction: [`new`](Self::new), then [`restore`](Self::restore) for every stored record;
/// - events in: the `handle_*` methods, each with the time;
/// - effects out: [`poll`](Self::poll), one ordered stream;
/// - getters: [`phase`](Self::phase), [`is_idle`](Self::is_idle).
///
/// The driving loop of an adapter:
/// 1. `poll` until it says [`Output::Wait`](crate::Output::Wait), performing each output.
/// 2. Wait for the first of: a message, a finished effect, a word of a handler, the deadline.
/// 3. Hand it in by its `handle_*` method. An offer it returns is decided on at once
///    ([`handle_plan`](Self::handle_plan)), while the message is still in its buffer.
/// 4. Go to 1: every change is followed by a full drain.
///
/// `Agent` is `Clone + Eq + Hash`, so that every state of it can be explored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Agent<'c, const JOBS: usize = 1> {
    pub(crate) common: Common<'c>,
    pub(crate) slots: Slots<JOBS>,
}

/// Which offer a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "decide on the offer with handle_plan"]
pub struct Ticket {
    pub(crate) slot: u8,
    pub(crate) generation: u32,
}

impl Ticket {
    /// The slot whose plan the adapter keeps until the run begins.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }
}

/// The run is not the one that is on (any more): its word changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

impl core::fmt::Display for Stale {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("stale run: the job is over, end its handler")
    }
}

impl core::error::Error for Stale {}

impl<'c, const JOBS: usize> Agent<'c, JOBS> {
    /// An agent that knows of no job yet.
    #[must_use]
    pub fn new(config: &'c Config<'c>, boot: Boot) -> Self {
        const { assert!(JOBS >= 1 && JOBS <= JOBS_MAX, "an agent has 1 to 32 slots") };
        Self {
            common: Common::new(config, boot),
            slots: Slots::new(),
        }
    }

    /// Takes up the stored record of `slot`, before the first `poll`.
    ///
    /// # Errors
    /// [`RecordError`]: the bytes are no record. Erase them and go on: the service will offer
    /// the job again. A slot number beyond `JOBS` is [`RecordError::Field`]: keep such a record
    /// for a build with more slots, or erase it.
    #[inline(never)]
    pub fn restore(&mut self, slot: u8, record: &[u8]) -> Result<(), RecordError> {
        let record = Stored::read(record);
        let record = record.as_ref().map_err(|error| *error)?;
        let place = self.slots.get_mut(slot).ok_or(RecordError::Field)?;
        place.restore(record, &self.common.boot.id, self.common.config);
        if JOBS > 1 {
            self.supersede_earlier();
        }
        Ok(())
    }

    /// Of two executions of one job the earlier is over, else the service had not made the later
    /// one: its record is what an erasure left behind. Of two records of one execution that in the
    /// lower slot is the newer: a build with fewer slots did not see the other.
    fn supersede_earlier(&mut self) {
        for index in 0..number_of(JOBS) {
            let later = self.slots.get(index).is_some_and(|slot| {
                let number = slot.header.number();
                number != 0
                    && (0..number_of(JOBS))
                        .zip(self.slots.iter())
                        .any(|(place, other)| {
                            let same = other.header.number() == number && place < index;
                            other.phase != Phase::Free
                                && other.id == slot.id
                                && (same || other.header.number() > number)
                        })
            });
            if later && let Some(slot) = self.slots.get_mut(index) {
                slot.leave_behind();
            }
        }
    }

    /// Lets the time pass until `now`.
    pub(crate) fn pass(&mut self, now: Millis) {
        let passed = self.common.clock.until(now);
        if passed == 0 {
            return;
        }
        self.common.clock = now;
        // More than a timer can hold: then all of them are due.
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.common.link.due.pass(passed);
        self.common.queue.pass(passed);
        self.slots.each(|slot| slot.pass(passed));
    }

    /// The connection is up. Subscribes anew whether or not the session was kept: a subscription
    /// made just before a cut may be missing from it. Requests that were out are put again.
    pub fn handle_connected(&mut self, now: Millis) {
        self.pass(now);
        self.relink(LinkState::Connected);
    }

    /// The connection is down: nothing that was out can be relied on.
    pub fn handle_disconnected(&mut self, now: Millis) {
        self.pass(now);
        self.relink(LinkState::Offline);
    }

    fn relink(&mut self, state: LinkState) {
        self.common.link = Link::new(state);
        self.common.queue.forget_request();
        self.slots.each(|slot| {
            slot.forget_request();
            slot.work.silence.interrupted();
        });
    }

    /// An effect is done, or failed. A receipt that is not awaited changes nothing.
    pub fn handle_done(&mut self, now: Millis, receipt: Receipt, completion: Completion) {
        self.pass(now);
        let failed = completion == Completion::Failed;
        let sequence = receipt.sequence;
        self.subscribed(sequence, failed);
        let Self { common, slots } = self;
        if failed {
            common.queue.unsent(sequence);
        }
        slots.each(|slot| {
            common.stored(slot, sequence, failed);
            if failed {
                slot.unsent(sequence);
                common.reset_failed(slot, sequence);
            }
        });
    }

    /// What `slot` is doing; `None` beyond `JOBS`.
    #[must_use]
    pub fn phase(&self, slot: u8) -> Option<Phase> {
        self.slots.get(slot).map(|slot| slot.phase)
    }

    /// Whether no slot holds a job or a record.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.slots
            .all(|slot| slot.phase == Phase::Free && !slot.stored)
    }

    /// The slot that takes a new job: an empty one rather than one whose listed job nobody asks
    /// about before `due`; none while a reset is coming.
    pub(crate) fn place(&mut self, due: Timer) -> Option<(&mut Slot, &mut Queue)> {
        let (mut best, mut best_rank) = (0, Slot::TAKEN);
        let mut resetting = false;
        self.slots.each(|slot| {
            resetting |= slot.wants_reset();
            let rank = slot.rank(due);
            if rank < best_rank {
                best_rank = rank;
                best = slot.number;
            }
        });
        if resetting || best_rank == Slot::TAKEN {
            return None;
        }
        Some((self.slots.get_mut(best)?, &mut self.common.queue))
    }
}

/// Slot numbers are below [`JOBS_MAX`].
fn number_of(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}
