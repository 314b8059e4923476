//! Runs of handlers, one after another in each slot.

use core::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use jobs_agent_core::{JobHandler, Outcome, RunId, Start};

use crate::{
    apart, clock,
    desk::{Desk, Place},
    port::Port,
};

/// Does the runs of one slot, for ever.
pub(crate) async fn work<H: JobHandler, const JOBS: usize>(
    handlers: &H,
    desk: &Desk<'_, H::Plan, JOBS>,
    slot: u8,
) -> Infallible {
    let Some(place) = desk.place(slot) else {
        // Each slot has a place.
        return core::future::pending().await;
    };
    loop {
        poll_fn(|cx| place.poll_order(cx)).await;
        let Some(run) = place.run.get() else {
            continue;
        };
        let ended = {
            let mut performed = pin!(perform(handlers, desk, place, slot, run));
            let mut patience = None;
            poll_fn(|cx| {
                if apart::poll(performed.as_mut(), cx).is_ready() {
                    return Poll::Ready(true);
                }
                let timer = match &mut patience {
                    Some(timer) => timer,
                    None => match place.poll_stop(cx) {
                        Poll::Ready(drop_at) => patience.insert(clock::timer(Some(drop_at))),
                        Poll::Pending => return Poll::Pending,
                    },
                };
                core::pin::Pin::new(timer).poll(cx).map(|()| false)
            })
            .await
        };
        if !ended {
            warn!("handler in slot {} did not stop and is dropped", slot);
            desk.abort(slot, run, "handler did not stop in time");
        }
        place.run.set(None);
    }
}

/// One run, and its outcome.
#[expect(
    clippy::await_holding_refcell_ref,
    reason = "the next order for this slot comes only when this run has ended"
)]
async fn perform<H: JobHandler, const JOBS: usize>(
    handlers: &H,
    desk: &Desk<'_, H::Plan, JOBS>,
    place: &Place<H::Plan>,
    slot: u8,
    run: RunId,
) {
    let order = &*place.order.borrow();
    let mut port = Port {
        desk,
        place,
        slot,
        order,
    };
    let plan = place.plan.take();
    let outcome = match (&order.start, plan) {
        (Start::Resume(from), plan) => handlers.resume(order.tag, from, plan, &mut port).await,
        (Start::Fresh, Some(plan)) => handlers.run(plan, &mut port).await,
        // Not ordered without a plan.
        (Start::Fresh, None) => Outcome::failed("the agent lost its plan"),
    };
    desk.core(|core, now| core.handle_outcome(now, slot, run, &outcome));
    desk.ring();
}
