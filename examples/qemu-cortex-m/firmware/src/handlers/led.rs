//! `set`: switches an LED.
//!
//! ```json
//! {"operation":"set","led":0,"on":true}
//! ```

use agent_embassy::{
    Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Reason, Refusal, RunPolicy,
};
use mps2_bsp::{led::Led, say};

/// Switches the user LEDs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetLed;

impl SetLed {
    pub(crate) const OPERATION: &str = "set";
}

impl JobHandler for SetLed {
    type Plan = (Led, bool);

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Self::Plan), Refusal> {
        let led = match offer.document.u64_field("led") {
            Some(0) => Led::First,
            Some(1) => Led::Second,
            Some(_) | None => return Err(refuse("`led` must be 0 or 1")),
        };
        let Some(on) = offer.document.bool_field("on") else {
            return Err(refuse("`on` must be true or false"));
        };
        Ok((OperationTag::of(Self::OPERATION), (led, on)))
    }

    /// Done in no time, and the same when done twice: it costs one message, the outcome.
    fn policy(&self, _: OperationTag, _: &Self::Plan) -> RunPolicy {
        RunPolicy {
            instant: true,
            ..RunPolicy::DEFAULT
        }
    }

    async fn run<P: JobPort>(&self, (led, on): Self::Plan, port: &mut P) -> Outcome {
        led.set(on);
        say!("EFFECT {} led {led:?} {on}", port.job_id());
        if led.is_on() == on {
            Outcome::succeeded()
        } else {
            Outcome::failed("the LED register does not keep the bit")
        }
    }

    /// Never writes a checkpoint, so the agent runs it anew instead.
    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        plan: Option<Self::Plan>,
        port: &mut P,
    ) -> Outcome {
        match plan {
            Some(plan) => self.run(plan, port).await,
            None => Outcome::failed("set keeps no checkpoint: create the job again"),
        }
    }
}

fn refuse(why: &str) -> Refusal {
    Refusal::Reject(Reason::new(why))
}
