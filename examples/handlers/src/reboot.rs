//! `reboot`: restarts the device, and reports success from the boot after it.
//!
//! ```json
//! {"operation":"reboot"}
//! ```

use jobs_agent_core::{Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Refusal};

use crate::operation;

/// Version of the checkpoint: its only byte.
const FORMAT: u8 = 1;

/// Restarts the device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reboot;

impl JobHandler for Reboot {
    type Plan = ();

    fn plan(&self, _: &Offer<'_>) -> Result<(OperationTag, ()), Refusal> {
        Ok((OperationTag::of(operation::REBOOT), ()))
    }

    async fn run<P: JobPort>(&self, (): (), port: &mut P) -> Outcome {
        if port.stop_requested().is_some() {
            return Outcome::failed("stopped before the reboot");
        }
        match Checkpoint::new(&[FORMAT]) {
            Ok(checkpoint) => Outcome::Reboot(checkpoint),
            Err(fault) => Outcome::failed(crate::line(format_args!("{fault}")).as_str()),
        }
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        _: Option<()>,
        _: &mut P,
    ) -> Outcome {
        match from.bytes() {
            [FORMAT] => Outcome::succeeded(),
            _ => Outcome::failed("rebooted, but the checkpoint is of another firmware"),
        }
    }
}
