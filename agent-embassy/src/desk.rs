//! The core and its handlers at work, shared between the futures of one task.
//!
//! Everything here runs in one task: a word of a handler goes straight into the core, without a
//! mailbox, and rings the bell for the driver.

use core::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    task::{Context, Poll, Waker},
};

use embassy_futures::select::{Either, select};
use heapless::String;
use jobs_agent_core::{
    Agent as Core, Attempt, JobHandler, Millis, Offer, OperationTag, Outcome, Refusal, RunId,
    RunPermit, RunPolicy, Start, StopReason,
};
use jobs_proto::limits::JOB_ID_LEN_MAX;

use crate::{clock, port::Port};

/// How long a handler may take to end after it was told to stop, milliseconds, before it is
/// dropped: enough to finish a flash page and a request, and short for whoever waits.
pub(crate) const STOP_GRACE_MS: u64 = 10_000;

/// A place for the waker of one waiting future.
#[derive(Default)]
pub(crate) struct WakerCell(Cell<Option<Waker>>);

impl WakerCell {
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.0.set(Some(cx.waker().clone()));
    }

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
    tag: OperationTag,
    start: Start,
}

/// One slot: the plan that waits, the run that is ordered, and what its handler is told.
pub(crate) struct Place<P> {
    plan: Cell<Option<P>>,
    /// The run that is on, or is to begin. Its worker borrows it for as long as it works, so that
    /// the checkpoint in it exists once.
    order: RefCell<Option<Order>>,
    ordered: Cell<bool>,
    run: Cell<Option<RunId>>,
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
            plan: Cell::new(None),
            order: RefCell::new(None),
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

    /// Hands a run to the worker; `false` if an earlier one is still on, which the core rules out.
    fn order(&self, order: Order) -> bool {
        let Ok(mut place) = self.order.try_borrow_mut() else {
            return false;
        };
        self.run.set(Some(order.run));
        *place = Some(order);
        self.saved.set(false);
        self.stop.set(None);
        self.ordered.set(true);
        self.worker.wake();
        true
    }

    fn poll_order(&self, cx: &Context<'_>) -> Poll<()> {
        if self.ordered.take() {
            return Poll::Ready(());
        }
        self.worker.register(cx);
        Poll::Pending
    }

    fn poll_stop(&self, cx: &Context<'_>) -> Poll<()> {
        if self.stop.get().is_some() {
            return Poll::Ready(());
        }
        self.worker.register(cx);
        Poll::Pending
    }

    /// Resolves when the handler was told to stop and has had its grace time.
    async fn overdue(&self) {
        poll_fn(|cx| self.poll_stop(cx)).await;
        clock::until(Some(self.drop_at.get())).await;
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

    /// Lets `act` at the core. The borrow ends before anything else runs: `act` is always a call
    /// into the core, which calls nobody back.
    pub(crate) fn core<R>(&self, act: impl FnOnce(&mut Core<'c, JOBS>) -> R) -> R {
        act(&mut self.core.borrow_mut())
    }

    /// As [`core`](Self::core), for a word of a handler: the driver looks afterwards.
    pub(crate) fn word<R>(&self, act: impl FnOnce(&mut Core<'c, JOBS>) -> R) -> R {
        let said = self.core(act);
        self.rung.set(true);
        self.driver.wake();
        said
    }

    /// Waits until a handler has said something.
    pub(crate) fn rung(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            if self.rung.take() {
                return Poll::Ready(());
            }
            self.driver.register(cx);
            Poll::Pending
        })
    }

    fn place(&self, slot: u8) -> Option<&Place<P>> {
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
    pub(crate) fn decide<H: JobHandler<Plan = P>>(
        &self,
        handlers: &H,
        slot: u8,
        offer: &Offer<'_>,
    ) -> Result<(OperationTag, RunPolicy), Refusal> {
        let planned = handlers.plan(offer);
        let place = self.place(slot);
        match planned {
            Ok((tag, plan)) => {
                let policy = handlers.policy(tag, &plan);
                if let Some(place) = place {
                    place.plan.set(Some(plan));
                }
                Ok((tag, policy))
            }
            Err(refusal) => {
                if let Some(place) = place {
                    place.plan.set(None);
                }
                Err(refusal)
            }
        }
    }

    /// Hands the run that the permit allows to the worker of its slot. Without a plan for it, it
    /// is reported as failed.
    pub(crate) fn start(&self, permit: RunPermit<'_>) {
        let (slot, run) = (permit.slot(), permit.run());
        let Some(place) = self.place(slot) else {
            return;
        };
        let mut job_id = String::new();
        // Same capacity as the longest job id.
        let _ = job_id.push_str(permit.job_id().as_str());
        let (attempt, deadline, tag) = (permit.attempt(), permit.deadline(), permit.tag());
        info!(
            "{}: handler starts, attempt {}",
            job_id.as_str(),
            attempt.number
        );
        let start = permit.into_start();
        let plan = place.plan.take().filter(|_| match &start {
            Start::Fresh => true,
            Start::Resume(from) => from.needs_document(),
        });
        let planned = plan.is_some() || start != Start::Fresh;
        place.plan.set(plan);
        let order = Order {
            run,
            job_id,
            attempt,
            deadline,
            tag,
            start,
        };
        if !planned || !place.order(order) {
            error!("slot {}: no plan for this run", slot);
            let now = clock::now();
            self.core(|core| core.handle_aborted(now, slot, run, "the agent lost its plan"));
        }
    }
}

/// Does the runs of one slot, one after another, for ever.
pub(crate) async fn work<H: JobHandler, const JOBS: usize>(
    handlers: &H,
    desk: &Desk<'_, H::Plan, JOBS>,
    index: usize,
) -> core::convert::Infallible {
    let (Some(place), Ok(slot)) = (desk.places.get(index), u8::try_from(index)) else {
        // The index counts the places.
        return core::future::pending().await;
    };
    loop {
        poll_fn(|cx| place.poll_order(cx)).await;
        let ended = select(perform(handlers, desk, place, slot), place.overdue()).await;
        let Some(run) = place.run.take() else {
            continue;
        };
        let now = clock::now();
        match ended {
            Either::First(outcome) => {
                desk.word(|core| core.handle_outcome(now, slot, run, &outcome));
            }
            Either::Second(()) => {
                warn!("handler in slot {} did not stop and is dropped", slot);
                desk.word(|core| {
                    core.handle_aborted(now, slot, run, "handler did not stop in time");
                });
            }
        }
    }
}

/// One run.
#[expect(
    clippy::await_holding_refcell_ref,
    reason = "the next order for this slot comes only when this run has ended"
)]
async fn perform<H: JobHandler, const JOBS: usize>(
    handlers: &H,
    desk: &Desk<'_, H::Plan, JOBS>,
    place: &Place<H::Plan>,
    slot: u8,
) -> Outcome {
    let held = place.order.borrow();
    let Some(order) = held.as_ref() else {
        return Outcome::failed("the agent lost its order");
    };
    let mut port = Port {
        desk,
        place,
        slot,
        order,
    };
    match (&order.start, place.plan.take()) {
        (Start::Resume(from), plan) => handlers.resume(order.tag, from, plan, &mut port).await,
        (Start::Fresh, Some(plan)) => handlers.run(plan, &mut port).await,
        // Not ordered without a plan.
        (Start::Fresh, None) => Outcome::failed("the agent lost its plan"),
    }
}
