//! Runs the core on tokio: performs its effects, in order, and feeds it what happens.
//!
//! One task does everything: it waits for the first of a link event, a finished write, a word of a
//! handler, a deadline; hands it to the core; and drains the core's effects before it waits again.
//! Nothing about jobs is decided here.
//!
//! Decisions that the core leaves to an adapter:
//!
//! * A publish counts as done at its PUBACK and as failed when the link lost it. The core needs
//!   only the failure (a reply is what counts), so that it repeats soon instead of after a time-out.
//! * A SUBSCRIBE counts as done when every filter was granted.
//! * A reset counts as failed when the machine is still up after [`REBOOT_WAIT_MS`].

mod clock;
mod desk;
mod port;
pub(crate) mod records;
mod writes;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use jobs_agent_core::{
    Agent as Core, Boot, Completion, Config, Handled, JobHandler, Outcome, Output, Receipt, RunId,
    Scratch,
};
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

use crate::agent::AgentError;
use crate::link::{Link, LinkEvent, Qos, SendId};
use crate::metrics::Metrics;
use crate::reboot::{Reboot, RebootError};
use crate::redact::redact;
use crate::store::{AsyncStore, StoreError};
use clock::Clock;
use desk::{Desk, Word, Work};
use port::Port;
use writes::Writes;

/// How long the machine may take to go down once a reset was set going, in milliseconds: services
/// are given 90 s to stop by systemd (`DefaultTimeoutStopSec`), twice that is generous.
const REBOOT_WAIT_MS: u64 = 180_000;

/// What the driver needs besides its core, its link and its handlers.
pub(crate) struct Surroundings {
    pub(crate) reboot: Arc<dyn Reboot>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop_grace_ms: u64,
}

/// Runs an agent until `shutdown` resolves, then leaves in order.
pub(crate) async fn drive<H: JobHandler, const JOBS: usize>(
    config: &Config<'_>,
    boot: Boot,
    link: impl Link,
    store: AsyncStore,
    handlers: H,
    around: Surroundings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let mut core = Core::<JOBS>::new(config, boot);
    records::restore(&store, &mut core).await?;
    let mut driver = Driver {
        core,
        clock: Clock::start(),
        link,
        desk: Desk::new(handlers, desk::perform, JOBS),
        writes: Writes::new(store),
        sends: HashMap::new(),
        subscribe: None,
        reset: None,
        around,
    };
    let ended = driver.run(shutdown).await;
    info!("agent ends");
    driver.desk.clear();
    tokio::join!(driver.link.close(), driver.writes.close());
    ended
}

/// What the driver was waiting for.
enum Wake {
    Link(LinkEvent),
    Written(Receipt, Result<(), StoreError>),
    Word(u8, RunId, Word),
    Reset(Result<(), RebootError>),
    Time,
    Shutdown,
}

/// A SUBSCRIBE without SUBACK.
struct Subscribe {
    id: SendId,
    receipt: Receipt,
    filters: Vec<String>,
}

/// A reset that was asked for.
struct Reset {
    receipt: Receipt,
    /// Tells whether the machine goes down.
    answer: Option<oneshot::Receiver<Result<(), RebootError>>>,
    give_up_at: jobs_agent_core::Millis,
}

struct Driver<'c, H: JobHandler, B, F, L, const JOBS: usize> {
    core: Core<'c, JOBS>,
    clock: Clock,
    link: L,
    desk: Desk<H, B, F>,
    writes: Writes,
    /// Publishes without an answer; bounded by the link's own limit.
    sends: HashMap<SendId, Receipt>,
    subscribe: Option<Subscribe>,
    reset: Option<Reset>,
    around: Surroundings,
}

