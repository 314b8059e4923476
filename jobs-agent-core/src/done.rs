//! Receipts: what it means for a slot that an effect was performed, or was not.
//!
//! State advances here, when an effect is reported done, never when it is handed out.

use crate::{
    agent::{Agent, Link},
    backoff,
    outcome::Details,
    output::{Completion, RunId, Status},
    slot::{Storage, Want},
    table::{Event, Phase},
    time::Millis,
};

impl<const JOBS: usize> Agent<'_, JOBS> {
    pub(crate) fn stored(&mut self, now: Millis, index: u8, sequence: u32, completion: Completion) {
        let slot = self.slots.get(usize::from(index));
        // Nothing is drawn for a receipt that is not awaited: it changes nothing.
        if !slot.is_some_and(|slot| slot.storage.awaits(sequence)) {
            return;
        }
        let wait = self.backoff_for(index);
        let run = self.next_counter();
        let check_at = now.plus(u64::from(self.config.resync_ms));
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        let current = match slot.storage {
            Storage::Persisting { current, .. } => Some(current),
            Storage::Erasing { .. } => None,
            Storage::Idle => return,
        };
        slot.storage = Storage::Idle;
        if completion == Completion::Failed {
            slot.store_tries = slot.store_tries.saturating_add(1);
            slot.store_at = now.plus(wait);
            return;
        }
        slot.store_tries = 0;
        match current {
            None => {
                slot.stored = false;
                if slot.want == Want::Erase {
                    slot.want = Want::Nothing;
                }
            }
            Some(false) => {}
            // A job that ended while its record was being written waits for nothing any more, and
            // the one that holds the slot now was not waiting for this record.
            Some(true) => {
                let saving = slot.phase == Phase::Saving;
                if !slot.step(Event::Persisted) {
                    return;
                }
                slot.due_at = now;
                match slot.phase {
                    Phase::Running if saving => slot.saved_due = true,
                    Phase::Running => {
                        slot.start_run(now, RunId(run));
                        slot.verify_by(check_at);
                    }
                    Phase::Free
                    | Phase::Listed
                    | Phase::Planning
                    | Phase::Claiming
                    | Phase::Opening
                    | Phase::Saving
                    | Phase::Draining
                    | Phase::Closing
                    | Phase::Reporting
                    | Phase::Parking
                    | Phase::Rebooting
                    | Phase::Recovering
                    | Phase::Replanning => {}
                }
            }
        }
    }

    pub(crate) fn subscribed(&mut self, now: Millis, sequence: u32, completion: Completion) {
        let Link::Subscribing {
            tries,
            sent: Some(sent),
            ..
        } = self.link
        else {
            return;
        };
        if sent != sequence {
            return;
        }
        if completion == Completion::Failed {
            let wait = backoff::wait_ms(self.config.backoff, tries, &mut self.rng);
            self.link = Link::Subscribing {
                due_at: now.plus(wait),
                tries: tries.saturating_add(1),
                sent: None,
            };
            // Replies need no subscription: what is durable is reported, and the queue is asked.
            if tries == 0 {
                self.online(now);
            }
            return;
        }
        self.link = Link::Online;
        self.online(now);
    }

    /// Requests may be sent.
    fn online(&mut self, now: Millis) {
        // What happened while we were away is told by nobody: ask.
        self.queue.next_at = Some(now);
        self.queue.tries = 0;
        for slot in &mut self.slots {
            // A postponed job keeps its time: a reconnection is no reason to ask again.
            if !matches!(slot.phase, Phase::Listed | Phase::Recovering) {
                slot.due_at = slot.due_at.min(now);
            }
            let verify = slot.is_claimed() && slot.phase != Phase::Claiming;
            // The execution may have been made anew under the same id while we were away: an
            // outcome is sent only for the one it belongs to.
            if verify || slot.phase == Phase::Reporting {
                slot.verify_at = Some(now);
            }
        }
    }

    pub(crate) fn sent(&mut self, now: Millis, index: u8, sequence: u32, completion: Completion) {
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        // Success says nothing yet: the reply counts. A request that did not leave is overdue.
        if let Some(request) = &mut slot.request
            && request.counter == sequence
            && completion == Completion::Failed
        {
            request.deadline = now;
        }
    }

    pub(crate) fn queue_sent(&mut self, now: Millis, sequence: u32, completion: Completion) {
        if let Some(request) = &mut self.queue.request
            && request.counter == sequence
            && completion == Completion::Failed
        {
            request.deadline = now;
        }
    }

    pub(crate) fn reset_failed(
        &mut self,
        now: Millis,
        index: u8,
        sequence: u32,
        completion: Completion,
    ) {
        let slot = self.slots.get(usize::from(index));
        let awaited = slot.is_some_and(|slot| slot.reset_busy == Some(sequence));
        if !awaited || completion == Completion::Done {
            return;
        }
        let wait = self.backoff_for(index);
        let attempts_max = self.config.attempts_max.max(1);
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        slot.reset_busy = None;
        slot.store_tries = slot.store_tries.saturating_add(1);
        slot.reset_at = now.plus(wait);
        // A device that cannot be reset must not hold the job for ever (P3).
        if slot.store_tries >= attempts_max && slot.step(Event::ResetHopeless) {
            let details = Details::reason("gave up: the reset does not happen");
            slot.conclude(Status::Failed, details.packed());
            slot.store_at = now;
        }
    }

    fn backoff_for(&mut self, index: u8) -> u64 {
        let tries = self
            .slots
            .get(usize::from(index))
            .map_or(0, |slot| slot.store_tries);
        backoff::wait_ms(self.config.backoff, tries, &mut self.rng)
    }
}
