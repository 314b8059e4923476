//! The core and its handlers at work, shared between the futures of one task.
//!
//! Everything here runs in one task: a word of a handler goes straight into the core, without a
//! mailbox, and rings the bell for the driver.

use core::{
    cell::{Cell, RefCell},
    task::{Context, Poll, Waker},
};

use heapless::String;
use jobs_agent_core::{
    Agent as Core, Attempt, Completion, JobHandler, Millis, Offer, OperationTag, Receipt, Refusal,
    RunId, RunPermit, RunPolicy, Start, StopReason,
};
use jobs_proto::limits::JOB_ID_LEN_MAX;

use crate::clock;

/// How long a handler may take to end after it was told to stop, milliseconds, before it is
/// dropped: enough to finish a flash page and a request, and short for whoever waits.
pub(crate) const STOP_GRACE_MS: u64 = 10_000;

/// A place for the waker of one waiting future.
#[derive(Default)]
pub(crate) struct WakerCell(Cell<Option<Waker>>);

impl WakerCell {
    #[inline(never)]
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.0.set(Some(cx.waker().clone()));
    }

    #[inline(never)]
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// A run that may begin.
pub(crate) struct Order {
    pub(crate) run: RunId,
    pub(crate) job_id: String<JOB_ID_LEN_MAX>,
    pub(crate) attempt: Attempt,
    pub(crate) deadline: Option<Millis>,
    pub(crate) tag: OperationTag,
    pub(crate) start: Start,
}

/// One slot: the plan that waits, the run that is ordered, and what its handler is told.
pub(crate) struct Place<P> {
    pub(crate) plan: RefCell<Option<P>>,
    /// The run that is on, or is to begin. Its worker borrows it for as long as it works, so that
    /// the checkpoint in it exists once.
    pub(crate) order: RefCell<Order>,
    ordered: Cell<bool>,
    pub(crate) run: Cell<Option<RunId>>,
    pub(crate) saved: Cell<bool>,
    pub(crate) stop: Cell<Option<StopReason>>,
    drop_at: Cell<Millis>,
    /// Wakes the worker of this slot.
    worker: WakerCell,
    /// Wakes what the handler waits for, which may have a waker of its own.
    pub(crate) handler: WakerCell,
}

impl<P> Default for Place<P> {
    fn default() -> Self {
        Self {
            plan: RefCell::new(None),
            order: RefCell::new(Order {
                run: RunId::default(),
                job_id: String::new(),
                attempt: Attempt { number: 0, last: 0 },
                deadline: None,
                tag: OperationTag::default(),
                start: Start::Fresh,
            }),
            ordered: Cell::new(false),
            run: Cell::new(None),
            saved: Cell::new(false),
            stop: Cell::new(None),
            drop_at: Cell::new(Millis(0)),
            worker: WakerCell::default(),
            handler: WakerCell::default(),
        }
    }
}

impl<P> Place<P> {
    /// Tells the handler of `run` to stop; the first reason counts, and the grace time begins.
    #[inline(never)]
    pub(crate) fn stop(&self, run: RunId, reason: StopReason) {
        if self.run.get() != Some(run) || self.stop.get().is_some() {
            return;
        }
        self.stop.set(Some(reason));
        self.drop_at.set(clock::now().plus(STOP_GRACE_MS));
        self.handler.wake();
        self.worker.wake();
    }

    fn saved(&self, run: RunId) {
        if self.run.get() == Some(run) {
            self.saved.set(true);
            self.handler.wake();
        }
    }

    /// Writes a run down for the worker. `false` if there is no plan for it, or an earlier run is
    /// still on, which the core rules out.
    fn order(&self, permit: RunPermit<'_>) -> bool {
        let Ok(mut order) = self.order.try_borrow_mut() else {
            return false;
        };
        order.run = permit.run();
        order.job_id.clear();
        // Same capacity as the longest job id.
        let _ = order.job_id.push_str(permit.job_id().as_str());
        order.attempt = permit.attempt();
        order.deadline = permit.deadline();
        order.tag = permit.tag();
        order.start = permit.into_start();
        let mut plan = self.plan.borrow_mut();
        match &order.start {
            Start::Fresh => return plan.is_some(),
            Start::Resume(from) if from.needs_document() => {}
            Start::Resume(_) => *plan = None,
        }
        true
    }

    /// Ready when a run may begin.
    pub(crate) fn poll_order(&self, cx: &Context<'_>) -> Poll<()> {
        if self.ordered.take() {
            return Poll::Ready(());
        }
        self.worker.register(cx);
        Poll::Pending
    }

