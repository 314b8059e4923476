//! A handler of one's own: it decides by the document whether it takes a job, and goes on from its
//! checkpoint after a crash, a restart or a power cut. It runs on a board as it is, too.
//!
//! `{"operation": "calibrate", "valves": 5}` calibrates five valves, one after the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_std::{
    Agent, AgentError, Checkpoint, Endpoint, JobHandler, JobPort, NoRoute, Offer, OperationTag,
    Outcome, Progress, Reason, Refusal,
};

/// What becomes of a document that is taken.
pub(crate) struct Plan {
    valves: u8,
}

/// Calibrates valves and leaves a note for each in a folder.
struct Calibrate {
    notes: PathBuf,
}

impl JobHandler for Calibrate {
    type Plan = Plan;

    /// Looks at the document while it is there, and says no in words that an operator understands.
    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Plan), Refusal> {
        match offer.document.u64_field("valves").map(u8::try_from) {
            Some(Ok(valves)) => Ok((OperationTag::of("calibrate"), Plan { valves })),
            _ => Err(Refusal::Reject(Reason::new("valves: a number up to 255"))),
        }
    }

    async fn run<P: JobPort>(&self, plan: Plan, port: &mut P) -> Outcome {
        self.from(0, plan.valves, port).await
    }

    /// The bytes are ours: the valves that are done, and how many there are.
    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        _: Option<Plan>,
        port: &mut P,
    ) -> Outcome {
        match from.bytes() {
            [done, valves] => self.from(*done, *valves, port).await,
            _ => Outcome::failed("the checkpoint is of another version"),
        }
    }
}

impl Calibrate {
    async fn from<P: JobPort>(&self, done: u8, valves: u8, port: &mut P) -> Outcome {
        for valve in done..valves {
            if let Some(reason) = port.stop_requested() {
                return Outcome::failed(&format!("stopped before valve {valve}: {reason:?}"));
            }
            if let Err(error) = self.calibrate(valve).await {
                return Outcome::failed(&format!("valve {valve}: {error}"));
            }
            // Returns when it is durable: this valve is not done again, whatever happens.
            let Ok(checkpoint) = Checkpoint::new(&[valve + 1, valves]) else {
                return Outcome::failed("two bytes are a checkpoint");
            };
            if let Err(stopped) = port.checkpoint(checkpoint).await {
                return Outcome::failed(&format!("stopped after valve {valve}: {stopped:?}"));
            }
            let percent = u32::from(valve + 1) * 100 / u32::from(valves);
            port.report(Progress::percent(u8::try_from(percent).unwrap_or(100)));
        }
        Outcome::succeeded()
    }

    /// May be cut off at any moment, and is then done again: so it has to bear that.
    async fn calibrate(&self, valve: u8) -> std::io::Result<()> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut text = tokio::fs::read(self.notes.join(valve.to_string()))
            .await
            .unwrap_or_default();
        text.extend_from_slice(b"calibrated\n");
        tokio::fs::write(self.notes.join(valve.to_string()), text).await
    }
}

pub(crate) async fn run(port: u16, state: &Path) -> Result<(), AgentError> {
    let calibrate = Calibrate {
        notes: state.to_owned(),
    };
    Agent::new("pump-17", Endpoint::plain("127.0.0.1", port))
        .state_dir(state.join("records"))
        .handlers(NoRoute.on("calibrate", calibrate))
        .run()
        .await
}
