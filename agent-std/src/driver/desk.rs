//! The handlers at work: one place for each slot, with the plan that waits and the run that is on.
//!
//! A handler is code of somebody else: whatever it panics in (deciding, working, being dropped)
//! must not take the agent down.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use jobs_agent_core::{
    Checkpoint, JobHandler, Millis, Offer, OperationTag, Outcome, Progress, Reason, Refusal, RunId,
    RunPermit, RunPolicy, Start, StopReason,
};
use tracing::{Span, info_span};

use super::clock::Clock;
use super::port::{Mailbox, Port};
use crate::redact::redact;

/// What a handler is to do.
pub(super) enum Work<P> {
    /// Begin.
    Fresh(P),
    /// Go on; boxed because a checkpoint holds 4 KiB.
    Resume(OperationTag, Box<Checkpoint>, Option<P>),
}

/// Does it. A function of its own, so that all runs of an agent have one nameless type.
pub(super) async fn perform<H: JobHandler>(
    handlers: Arc<H>,
    work: Work<H::Plan>,
    mut port: Port,
) -> Outcome {
    match work {
        Work::Fresh(plan) => handlers.run(plan, &mut port).await,
        Work::Resume(tag, from, plan) => handlers.resume(tag, &from, plan, &mut port).await,
    }
}

/// A word of a running handler.
#[derive(Debug)]
pub(super) enum Word {
    Checkpoint(Box<Checkpoint>),
    Progress(Progress),
    Ended(Box<Outcome>),
    Panicked(String),
}

struct Running<F> {
    run: RunId,
    mailbox: Arc<Mailbox>,
    future: Pin<Box<F>>,
    span: Span,
    drop_at: Option<Millis>,
}

struct Place<P, F> {
    plan: Option<P>,
    running: Option<Running<F>>,
}

/// All places. `begin` is [`perform`]: given as a value, because its future has no name.
pub(super) struct Desk<H: JobHandler, B, F> {
    handlers: Arc<H>,
    begin: B,
    places: Vec<Place<H::Plan, F>>,
    /// Where polling starts, so that a talkative handler cannot starve the others.
    first: usize,
}