    /// Ready when the handler was told to stop; with the end of its grace time.
    pub(crate) fn poll_stop(&self, cx: &Context<'_>) -> Poll<Millis> {
        if self.stop.get().is_some() {
            return Poll::Ready(self.drop_at.get());
        }
        self.worker.register(cx);
        Poll::Pending
    }
}

/// The core, and a place for each of its slots.
pub(crate) struct Desk<'c, P, const JOBS: usize> {
    core: RefCell<Core<'c, JOBS>>,
    places: [Place<P>; JOBS],
    /// Rung by a word of a handler: the driver has to look.
    rung: Cell<bool>,
    driver: WakerCell,
}

impl<'c, P, const JOBS: usize> Desk<'c, P, JOBS> {
    pub(crate) fn new(core: Core<'c, JOBS>) -> Self {
        Self {
            core: RefCell::new(core),
            places: core::array::from_fn(|_| Place::default()),
            rung: Cell::new(false),
            driver: WakerCell::default(),
        }
    }

    /// Lets `act` at the core, with the time. The borrow ends before anything else runs: `act` is
    /// always a call into the core, which calls nobody back.
    pub(crate) fn core<R>(&self, act: impl FnOnce(&mut Core<'c, JOBS>, Millis) -> R) -> R {
        act(&mut self.core.borrow_mut(), clock::now())
    }

    /// Tells the driver that a handler has said something: it looks afterwards.
    pub(crate) fn ring(&self) {
        self.rung.set(true);
        self.driver.wake();
    }

    /// Whether a handler has said something; if not, the bell will wake this task.
    pub(crate) fn is_rung(&self, cx: &Context<'_>) -> bool {
        let is_rung = self.rung.take();
        if !is_rung {
            self.driver.register(cx);
        }
        is_rung
    }

    /// Hands a receipt back.
    #[inline(never)]
    pub(crate) fn done(&self, receipt: Receipt, is_done: bool) {
        let completion = if is_done {
            Completion::Done
        } else {
            Completion::Failed
        };
        self.core(|core, now| core.handle_done(now, receipt, completion));
    }

    /// Ends a run without an outcome of its handler.
    #[inline(never)]
    pub(crate) fn abort(&self, slot: u8, run: RunId, reason: &str) {
        self.core(|core, now| core.handle_aborted(now, slot, run, reason));
        self.ring();
    }

    pub(crate) fn place(&self, slot: u8) -> Option<&Place<P>> {
        self.places.get(usize::from(slot))
    }

    pub(crate) fn saved(&self, slot: u8, run: RunId) {
        if let Some(place) = self.place(slot) {
            place.saved(run);
        }
    }

    pub(crate) fn stop(&self, slot: u8, run: RunId, reason: StopReason) {
        if let Some(place) = self.place(slot) {
            place.stop(run, reason);
        }
    }

    /// Lets the handlers decide on an offer; the plan is kept for the run of its slot.
    #[inline(never)]
    pub(crate) fn decide<H: JobHandler<Plan = P>>(
        &self,
        handlers: &H,
        slot: u8,
        offer: &Offer<'_>,
    ) -> Result<(OperationTag, RunPolicy), Refusal> {
        let place = self.place(slot);
        if let Some(place) = place {
            *place.plan.borrow_mut() = None;
        }
        let (tag, plan) = plan(handlers, offer)?;
        let policy = handlers.policy(tag, &plan);
        if let Some(place) = place {
            *place.plan.borrow_mut() = Some(plan);
        }
        Ok((tag, policy))
    }

    /// Hands the run that the permit allows to the worker of its slot. Without a plan for it, it
    /// is reported as failed.
    #[inline(never)]
    pub(crate) fn start(&self, permit: RunPermit<'_>) {
        let (slot, run) = (permit.slot(), permit.run());
        let Some(place) = self.place(slot) else {
            return;
        };
        info!(
            "{}: handler starts, attempt {}",
            permit.job_id().as_str(),
            permit.attempt().number
        );
        if !place.order(permit) {
            error!("slot {}: no plan for this run", slot);
            self.abort(slot, run, "the agent lost its plan");
            return;
        }
        place.run.set(Some(run));
        place.saved.set(false);
        place.stop.set(None);
        place.ordered.set(true);
        place.worker.wake();
    }
}

/// A function of its own: inlined, each word of a plan is a variable that is copied by itself.
#[inline(never)]
fn plan<H: JobHandler>(
    handlers: &H,
    offer: &Offer<'_>,
) -> Result<(OperationTag, H::Plan), Refusal> {
    handlers.plan(offer)
}
