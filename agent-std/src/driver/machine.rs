//! The core behind a trait object: one driver in a program, however many numbers of slots it has.
//!
//! Each number of slots is a type of its own in the core. Were it one in the driver, too, a program
//! that lets its user choose would carry the driver once for each.

use jobs_agent_core::{
    Agent as Core, Boot, Checkpoint, Completion, Config, Handled, Millis, OperationTag, Outcome,
    Output, Progress, Receipt, RecordError, Refusal, RunId, RunPolicy, Scratch, Stale, Ticket,
};

/// Makes a core of some number of slots.
pub(crate) type Make = for<'c> fn(&'c Config<'c>, Boot) -> Box<dyn Machine + 'c>;

/// A core with this many slots, on the heap: about 9 KiB for each are too much for futures. Called
/// through a pointer, so that its frame is on the stack for that long only.
pub(crate) fn make<'c, const JOBS: usize>(
    config: &'c Config<'c>,
    boot: Boot,
) -> Box<dyn Machine + 'c> {
    Box::new(Core::<JOBS>::new(config, boot))
}

/// What the driver asks of a core; each method is the core's of the same name.
pub(crate) trait Machine: Send {
    /// How many slots it has.
    fn jobs(&self) -> usize;
    fn restore(&mut self, slot: u8, record: &[u8]) -> Result<(), RecordError>;
    fn poll<'s>(&mut self, now: Millis, scratch: &'s mut Scratch) -> Output<'s>;
    fn handle_connected(&mut self, now: Millis);
    fn handle_disconnected(&mut self, now: Millis);
    fn handle_done(&mut self, now: Millis, receipt: Receipt, completion: Completion);
    fn handle_publish<'b>(&mut self, now: Millis, topic: &'b str, payload: &'b [u8])
    -> Handled<'b>;
    fn handle_plan(
        &mut self,
        now: Millis,
        ticket: Ticket,
        verdict: Result<(OperationTag, RunPolicy), Refusal>,
    );
    fn handle_checkpoint(
        &mut self,
        now: Millis,
        slot: u8,
        run: RunId,
        checkpoint: &Checkpoint,
    ) -> Result<(), Stale>;
    fn handle_progress(&mut self, slot: u8, run: RunId, progress: &Progress);
    fn handle_outcome(&mut self, now: Millis, slot: u8, run: RunId, outcome: &Outcome);
    fn handle_aborted(&mut self, now: Millis, slot: u8, run: RunId, reason: &str);
}

impl<const JOBS: usize> Machine for Core<'_, JOBS> {
    fn jobs(&self) -> usize {
        JOBS
    }

    fn restore(&mut self, slot: u8, record: &[u8]) -> Result<(), RecordError> {
        self.restore(slot, record)
    }

    fn poll<'s>(&mut self, now: Millis, scratch: &'s mut Scratch) -> Output<'s> {
        self.poll(now, scratch)
    }

    fn handle_connected(&mut self, now: Millis) {
        self.handle_connected(now);
    }

    fn handle_disconnected(&mut self, now: Millis) {
        self.handle_disconnected(now);
    }

    fn handle_done(&mut self, now: Millis, receipt: Receipt, completion: Completion) {
        self.handle_done(now, receipt, completion);
    }

    fn handle_publish<'b>(
        &mut self,
        now: Millis,
        topic: &'b str,
        payload: &'b [u8],
    ) -> Handled<'b> {
        self.handle_publish(now, topic, payload)
    }

    fn handle_plan(
        &mut self,
        now: Millis,
        ticket: Ticket,
        verdict: Result<(OperationTag, RunPolicy), Refusal>,
    ) {
        self.handle_plan(now, ticket, verdict);
    }

    fn handle_checkpoint(
        &mut self,
        now: Millis,
        slot: u8,
        run: RunId,
        checkpoint: &Checkpoint,
    ) -> Result<(), Stale> {
        self.handle_checkpoint(now, slot, run, checkpoint)
    }

    fn handle_progress(&mut self, slot: u8, run: RunId, progress: &Progress) {
        self.handle_progress(slot, run, progress);
    }

    fn handle_outcome(&mut self, now: Millis, slot: u8, run: RunId, outcome: &Outcome) {
        self.handle_outcome(now, slot, run, outcome);
    }

    fn handle_aborted(&mut self, now: Millis, slot: u8, run: RunId, reason: &str) {
        self.handle_aborted(now, slot, run, reason);
    }
}