impl<H, B, F> Desk<H, B, F>
where
    H: JobHandler,
    B: Fn(Arc<H>, Work<H::Plan>, Port) -> F,
    F: Future<Output = Outcome>,
{
    pub(super) fn new(handlers: H, begin: B, slots: usize) -> Self {
        let empty = || Place {
            plan: None,
            running: None,
        };
        Self {
            handlers: Arc::new(handlers),
            begin,
            places: std::iter::repeat_with(empty).take(slots).collect(),
            first: 0,
        }
    }

    /// Lets the handlers decide on an offer; the plan is kept for the run of its slot.
    pub(super) fn decide(
        &mut self,
        slot: u8,
        offer: &Offer<'_>,
    ) -> Result<(OperationTag, RunPolicy), Refusal> {
        let handlers = &self.handlers;
        let planned = catch_unwind(AssertUnwindSafe(|| {
            let (tag, plan) = handlers.plan(offer)?;
            Ok((tag, handlers.policy(tag, &plan), plan))
        }));
        let planned = planned.unwrap_or_else(|panic| {
            let text = format!("handler panicked while deciding: {}", message(&*panic));
            Err(Refusal::Reject(Reason::new(&text)))
        });
        let place = self.places.get_mut(usize::from(slot));
        let (verdict, plan) = match planned {
            Ok((tag, policy, plan)) => (Ok((tag, policy)), Some(plan)),
            Err(refusal) => (Err(refusal), None),
        };
        if let Some(place) = place {
            place.plan = plan;
        }
        verdict
    }

    /// Starts the run that the permit allows.
    ///
    /// # Errors
    /// The run, when there is no plan for it: then it has to be reported as failed.
    pub(super) fn start(&mut self, permit: RunPermit<'_>, clock: &Clock) -> Result<(), RunId> {
        let (slot, run, tag) = (usize::from(permit.slot()), permit.run(), permit.tag());
        let span = info_span!(
            "job",
            job_id = permit.job_id().as_str(),
            execution_number = permit.execution_number(),
            attempt = permit.attempt().number,
        );
        let mailbox = Arc::new(Mailbox::default());
        let port = Port {
            mailbox: Arc::clone(&mailbox),
            job_id: permit.job_id().as_str().to_owned(),
            attempt: permit.attempt(),
            deadline: permit.deadline().and_then(|at| clock.instant(at)),
        };
        let Some(place) = self.places.get_mut(slot) else {
            return Err(run);
        };
        let work = match permit.into_start() {
            Start::Fresh => Work::Fresh(place.plan.take().ok_or(run)?),
            Start::Resume(from) => {
                let plan = place.plan.take().filter(|_| from.needs_document());
                Work::Resume(tag, Box::new(from), plan)
            }
        };
        span.in_scope(|| {
            let resumed = matches!(work, Work::Resume(..));
            tracing::info!(resumed, "handler starts");
        });
        discard(place.running.take());
        place.running = Some(Running {
            run,
            mailbox,
            future: Box::pin((self.begin)(Arc::clone(&self.handlers), work, port)),
            span,
            drop_at: None,
        });
        Ok(())
    }

    fn running(&mut self, slot: u8, run: RunId) -> Option<&mut Running<F>> {
        let running = self.places.get_mut(usize::from(slot))?.running.as_mut()?;
        (running.run == run).then_some(running)
    }

    /// The checkpoint that the handler waits for is durable.
    pub(super) fn saved(&mut self, slot: u8, run: RunId) {
        if let Some(running) = self.running(slot, run) {
            running.mailbox.saved();
        }
    }

    /// Tells the handler to stop; from `drop_at` on it is overdue.
    pub(super) fn stop(&mut self, slot: u8, run: RunId, reason: StopReason, drop_at: Millis) {
        if let Some(running) = self.running(slot, run) {
            running
                .span
                .in_scope(|| tracing::info!(?reason, "handler is told to stop"));
            running.mailbox.stop(reason);
            running.drop_at.get_or_insert(drop_at);
        }
    }

    /// When the next handler becomes overdue.
    pub(super) fn next_overdue(&self) -> Option<Millis> {
        let running = self
            .places
            .iter()
            .filter_map(|place| place.running.as_ref());
        running.filter_map(|running| running.drop_at).min()
    }

    /// Drops one handler that did not stop in time.
    pub(super) fn drop_overdue(&mut self, now: Millis) -> Option<(u8, RunId)> {
        let overdue = |running: &mut Running<F>| running.drop_at.is_some_and(|at| at <= now);
        for (slot, place) in self.places.iter_mut().enumerate() {
            if let Some(running) = place.running.take_if(overdue) {
                running
                    .span
                    .in_scope(|| tracing::warn!("handler did not stop and is dropped"));
                let run = running.run;
                discard(Some(running));
                return Some((slot_u8(slot), run));
            }
        }
        None
    }

    /// Polls the handlers until one has something to say.
    pub(super) fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<(u8, RunId, Word)> {
        let count = self.places.len().max(1);
        for step in 0..count {
            let slot = (self.first + step) % count;
            let Some(place) = self.places.get_mut(slot) else {
                continue;
            };
            let Some(running) = place.running.as_mut() else {
                continue;
            };
            let Some(word) = running.poll(cx) else {
                continue;
            };
            let run = running.run;
            if matches!(word, Word::Ended(_) | Word::Panicked(_)) {
                discard(place.running.take());
            }
            self.first = slot + 1;
            return Poll::Ready((slot_u8(slot), run, word));
        }
        Poll::Pending
    }

    /// Drops every handler, as a power cut would: each must be able to go on later.
    pub(super) fn clear(&mut self) {
        for place in &mut self.places {
            place.plan = None;
            discard(place.running.take());
        }
    }
}

impl<F: Future<Output = Outcome>> Running<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Word> {
        // What was left over from the last poll comes first.
        if let Some(word) = self.left() {
            return Some(word);
        }
        let (span, future) = (&self.span, self.future.as_mut());
        let polled = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| future.poll(cx))));
        match polled {
            Ok(Poll::Ready(outcome)) => Some(Word::Ended(Box::new(outcome))),
            Ok(Poll::Pending) => self.left(),
            Err(panic) => Some(Word::Panicked(message(&*panic))),
        }
    }

    fn left(&self) -> Option<Word> {
        let checkpoint = self.mailbox.take_checkpoint();
        if let Some(checkpoint) = checkpoint {
            return Some(Word::Checkpoint(Box::new(checkpoint)));
        }
        self.mailbox.take_progress().map(Word::Progress)
    }
}

fn discard<F>(running: Option<Running<F>>) {
    let Some(running) = running else { return };
    let span = running.span.clone();
    let dropped = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| drop(running))));
    if let Err(panic) = dropped {
        span.in_scope(|| tracing::error!(panic = %message(&*panic), "handler panicked in a drop"));
    }
}

/// Slots are counted by the core, which has at most 32.
fn slot_u8(slot: usize) -> u8 {
    u8::try_from(slot).unwrap_or(u8::MAX)
}

/// What a panic said, fit for a log and for the service.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    redact(text).into_owned()
}
