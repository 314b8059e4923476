//! `dispense`: pours so many portions, each at most once.
//!
//! ```json
//! {"operation":"dispense","portions":3}
//! ```
//!
//! Work that must not be done twice, and where nobody can see afterwards whether it was done. Each
//! portion is announced in a checkpoint before it is poured: after a power cut, the announced one
//! counts as poured, is not poured again, and is reported as uncertain.

use agent_embassy::{
    Checkpoint, Details, JobHandler, JobPort, Offer, OperationTag, Outcome, Reason, Refusal,
};
use embassy_time::Timer;
use handlers::line;
use mps2_bsp::say;

/// Most portions of a job: what the tank holds.
const PORTIONS_MAX: u64 = 20;

/// How long the valve stays open for a portion, milliseconds.
const PORTION_MS: u64 = 20;

/// First byte of the checkpoints.
const FORMAT: u8 = 1;

/// Pours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispense;

/// How far a job has come.
#[derive(Clone, Copy, Debug)]
struct Poured {
    /// Portions announced so far.
    announced: u8,
    /// Those of them that a cut may have prevented.
    uncertain: u8,
    /// Portions in all.
    of: u8,
}

impl Dispense {
    pub(crate) const OPERATION: &str = "dispense";

    async fn pour<P: JobPort>(mut poured: Poured, port: &mut P) -> Outcome {
        while poured.announced < poured.of {
            poured.announced = poured.announced.saturating_add(1);
            let Some(checkpoint) = poured.encode() else {
                return Outcome::failed("the checkpoint is too long");
            };
            if port.checkpoint(checkpoint).await.is_err() || port.stop_requested().is_some() {
                return Outcome::failed("stopped between two portions");
            }
            say!("EFFECT {} portion {}", port.job_id(), poured.announced);
            Timer::after_millis(PORTION_MS).await;
        }
        let (of, uncertain) = (poured.of, poured.uncertain);
        let details = Details::new().with("portions", line(format_args!("{of}")).as_str());
        Outcome::Succeeded(details.with("uncertain", line(format_args!("{uncertain}")).as_str()))
    }
}

impl Poured {
    fn encode(self) -> Option<Checkpoint> {
        Checkpoint::new(&[FORMAT, self.announced, self.uncertain, self.of]).ok()
    }

    fn decode(checkpoint: &Checkpoint) -> Option<Self> {
        match *checkpoint.bytes() {
            [FORMAT, announced, uncertain, of] => Some(Self {
                announced,
                uncertain,
                of,
            }),
            _ => None,
        }
    }
}

impl JobHandler for Dispense {
    type Plan = u8;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, u8), Refusal> {
        let portions = offer.document.u64_field("portions");
        let portions = portions.filter(|portions| (1..=PORTIONS_MAX).contains(portions));
        match portions.and_then(|portions| u8::try_from(portions).ok()) {
            Some(portions) => Ok((OperationTag::of(Self::OPERATION), portions)),
            None => Err(Refusal::Reject(Reason::new(
                "`portions` must be a whole number from 1 to 20",
            ))),
        }
    }

    /// Nothing is poured before the first checkpoint: what is cut off before it may run again.
    async fn run<P: JobPort>(&self, portions: u8, port: &mut P) -> Outcome {
        let fresh = Poured {
            announced: 0,
            uncertain: 0,
            of: portions,
        };
        Self::pour(fresh, port).await
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        _: Option<u8>,
        port: &mut P,
    ) -> Outcome {
        match Poured::decode(from) {
            Some(mut poured) => {
                poured.uncertain = poured.uncertain.saturating_add(1);
                Self::pour(poured, port).await
            }
            None => Outcome::failed("the checkpoint is of another firmware"),
        }
    }
}
