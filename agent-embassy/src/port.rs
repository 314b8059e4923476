//! What a running handler may ask of the agent: each word goes straight into the core.

use core::{
    future::poll_fn,
    task::{Context, Poll},
};

use jobs_agent_core::{Attempt, Checkpoint, JobPort, Progress, StopReason, Stopped};

use crate::{
    clock,
    desk::{Desk, Order, Place},
};

/// The port of one run.
pub(crate) struct Port<'d, 'c, P, const JOBS: usize> {
    pub(crate) desk: &'d Desk<'c, P, JOBS>,
    pub(crate) place: &'d Place<P>,
    pub(crate) slot: u8,
    pub(crate) order: &'d Order,
}

impl<P, const JOBS: usize> Port<'_, '_, P, JOBS> {
    #[inline(never)]
    fn poll_saved(&self, cx: &Context<'_>) -> Poll<Result<(), Stopped>> {
        if self.place.saved.get() {
            return Poll::Ready(Ok(()));
        }
        if let Some(reason) = self.place.stop.get() {
            return Poll::Ready(Err(Stopped(reason)));
        }
        self.place.handler.register(cx);
        Poll::Pending
    }

    /// Hands a checkpoint to the core.
    #[inline(never)]
    fn keep(&self, checkpoint: &Checkpoint) {
        // Whatever an abandoned call waited for does not answer this one.
        self.place.saved.set(false);
        let (slot, run) = (self.slot, self.order.run);
        let asked = self
            .desk
            .core(|core, now| core.handle_checkpoint(now, slot, run, checkpoint));
        if asked.is_err() {
            self.place.stop(run, StopReason::Over);
        }
        self.desk.ring();
    }

    #[inline(never)]
    fn poll_stopped(&self, cx: &Context<'_>) -> Poll<StopReason> {
        if let Some(reason) = self.place.stop.get() {
            return Poll::Ready(reason);
        }
        self.place.handler.register(cx);
        Poll::Pending
    }
}

impl<P, const JOBS: usize> JobPort for Port<'_, '_, P, JOBS> {
    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Stopped> {
        self.keep(&checkpoint);
        poll_fn(|cx| self.poll_saved(cx)).await
    }

    fn report(&mut self, progress: Progress) {
        let (slot, run) = (self.slot, self.order.run);
        self.desk
            .core(|core, _| core.handle_progress(slot, run, &progress));
        self.desk.ring();
    }

    fn stop_requested(&self) -> Option<StopReason> {
        self.place.stop.get()
    }

    async fn stopped(&mut self) -> StopReason {
        poll_fn(|cx| self.poll_stopped(cx)).await
    }

    fn deadline_ms(&self) -> Option<u64> {
        self.order.deadline.map(|at| clock::now().until(at))
    }

    fn attempt(&self) -> Attempt {
        self.order.attempt
    }

    fn job_id(&self) -> &str {
        &self.order.job_id
    }
}