impl<H, B, F, L, const JOBS: usize> Driver<'_, H, B, F, L, JOBS>
where
    H: JobHandler,
    B: Fn(Arc<H>, Work<H::Plan>, Port) -> F,
    F: Future<Output = Outcome>,
    L: Link,
{
    async fn run(&mut self, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
        let mut shutdown = pin!(shutdown);
        let mut scratch = Box::new(Scratch::new());
        loop {
            let deadline = self.drain(&mut scratch);
            let wake_at = self.clock.wake_at(deadline);
            let Self {
                link,
                desk,
                writes,
                reset,
                ..
            } = self;
            // Not biased: no source can starve another.
            let wake = tokio::select! {
                () = &mut shutdown => Wake::Shutdown,
                event = link.next() => Wake::Link(event),
                (receipt, result) = poll_fn(|cx| writes.poll_done(cx)) => {
                    Wake::Written(receipt, result)
                }
                (slot, run, word) = poll_fn(|cx| desk.poll_word(cx)) => Wake::Word(slot, run, word),
                result = going_down(reset) => Wake::Reset(result),
                () = tokio::time::sleep_until(wake_at) => Wake::Time,
            };
            match wake {
                Wake::Shutdown => return Ok(()),
                Wake::Link(event) => self.on_link(event),
                Wake::Written(receipt, result) => self.on_written(receipt, result)?,
                Wake::Word(slot, run, word) => self.on_word(slot, run, word),
                Wake::Reset(result) => self.on_reset(result),
                Wake::Time => self.on_time(),
            }
        }
    }

    /// Performs effects until the core waits; returns when to look again at the latest.
    fn drain(&mut self, scratch: &mut Scratch) -> Option<jobs_agent_core::Millis> {
        loop {
            let now = self.clock.now();
            let output = self.core.poll(now, scratch);
            if let Output::Wait(until) = output {
                let reset = self.reset.as_ref().map(|reset| reset.give_up_at);
                return [until, self.desk.next_overdue(), reset]
                    .into_iter()
                    .flatten()
                    .min();
            }
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output<'_>) {
        match output {
            Output::Persist {
                receipt,
                slot,
                record,
            } => self.writes.save(receipt, slot, record.to_vec()),
            Output::Erase { receipt, slot } => self.writes.erase(receipt, slot),
            Output::Transmit {
                receipt,
                topic,
                payload,
                at_least_once,
            } => self.publish(receipt, topic, payload, at_least_once),
            Output::Subscribe { receipt, filters } => {
                self.subscribe(receipt, filters.iter().map(str::to_owned).collect());
            }
            Output::Run(permit) => {
                let slot = permit.slot();
                if let Err(run) = self.desk.start(permit, &self.clock) {
                    error!(slot, "no plan for this run: reporting the job as failed");
                    let now = self.clock.now();
                    self.core
                        .handle_aborted(now, slot, run, "the agent lost its plan");
                }
            }
            Output::Saved { slot, run } => self.desk.saved(slot, run),
            Output::Stop { slot, run, reason } => {
                let drop_at = self.clock.now().plus(self.around.stop_grace_ms);
                self.desk.stop(slot, run, reason, drop_at);
            }
            Output::Reboot(permit) => {
                let slot = permit.slot();
                info!(slot, "everything is durable: rebooting");
                self.begin_reset(permit.into_receipt());
            }
            Output::Ended {
                slot,
                job_id,
                ending,
            } => {
                info!(slot, job_id = job_id.as_str(), ?ending, "job ended");
                self.around.metrics.ended(ending);
            }
            Output::Wait(_) => {}
        }
    }

    fn publish(&mut self, receipt: Receipt, topic: &str, payload: &[u8], at_least_once: bool) {
        let qos = if at_least_once {
            Qos::AtLeastOnce
        } else {
            Qos::AtMostOnce
        };
        match self.link.publish(topic, payload, qos) {
            Ok(id) => {
                self.sends.insert(id, receipt);
            }
            Err(error) => {
                debug!(topic, %error, "publish not taken");
                self.done(receipt, Completion::Failed);
            }
        }
    }

    fn subscribe(&mut self, receipt: Receipt, filters: Vec<String>) {
        let texts: Vec<&str> = filters.iter().map(String::as_str).collect();
        match self.link.subscribe(&texts) {
            Ok(id) => {
                self.subscribe = Some(Subscribe {
                    id,
                    receipt,
                    filters,
                });
            }
            Err(error) => {
                debug!(%error, "subscribe not taken");
                self.done(receipt, Completion::Failed);
            }
        }
    }

    fn begin_reset(&mut self, receipt: Receipt) {
        let (tell, answer) = oneshot::channel();
        let how = Arc::clone(&self.around.reboot);
        tokio::task::spawn_blocking(move || {
            // Nobody listens any more if the agent was ended meanwhile.
            let _ = tell.send(how.reboot());
        });
        self.reset = Some(Reset {
            receipt,
            answer: Some(answer),
            give_up_at: self.clock.now().plus(REBOOT_WAIT_MS),
        });
    }

    fn done(&mut self, receipt: Receipt, completion: Completion) {
        self.core.handle_done(self.clock.now(), receipt, completion);
    }

    fn on_link(&mut self, event: LinkEvent) {
        let now = self.clock.now();
        match event {
            LinkEvent::Connected { session_present } => {
                info!(session_present, "connected");
                self.around.metrics.connected();
                self.core.handle_connected(now);
            }
            LinkEvent::Disconnected { why, permanent } => {
                if permanent {
                    error!(%why, "disconnected: somebody has to look at this");
                } else {
                    warn!(%why, "disconnected");
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
        let subscribed = self.subscribe.take_if(|subscribe| subscribe.id == id);
        let receipt = self.sends.remove(&id);
        if let Some(receipt) = receipt.or(subscribed.map(|subscribe| subscribe.receipt)) {
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
            }
            Handled::Offer(ticket, offer) => {
                let verdict = self.desk.decide(ticket.slot(), &offer);
                let job_id = offer.job_id.as_str();
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

    fn on_written(
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

    fn on_word(&mut self, slot: u8, run: RunId, word: Word) {
        let now = self.clock.now();
        match word {
            Word::Checkpoint(checkpoint) => {
                if self
                    .core
                    .handle_checkpoint(now, slot, run, &checkpoint)
                    .is_err()
                {
                    let drop_at = now.plus(self.around.stop_grace_ms);
                    let over = jobs_agent_core::StopReason::Over;
                    self.desk.stop(slot, run, over, drop_at);
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

    fn on_reset(&mut self, result: Result<(), RebootError>) {
        match result {
            // The machine goes down under us, or the wait for that runs out.
            Ok(()) => debug!("the reset is on its way"),
            Err(error) => {
                error!(%error, "the machine was not reset");
                self.reset_failed();
            }
        }
    }

    fn reset_failed(&mut self) {
        if let Some(reset) = self.reset.take() {
            self.done(reset.receipt, Completion::Failed);
        }
    }

    fn on_time(&mut self) {
        let now = self.clock.now();
        while let Some((slot, run)) = self.desk.drop_overdue(now) {
            self.core
                .handle_aborted(now, slot, run, "handler did not stop in time");
        }
        if self
            .reset
            .as_ref()
            .is_some_and(|reset| reset.give_up_at <= now)
        {
            error!("the machine is still up long after its reset was asked for");
            self.reset_failed();
        }
    }
}

/// Waits for the answer of a reset, if one is awaited.
async fn going_down(reset: &mut Option<Reset>) -> Result<(), RebootError> {
    let Some(answer) = reset.as_mut().and_then(|reset| reset.answer.as_mut()) else {
        return std::future::pending().await;
    };
    let result = answer.await;
    if let Some(reset) = reset {
        reset.answer = None;
    }
    result.unwrap_or_else(|_| Err(RebootError::Other("the reset panicked".to_owned())))
}
