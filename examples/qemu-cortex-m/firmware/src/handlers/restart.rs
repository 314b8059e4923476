//! `reboot` with a self-test: the shared handler asks for the reset, and the boot after it says
//! whether the board is fit.

use core::fmt;

use agent_embassy::{Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Refusal};
use handlers::{Reboot, line};
use mps2_bsp::say;

/// Restarts the board, and answers what `check` finds in the boot after.
pub(crate) struct Restart<C> {
    reboot: Reboot,
    check: C,
}

impl<C, E> Restart<C>
where
    C: AsyncFn() -> Result<(), E>,
    E: fmt::Display,
{
    /// The self-test of the board.
    pub(crate) const fn new(check: C) -> Self {
        Self {
            reboot: Reboot,
            check,
        }
    }
}

impl<C, E> JobHandler for Restart<C>
where
    C: AsyncFn() -> Result<(), E>,
    E: fmt::Display,
{
    type Plan = ();

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, ()), Refusal> {
        self.reboot.plan(offer)
    }

    async fn run<P: JobPort>(&self, (): (), port: &mut P) -> Outcome {
        self.reboot.run((), port).await
    }

    async fn resume<P: JobPort>(
        &self,
        tag: OperationTag,
        from: &Checkpoint,
        plan: Option<()>,
        port: &mut P,
    ) -> Outcome {
        let verdict = (self.check)().await;
        say!("SELFTEST {} {}", port.job_id(), verdict.is_ok());
        match verdict {
            Ok(()) => self.reboot.resume(tag, from, plan, port).await,
            Err(fault) => {
                Outcome::failed(line(format_args!("self-test after reset: {fault}")).as_str())
            }
        }
    }
}
