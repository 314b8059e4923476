//! Receipts: what it means for a slot that an effect was performed, or was not.
//!
//! State advances here, when an effect is reported done, never when it is handed out.

use crate::{
    agent::Agent,
    common::{Common, LinkState},
    output::{RunId, Status},
    queue::{Queue, when},
    slot::{Slot, Storage, Want, at, count},
    table::{Event, Phase},
    time::Timer,
};

impl Common<'_> {
    #[inline(never)]
    pub(crate) fn stored(&mut self, slot: &mut Slot, sequence: u32, failed: bool) {
        // Nothing is drawn for a receipt that is not awaited: it changes nothing.
        if slot.storage == Storage::Idle || slot.storing != sequence {
            return;
        }
        let storage = core::mem::replace(&mut slot.storage, Storage::Idle);
        if failed {
            slot.timers[at::STORE] = self.backoff(slot.store_tries);
            count(&mut slot.store_tries);
            return;
        }
        slot.store_tries = 0;
        match storage {
            Storage::Erasing => {
                slot.stored = false;
                if slot.want == Want::Erase {
                    slot.want = Want::Nothing;
                }
            }
            // A job that ended while its record was being written waits for nothing any more, and
            // the one that holds the slot now was not waiting for this record.
            Storage::Persisting => self.persisted(slot),
            Storage::Superseded | Storage::Idle => {}
        }
    }

    /// The record that the phase of this slot waited for is durable.
    fn persisted(&mut self, slot: &mut Slot) {
        let saving = slot.phase == Phase::Saving;
        if !slot.step(Event::Persisted) {
            return;
        }
        slot.timers[at::DUE] = Timer::NOW;
        if saving {
            slot.work.saved_due = true;
        } else if slot.phase == Phase::Running {
            slot.start_run(RunId(self.next_counter()));
            slot.verify_by(Timer::after(self.config.resync_ms));
        }
    }

    pub(crate) fn reset_failed(&mut self, slot: &mut Slot, sequence: u32) {
        if !slot.work.resetting || slot.storing != sequence {
            return;
        }
        slot.work.resetting = false;
        slot.timers[at::RESET] = self.backoff(slot.store_tries);
        count(&mut slot.store_tries);
        // A device that cannot be reset must not hold the job for ever (P3).
        if slot.store_tries >= self.config.attempts_max.max(1) && slot.step(Event::ResetHopeless) {
            slot.conclude_with(Status::Failed, "gave up: the reset does not happen");
            slot.timers[at::STORE] = Timer::NOW;
        }
    }
}

impl<const JOBS: usize> Agent<'_, JOBS> {
    pub(crate) fn subscribed(&mut self, sequence: u32, failed: bool) {
        let link = &mut self.common.link;
        if link.state != LinkState::Subscribing || link.sent != sequence {
            return;
        }
        let tries = link.tries;
        if failed {
            link.state = LinkState::Connected;
            count(&mut link.tries);
            self.common.link.due = self.common.backoff(tries);
            // Replies need no subscription: what is durable is reported, and the queue is asked.
            if tries > 0 {
                return;
            }
        } else {
            link.state = LinkState::Online;
        }
        // What happened while we were away is told by nobody: ask.
        self.common.queue.timers[when::NEXT] = Timer::NOW;
        self.common.queue.tries = 0;
        self.slots.each(|slot| {
            // A postponed job keeps its time: a reconnection is no reason to ask again.
            if !matches!(slot.phase, Phase::Listed | Phase::Recovering) {
                slot.timers[at::DUE] = Timer::NOW;
            }
            let verify = slot.is_claimed() && slot.phase != Phase::Claiming;
            // The execution may have been made anew under the same id while we were away: an
            // outcome is sent only for the one it belongs to.
            if verify || slot.phase == Phase::Reporting {
                slot.timers[at::VERIFY] = Timer::NOW;
            }
        });
    }
}

// Success of a request says nothing yet: the reply counts. One that did not leave is overdue.

impl Slot {
    pub(crate) fn unsent(&mut self, sequence: u32) {
        if self.work.request.is_some() && self.work.asked == sequence {
            self.timers[at::REPLY] = Timer::NOW;
            self.work.silence.unsent();
        }
    }
}

impl Queue {
    pub(crate) fn unsent(&mut self, sequence: u32) {
        if self.request.is_some() && self.asked == sequence {
            self.timers[when::REPLY] = Timer::NOW;
            self.silence.unsent();
        }
    }
}
