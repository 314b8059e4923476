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
//! * A reset counts as failed when the machine is still up after [`reset::REBOOT_WAIT_MS`].

mod clock;
mod desk;
mod effects;
mod events;
pub(crate) mod machine;
mod port;
pub(crate) mod records;
mod reset;
#[cfg(test)]
mod tests;
mod writes;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use jobs_agent_core::{JobHandler, Millis, Outcome, Output, Receipt, RunId, Scratch};
use tracing::{error, info};

use crate::agent::AgentError;
use crate::happening::{Happening, Observer};
use crate::link::{Link, LinkEvent, SendId};
use crate::metrics::Metrics;
use crate::reboot::{Reboot, RebootError};
use crate::store::{AsyncStore, StoreError};
use clock::Clock;
use desk::{Desk, Word, Work};
use machine::Machine;
use port::Port;
use reset::{Reset, going_down};
use writes::Writes;

/// What the driver needs besides its core, its link and its handlers.
pub(crate) struct Surroundings {
    pub(crate) reboot: Arc<dyn Reboot>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop_grace_ms: u64,
    pub(crate) observer: Option<Observer>,
}

impl Surroundings {
    pub(crate) fn tell(&self, what: &Happening<'_>) {
        if let Some(observer) = &self.observer {
            observer(what);
        }
    }
}

/// Runs an agent until `shutdown` resolves, then leaves in order.
pub(crate) async fn drive<H: JobHandler>(
    mut core: Box<dyn Machine + '_>,
    link: impl Link,
    store: AsyncStore,
    handlers: H,
    around: Surroundings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    records::restore(&store, &mut *core).await?;
    let jobs = core.jobs();
    let mut driver = Driver {
        core,
        clock: Clock::start(),
        link,
        desk: Desk::new(handlers, desk::perform, jobs),
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

struct Driver<'c, H: JobHandler, B, F, L> {
    core: Box<dyn Machine + 'c>,
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

impl<H, B, F, L> Driver<'_, H, B, F, L>
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
    fn drain(&mut self, scratch: &mut Scratch) -> Option<Millis> {
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
