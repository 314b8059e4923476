//! What happens around the core, handed to it.

use std::future::Future;
use std::sync::Arc;

use jobs_agent_core::{Completion, Handled, JobHandler, Outcome, Receipt, RunId, StopReason};
use tracing::{debug, error, info};

use super::Driver;
use super::desk::{Word, Work};
use super::port::Port;
use crate::agent::AgentError;
use crate::happening::Happening;
use crate::link::{Link, LinkError, LinkEvent, SendId};
use crate::redact::redact;
use crate::store::StoreError;

impl<H, B, F, L> Driver<'_, H, B, F, L>
where
    H: JobHandler,
    B: Fn(Arc<H>, Work<H::Plan>, Port) -> F,
    F: Future<Output = Outcome>,
    L: Link,
{
    pub(super) fn on_link(&mut self, event: LinkEvent) {
        let now = self.clock.now();
        match event {
            LinkEvent::Connected { session_present } => {
                debug!(session_present, "connected");
                self.around.metrics.connected();
                self.around.tell(&Happening::Connected { session_present });
                self.core.handle_connected(now);
            }
            LinkEvent::Disconnected { why, permanent } => {
                let why_told = Happening::Disconnected {
                    why: &why,
                    permanent,
                };
                self.around.tell(&why_told);
                // The link logs every attempt itself.
                if matches!(why, LinkError::Kicked { .. }) {
                    self.around.metrics.kicked();
                }
                if permanent {
                    error!(%why, "disconnected: somebody has to look at this");
                } else {
                    debug!(%why, "disconnected");
                }
                self.sends.clear();
                self.subscribe = None;
                self.core.handle_disconnected(now);
            }
            LinkEvent::Message { topic, payload } => self.on_message(&topic, &payload),
            LinkEvent::Acked(id) => self.settled(id, Completion::Done),
            LinkEvent::Lost(id) => self.settled(id, Completion::Failed),
            LinkEvent::SubAck { id, granted } => self.on_suback(id, &granted),
        }
    }

    fn settled(&mut self, id: SendId, completion: Completion) {
        let subscribe = self.subscribe.take_if(|subscribe| subscribe.id == id);
        let receipt = match subscribe {
            Some(subscribe) => Some(subscribe.receipt),
            None => self.sends.remove(&id),
        };
        if let Some(receipt) = receipt {
            self.done(receipt, completion);
        }
    }

    fn on_suback(&mut self, id: SendId, granted: &[bool]) {
        let Some(subscribe) = self.subscribe.take_if(|subscribe| subscribe.id == id) else {
            return;
        };
        let mut completion = Completion::Done;
        for (index, filter) in subscribe.filters.iter().enumerate() {
            // A broker that answers for fewer filters than asked has not granted the others.
            if granted.get(index) != Some(&true) {
                completion = Completion::Failed;
                error!(
                    filter,
                    "the broker refused a subscription: without it no job is noticed. Check the \
                     IoT policy: iot:Subscribe on topicfilter/{filter}, and iot:Receive on topic/…"
                );
            }
        }
        self.done(subscribe.receipt, completion);
    }

    fn on_message(&mut self, topic: &str, payload: &[u8]) {
        let now = self.clock.now();
        match self.core.handle_publish(now, topic, payload) {
            Handled::Taken => {}
            Handled::Ignored(reason) => {
                self.around.metrics.ignored();
                debug!(topic, ?reason, "message ignored");
                self.around.tell(&Happening::Ignored {
                    topic,
                    payload,
                    reason,
                });
            }
            Handled::Offer(ticket, offer) => {
                let verdict = self.desk.decide(ticket.slot(), &offer);
                let job_id = offer.job_id.as_str();
                self.around.tell(&Happening::Decided {
                    job_id,
                    execution_number: offer.execution_number,
                    resuming: offer.resuming,
                    refusal: verdict.as_ref().err(),
                });
                match &verdict {
                    Ok(_) => info!(job_id, resuming = offer.resuming, "job accepted"),
                    // A refusal's reason can quote the document.
                    Err(refusal) => {
                        let reason = format!("{refusal:?}");
                        info!(job_id, refusal = %redact(&reason), "job not taken");
                    }
                }
                self.core.handle_plan(now, ticket, verdict);
            }
        }
    }

    pub(super) fn on_written(
        &mut self,
        receipt: Receipt,
        result: Result<(), StoreError>,
    ) -> Result<(), AgentError> {
        match result {
            Ok(()) => self.done(receipt, Completion::Done),
            // Its thread is gone: nothing can be promised from here on.
            Err(error @ StoreError::Closed) => return Err(error.into()),
            Err(error) => {
                error!(%error, "a job record could not be written; trying again");
                self.around.metrics.store_failed();
                self.done(receipt, Completion::Failed);
            }
        }
        Ok(())
    }

    pub(super) fn on_word(&mut self, slot: u8, run: RunId, word: Word) {
        let now = self.clock.now();
        match word {
            Word::Checkpoint(checkpoint) => {
                if self
                    .core
                    .handle_checkpoint(now, slot, run, &checkpoint)
                    .is_err()
                {
                    let drop_at = now.plus(self.around.stop_grace_ms);
                    self.desk.stop(slot, run, StopReason::Over, drop_at);
                }
            }
            Word::Progress(progress) => self.core.handle_progress(slot, run, &progress),
            Word::Ended(outcome) => self.core.handle_outcome(now, slot, run, &outcome),
            Word::Panicked(text) => {
                error!(slot, panic = %text, "handler panicked");
                self.around.metrics.panicked();
                let reason = format!("handler panicked: {text}");
                self.core.handle_aborted(now, slot, run, &reason);
            }
        }
    }
}
