//! The agent: plain data, driven by an adapter.

use crate::{
    Unclaimed,
    checkpoint::Checkpoint,
    config::{Boot, Config},
    handler::{OperationTag, Refusal, RunPolicy, StopReason},
    outcome::{Details, Outcome, Progress},
    output::{Completion, Ending, Origin, Receipt, RunId, Status},
    queue::Queue,
    record::{Record, RecordError},
    rng::Rng,
    slot::{JobKey, Slot},
    table::{Event, Phase},
    time::Millis,
};

/// Most slots of an agent: slot numbers are kept small in receipts and file names.
pub const JOBS_MAX: usize = 32;

/// Shortest postponement of an offer, milliseconds: a handler that says "later: 0" must not make
/// the agent ask at the speed of the network.
const POSTPONE_MIN_MS: u32 = 1_000;

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
    pub(crate) config: &'c Config<'c>,
    pub(crate) boot: Boot,
    pub(crate) rng: Rng,
    /// Number of the last token, receipt and run: one counter, so that no two are alike.
    pub(crate) counter: u32,
    pub(crate) link: Link,
    pub(crate) queue: Queue,
    pub(crate) slots: [Slot; JOBS],
}

/// The connection, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    Offline,
    /// Connected, not yet subscribed; `sent` is the SUBSCRIBE that is out.
    Subscribing {
        due_at: Millis,
        tries: u8,
        sent: Option<u32>,
    },
    Online,
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
            config,
            boot,
            rng: Rng::new(boot.entropy),
            counter: 0,
            link: Link::Offline,
            queue: Queue::default(),
            slots: core::array::from_fn(|_| Slot::default()),
        }
    }

    /// Takes up the stored record of `slot`, before the first `poll`.
    ///
    /// # Errors
    /// [`RecordError`]: the bytes are no record. Erase them and go on: the service will offer
    /// the job again. A slot number beyond `JOBS` is [`RecordError::Field`]: keep such a record
    /// for a build with more slots, or erase it.
    pub fn restore(&mut self, slot: u8, record: &[u8]) -> Result<(), RecordError> {
        let record = Record::decode(record)?;
        let config = self.config;
        let boot = self.boot.id;
        let place = self
            .slots
            .get_mut(usize::from(slot))
            .ok_or(RecordError::Field)?;
        *place = Slot::restored(record, boot, config);
        self.supersede_earlier();
        Ok(())
    }

    /// Of two executions of one job the earlier is over, else the service had not made the later
    /// one: its record is what an erasure left behind.
    fn supersede_earlier(&mut self) {
        for index in 0..JOBS {
            let later = self.slots.get(index).is_some_and(|slot| {
                let number = |slot: &Slot| slot.job.execution_number;
                self.slots.iter().any(|other| {
                    other.phase != Phase::Free
                        && other.job.id == slot.job.id
                        && number(other).is_some()
                        && number(slot).is_some()
                        && number(other) > number(slot)
                })
            });
            if later && let Some(slot) = self.slots.get_mut(index) {
                *slot = Slot::left_behind();
            }
        }
    }

    /// The connection is up. Subscribes anew whether or not the session was kept: a subscription
    /// made just before a cut may be missing from it. Requests that were out are put again.
    pub fn handle_connected(&mut self, now: Millis) {
        self.forget_requests();
        self.link = Link::Subscribing {
            due_at: now,
            tries: 0,
            sent: None,
        };
    }

    /// The connection is down: nothing that was out can be relied on.
    pub fn handle_disconnected(&mut self, now: Millis) {
        let _ = now;
        self.forget_requests();
        self.link = Link::Offline;
    }

    /// The decision on an offer. A ticket that is not awaited changes nothing.
    pub fn handle_plan(
        &mut self,
        now: Millis,
        ticket: Ticket,
        verdict: Result<(OperationTag, RunPolicy), Refusal>,
    ) {
        let unclaimed = self.config.unclaimed;
        let awaited = self
            .slots
            .get(usize::from(ticket.slot))
            .is_some_and(|slot| {
                matches!(slot.phase, Phase::Planning | Phase::Replanning)
                    && slot.generation == ticket.generation
            });
        if !awaited {
            return;
        }
        let run = self.next_counter();
        let Some(slot) = self.slots.get_mut(usize::from(ticket.slot)) else {
            return;
        };
        slot.due_at = now;
        match verdict {
            Ok((tag, policy)) => {
                slot.tag = tag;
                slot.policy = policy;
                // After a restart the offer is an answer to our question: then the run is counted,
                // so that one that takes the device down is given up (P3).
                if policy.instant && slot.phase == Phase::Planning && slot.live {
                    slot.step(Event::AcceptedInstant);
                    slot.attempts = 1;
                    slot.runs = 1;
                    slot.start_run(now, RunId(run));
                } else {
                    slot.policy.instant = false;
                    slot.step(Event::Accepted);
                }
            }
            Err(Refusal::Later { retry_ms }) => {
                slot.step(Event::Postponed);
                slot.due_at = now.plus(u64::from(retry_ms.max(POSTPONE_MIN_MS)));
            }
            Err(Refusal::Reject(reason)) => slot.decline(reason.as_str()),
            Err(Refusal::Unknown) if unclaimed == Unclaimed::Reject => {
                slot.decline("unsupported operation");
            }
            Err(Refusal::Unknown | Refusal::NotMine) => self.leave(now, ticket.slot),
        }
    }

    /// The handler wants `checkpoint` made durable; [`Output::Saved`](crate::Output::Saved)
    /// tells when it is.
    ///
    /// # Errors
    /// [`Stale`]: the job is over; tell the handler that it is stopped.
    pub fn handle_checkpoint(
        &mut self,
        now: Millis,
        slot: u8,
        run: RunId,
        checkpoint: &Checkpoint,
    ) -> Result<(), Stale> {
        let slot = self.running(slot, run)?;
        // The first write may be durable already; a checkpoint is never kept for an
        // instantaneous run, which has no record and needs none.
        if slot.policy.instant {
            slot.saved_due = true;
            return Ok(());
        }
        if slot.step(Event::CheckpointAsked) {
            slot.keep(checkpoint);
            slot.store_at = now;
            Ok(())
        } else {
            Err(Stale)
        }
    }

    /// The handler reports progress: kept until it may be sent, newer replaces older (P7).
    pub fn handle_progress(&mut self, slot: u8, run: RunId, progress: &Progress) {
        if let Ok(slot) = self.running(slot, run)
            && slot.is_watched()
        {
            slot.keep_progress(progress);
        }
    }

    /// The handler returned. Its outcome is made durable and then reported (P2).
    pub fn handle_outcome(&mut self, now: Millis, slot: u8, run: RunId, outcome: &Outcome) {
        let grace = now.plus(u64::from(self.config.reboot_grace_ms));
        let Ok(held) = self.running(slot, run) else {
            return;
        };
        held.run_due = false;
        held.store_at = now;
        let draining = held.phase == Phase::Draining;
        let (event, ending) = match outcome {
            // It has no record that a reset could leave behind, and no confirmation.
            Outcome::Reboot(_) if held.policy.instant && !draining => {
                held.step(Event::OutcomeGiven);
                let details = Details::reason("an instantaneous operation cannot reboot");
                return held.conclude(Status::Failed, details.packed());
            }
            Outcome::Reboot(checkpoint) => {
                held.step(Event::RebootAsked);
                if !draining {
                    held.keep(checkpoint);
                    held.reset_at = grace;
                }
                return self.drained(now, slot, draining);
            }
            Outcome::Succeeded(details) => (Status::Succeeded, details),
            Outcome::Failed(details) => (Status::Failed, details),
            Outcome::Rejected(details) => (Status::Rejected, details),
        };
        held.step(Event::OutcomeGiven);
        if !draining {
            held.conclude(event, ending.packed());
        }
        self.drained(now, slot, draining);
    }

    /// The handler is gone without an outcome: dropped after a stop, or it panicked. The job is
    /// reported FAILED with `reason` unless it is over anyway.
    pub fn handle_aborted(&mut self, now: Millis, slot: u8, run: RunId, reason: &str) {
        self.handle_outcome(now, slot, run, &Outcome::Failed(Details::reason(reason)));
    }

    /// An effect is done, or failed. A receipt that is not awaited changes nothing.
    pub fn handle_done(&mut self, now: Millis, receipt: Receipt, completion: Completion) {
        match receipt.origin {
            Origin::Storage(slot) => self.stored(now, slot, receipt.sequence, completion),
            Origin::Subscription => self.subscribed(now, receipt.sequence, completion),
            Origin::Request(slot) => self.sent(now, slot, receipt.sequence, completion),
            Origin::Queue => self.queue_sent(now, receipt.sequence, completion),
            Origin::Reset(slot) => self.reset_failed(now, slot, receipt.sequence, completion),
        }
    }

    /// What `slot` is doing; `None` beyond `JOBS`.
    #[must_use]
    pub fn phase(&self, slot: u8) -> Option<Phase> {
        self.slots.get(usize::from(slot)).map(|slot| slot.phase)
    }

    /// Whether no slot holds a job or a record.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.slots
            .iter()
            .all(|slot| slot.phase == Phase::Free && !slot.stored)
    }

    pub(crate) fn next_counter(&mut self) -> u32 {
        self.counter = self.counter.wrapping_add(1);
        self.counter
    }

    /// Frees `slot` because its execution is over; the handler, if any, is told to stop.
    pub(crate) fn over(&mut self, now: Millis, slot: u8, reason: StopReason, ending: Ending) {
        let Some(held) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        let reported = held.phase == Phase::Reporting;
        if !held.step(Event::Over) {
            return;
        }
        held.store_at = now;
        if held.phase == Phase::Draining {
            held.stop = Some(reason);
            held.stop_due = true;
            held.saved_due = false;
        } else {
            held.ended = Some(if reported {
                Ending::AlreadyOver
            } else {
                ending
            });
        }
    }

    /// Frees `slot` after a final word of the service on our own request.
    pub(crate) fn close(&mut self, now: Millis, slot: u8, event: Event, ending: Ending) {
        let Some(held) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        if held.step(event) {
            held.store_at = now;
            held.ended = Some(ending);
        }
    }

    fn leave(&mut self, now: Millis, index: u8) {
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        if slot.phase == Phase::Replanning {
            // Begun before the restart, and nobody here knows it any more.
            return slot.decline("no handler for this operation after the restart");
        }
        let job = slot.job.clone();
        let bare = slot.listed_bare;
        slot.step(Event::Left);
        slot.store_at = now;
        slot.ended = Some(Ending::Left);
        if let Some(key) = job.key() {
            self.queue.leave(key);
            if bare {
                // Lists name it without time or number: known by its id alone then.
                self.queue.leave(JobKey {
                    execution_number: None,
                    queued_at: 0,
                    ..key
                });
                self.queue.leave(JobKey {
                    queued_at: 0,
                    ..key
                });
            }
        }
        // A foreign head hides what is behind it: look at the list.
        self.queue.list_at = Some(now);
        self.queue.more = false;
    }

    /// A draining handler has ended: its slot is free.
    fn drained(&mut self, now: Millis, index: u8, was_draining: bool) {
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        if was_draining && slot.phase == Phase::Free {
            slot.store_at = now;
            slot.ended = Some(Ending::Stopped(slot.stop.unwrap_or(StopReason::Over)));
            slot.stop_due = false;
        }
    }

    fn running(&mut self, slot: u8, run: RunId) -> Result<&mut Slot, Stale> {
        let slot = self.slots.get_mut(usize::from(slot)).ok_or(Stale)?;
        let working = matches!(slot.phase, Phase::Running | Phase::Saving | Phase::Draining);
        if working && slot.run == run {
            Ok(slot)
        } else {
            Err(Stale)
        }
    }

    fn forget_requests(&mut self) {
        for slot in &mut self.slots {
            slot.request = None;
        }
        self.queue.request = None;
    }

    /// Whether another slot than `except` has a handler at work, or its last word to keep.
    pub(crate) fn others_at_work(&self, except: usize) -> bool {
        self.slots.iter().enumerate().any(|(index, slot)| {
            index != except
                && matches!(
                    slot.phase,
                    Phase::Running
                        | Phase::Saving
                        | Phase::Draining
                        | Phase::Closing
                        | Phase::Parking
                )
        })
    }

    /// Whether a reset is coming: then no new job is taken.
    pub(crate) fn reset_wanted(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot.phase, Phase::Parking | Phase::Rebooting))
    }

    /// The slots that may take a new job, best first: empty ones before listed ones.
    pub(crate) fn claimable(&self) -> Option<usize> {
        if self.reset_wanted() {
            return None;
        }
        let free = |slot: &Slot| slot.is_claimable();
        let clean = |slot: &Slot| free(slot) && !slot.stored;
        let listed = |slot: &Slot| slot.phase == Phase::Listed && slot.request.is_none();
        let find = |wanted: &dyn Fn(&Slot) -> bool| self.slots.iter().position(wanted);
        find(&clean)
            .or_else(|| find(&free))
            .or_else(|| find(&listed))
    }
}
