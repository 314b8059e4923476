//! `set`: switches the board's lamp.
//!
//! ```json
//! {"operation":"set","on":true}
//! ```

use agent_embassy::{
    Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Reason, Refusal, RunPolicy,
};

/// Something that can be on or off: an LED, a relay.
pub trait Lamp {
    /// Switches it; it has been switched when this returns.
    async fn set(&self, on: bool);
}

/// Switches a lamp on order.
#[derive(Clone, Copy, Debug)]
pub struct SetLamp<L>(pub L);

impl<L> SetLamp<L> {
    /// The name under which it is routed.
    pub const OPERATION: &'static str = "set";
}

impl<L: Lamp> JobHandler for SetLamp<L> {
    type Plan = bool;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, bool), Refusal> {
        let on = offer.document.bool_field("on");
        let on = on.ok_or_else(|| Refusal::Reject(Reason::new("`on` must be true or false")))?;
        Ok((OperationTag::of(Self::OPERATION), on))
    }

    /// Done in no time, and the same when done twice: it costs one message, the outcome.
    fn policy(&self, _: OperationTag, _: &bool) -> RunPolicy {
        RunPolicy {
            instant: true,
            ..RunPolicy::DEFAULT
        }
    }

    async fn run<P: JobPort>(&self, on: bool, _: &mut P) -> Outcome {
        self.0.set(on).await;
        Outcome::succeeded()
    }

    /// Never writes a checkpoint, so the agent runs it anew instead.
    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        plan: Option<bool>,
        port: &mut P,
    ) -> Outcome {
        match plan {
            Some(on) => self.run(on, port).await,
            None => Outcome::failed("set keeps no checkpoint: create the job again"),
        }
    }
}
