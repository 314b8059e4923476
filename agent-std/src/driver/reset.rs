//! A reset of the machine: asked for on a thread where it may block, then waited for.

use std::future::Future;
use std::sync::Arc;

use jobs_agent_core::{Completion, JobHandler, Millis, Outcome, Receipt};
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::Driver;
use super::desk::Work;
use super::port::Port;
use crate::link::Link;
use crate::reboot::RebootError;

/// How long the machine may take to go down once a reset was set going, in milliseconds: services
/// are given 90 s to stop by systemd (`DefaultTimeoutStopSec`), twice that is generous.
pub(super) const REBOOT_WAIT_MS: u64 = 180_000;

/// A reset that was asked for.
pub(super) struct Reset {
    receipt: Receipt,
    /// Tells whether the machine goes down.
    answer: Option<oneshot::Receiver<Result<(), RebootError>>>,
    pub(super) give_up_at: Millis,
}

/// Waits for the answer of a reset, if one is awaited.
pub(super) async fn going_down(reset: &mut Option<Reset>) -> Result<(), RebootError> {
    let Some(answer) = reset.as_mut().and_then(|reset| reset.answer.as_mut()) else {
        return std::future::pending().await;
    };
    let result = answer.await;
    if let Some(reset) = reset {
        reset.answer = None;
    }
    result.unwrap_or_else(|_| Err(RebootError::Other("the reset panicked".to_owned())))
}

impl<H, B, F, L> Driver<'_, H, B, F, L>
where
    H: JobHandler,
    B: Fn(Arc<H>, Work<H::Plan>, Port) -> F,
    F: Future<Output = Outcome>,
    L: Link,
{
    pub(super) fn begin_reset(&mut self, receipt: Receipt) {
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

    pub(super) fn on_reset(&mut self, result: Result<(), RebootError>) {
        match result {
            // The machine goes down under us, or the wait for that runs out.
            Ok(()) => debug!("the reset is on its way"),
            Err(error) => {
                error!(%error, "the machine was not reset");
                self.reset_failed();
            }
        }
    }

    pub(super) fn reset_failed(&mut self) {
        if let Some(reset) = self.reset.take() {
            self.done(reset.receipt, Completion::Failed);
        }
    }
}
