//! What a handler says: its decision on an offer, its checkpoints, its progress, its last word.

use crate::{
    Unclaimed,
    agent::{Agent, Stale, Ticket},
    checkpoint::Checkpoint,
    common::Common,
    handler::{OperationTag, Refusal, RunPolicy, StopReason},
    outcome::{Outcome, Progress},
    output::{Ending, RunId, Status},
    queue::when,
    record::{Flag, Number},
    slot::{Slot, at},
    table::{Event, Phase},
    time::{Millis, Timer},
};

/// Shortest postponement of an offer, milliseconds: a handler that says "later: 0" must not make
/// the agent ask at the speed of the network.
const POSTPONE_MIN_MS: u32 = 1_000;

impl<const JOBS: usize> Agent<'_, JOBS> {
    /// The decision on an offer. A ticket that is not awaited changes nothing.
    pub fn handle_plan(
        &mut self,
        now: Millis,
        ticket: Ticket,
        verdict: Result<(OperationTag, RunPolicy), Refusal>,
    ) {
        self.pass(now);
        let Some(slot) = self.slots.get_mut(ticket.slot) else {
            return;
        };
        if !matches!(slot.phase, Phase::Planning | Phase::Replanning)
            || slot.generation != ticket.generation
        {
            return;
        }
        slot.timers[at::DUE] = Timer::NOW;
        match &verdict {
            Ok((tag, policy)) => self.common.taken(slot, *tag, policy),
            Err(Refusal::Later { retry_ms }) => {
                slot.step(Event::Postponed);
                slot.timers[at::DUE] = Timer::after((*retry_ms).max(POSTPONE_MIN_MS));
            }
            Err(Refusal::Reject(reason)) => slot.decline(reason.as_str()),
            Err(Refusal::Unknown) if self.common.config.unclaimed == Unclaimed::Reject => {
                slot.decline("unsupported operation");
            }
            Err(Refusal::Unknown | Refusal::NotMine) => self.common.leave(slot),
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
        let slot = self.running(now, slot, run).ok_or(Stale)?;
        // The first write may be durable already; a checkpoint is never kept for an
        // instantaneous run, which has no record and needs none.
        if slot.work.instant {
            slot.work.saved_due = true;
        } else if slot.step(Event::CheckpointAsked) {
            slot.timers[at::STORE] = Timer::NOW;
            slot.keep(checkpoint);
        } else {
            return Err(Stale);
        }
        Ok(())
    }

    /// The handler reports progress: kept until it may be sent, newer replaces older (P7).
    pub fn handle_progress(&mut self, slot: u8, run: RunId, progress: &Progress) {
        let now = self.common.clock;
        if let Some(slot) = self.running(now, slot, run)
            && slot.is_watched()
        {
            slot.progress.clear();
            // Same capacity as any report.
            let _ = slot.progress.extend_from_slice(progress.packed());
            slot.work.progress_pending = true;
        }
    }

    /// The handler returned. Its outcome is made durable and then reported (P2).
    #[inline(never)]
    pub fn handle_outcome(&mut self, now: Millis, slot: u8, run: RunId, outcome: &Outcome) {
        let grace = Timer::after(self.common.config.reboot_grace_ms);
        let Some(slot) = self.last_word(now, slot, run) else {
            return;
        };
        let (status, details) = match outcome {
            Outcome::Succeeded(details) => (Status::Succeeded, details),
            Outcome::Failed(details) => (Status::Failed, details),
            Outcome::Rejected(details) => (Status::Rejected, details),
            // It has no record that a reset could leave behind, and no confirmation.
            Outcome::Reboot(_) if slot.work.instant => {
                return slot.fail("an instantaneous operation cannot reboot");
            }
            Outcome::Reboot(checkpoint) => {
                slot.step(Event::RebootAsked);
                slot.timers[at::RESET] = grace;
                return slot.keep(checkpoint);
            }
        };
        slot.step(Event::OutcomeGiven);
        slot.conclude(status, details.packed());
    }

    /// The handler is gone without an outcome: dropped after a stop, or it panicked. The job is
    /// reported FAILED with `reason` unless it is over anyway.
    pub fn handle_aborted(&mut self, now: Millis, slot: u8, run: RunId, reason: &str) {
        if let Some(slot) = self.last_word(now, slot, run) {
            slot.fail(reason);
        }
    }

    /// The slot whose handler has ended, unless the job was over before.
    #[inline(never)]
    fn last_word(&mut self, now: Millis, slot: u8, run: RunId) -> Option<&mut Slot> {
        let slot = self.running(now, slot, run)?;
        slot.work.run_due = false;
        slot.timers[at::STORE] = Timer::NOW;
        if slot.phase != Phase::Draining {
            return Some(slot);
        }
        slot.step(Event::OutcomeGiven);
        let reason = slot.work.stop.unwrap_or(StopReason::Over);
        slot.work.ended = Some(Ending::Stopped(reason));
        slot.work.stop_due = false;
        None
    }

    #[inline(never)]
    fn running(&mut self, now: Millis, slot: u8, run: RunId) -> Option<&mut Slot> {
        self.pass(now);
        let slot = self.slots.get_mut(slot)?;
        let working = slot.is_at_work() || slot.phase == Phase::Draining;
        (working && slot.run == run).then_some(slot)
    }
}

impl Slot {
    #[inline(always)]
    fn fail(&mut self, reason: &str) {
        self.step(Event::OutcomeGiven);
        self.conclude_with(Status::Failed, reason);
    }
}

impl Common<'_> {
    /// The handler takes the job.
    fn taken(&mut self, slot: &mut Slot, tag: OperationTag, policy: &RunPolicy) {
        let run = RunId(self.next_counter());
        // After a restart the offer is an answer to our question: then the run is counted, so that
        // one that takes the device down is given up (P3).
        let instant = policy.instant && slot.phase == Phase::Planning && slot.work.live;
        slot.work.instant = instant;
        let header = &mut slot.header;
        header.mark(Flag::RERUN, policy.rerun);
        header.set(Number::TAG, tag.0);
        let minutes = policy.step_timeout_minutes.unwrap_or(0);
        header.set(Number::STEP_TIMEOUT, minutes.into());
        // None is stored as 0; a limit of 0 lets the handler begin, and no more.
        let limit_ms = policy.time_limit_ms.map_or(0, |ms| ms.max(1));
        header.set(Number::TIME_LIMIT, limit_ms);
        if instant {
            slot.step(Event::AcceptedInstant);
            slot.header.set_attempts(1);
            slot.header.set(Number::RUNS, 1);
            slot.start_run(run);
        } else {
            slot.step(Event::Accepted);
        }
    }

    /// The job is somebody else's.
    fn leave(&mut self, slot: &mut Slot) {
        if slot.phase == Phase::Replanning {
            // Begun before the restart, and nobody here knows it any more.
            return slot.decline("no handler for this operation after the restart");
        }
        slot.step(Event::Left);
        slot.timers[at::STORE] = Timer::NOW;
        slot.work.ended = Some(Ending::Left);
        self.queue.leave(slot);
        // A foreign head hides what is behind it: look at the list.
        self.queue.timers[when::LIST] = Timer::NOW;
        self.queue.more = false;
    }
}
