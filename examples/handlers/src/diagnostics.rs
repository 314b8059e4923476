//! `diagnostics`: watches a value of the device for a while.
//!
//! ```json
//! {"operation":"diagnostics","seconds":600}
//! ```
//!
//! A job that takes its time and changes nothing: what a cancel has to reach.

use core::fmt;

use jobs_agent_core::{
    Checkpoint, Details, JobHandler, JobPort, Offer, OperationTag, Outcome, Progress, Refusal,
};

use crate::{
    field,
    line::line,
    operation,
    race::{First, race},
    system::System,
};

/// Longest watch, seconds: an hour; longer ones belong into a fleet's monitoring.
pub const SECONDS_MAX: u32 = 3_600;

/// Watch without `seconds` in the document.
const SECONDS_DEFAULT: u32 = 60;

/// Between two samples, milliseconds.
const INTERVAL_MS: u32 = 1_000;

/// A value of the device that can be measured: temperature, voltage, memory in use.
#[allow(async_fn_in_trait)] // Boards have no Send; on Linux, auto traits leak through generics.
pub trait Probe {
    /// What can go wrong; shown in the job's reason.
    type Error: fmt::Display;

    /// Key under which the value is reported, with its unit: `[a-zA-Z0-9:_-]`.
    fn name(&self) -> &str;

    /// Measures once.
    ///
    /// # Errors
    /// Why there is no value; the job then fails.
    async fn sample(&self) -> Result<i32, Self::Error>;
}

/// Samples a [`Probe`] every second and reports the least, the greatest and the mean value.
///
/// A run that was cut off starts anew: half a watch is no watch.
#[derive(Clone, Copy, Debug)]
pub struct Diagnostics<P, Y> {
    probe: P,
    system: Y,
}

/// What [`Diagnostics`] read out of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiagnosticsPlan {
    seconds: u32,
}

#[derive(Clone, Copy)]
struct Summary {
    least: i32,
    greatest: i32,
    sum: i64,
    count: i64,
}

impl Summary {
    const EMPTY: Self = Self {
        least: i32::MAX,
        greatest: i32::MIN,
        sum: 0,
        count: 0,
    };

    fn add(&mut self, value: i32) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        self.sum = self.sum.saturating_add(i64::from(value));
        self.count = self.count.saturating_add(1);
    }

    fn mean(&self) -> i64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }
}

impl<D: Probe, Y: System> Diagnostics<D, Y> {
    /// Watches this value.
    #[must_use]
    pub const fn new(probe: D, system: Y) -> Self {
        Self { probe, system }
    }

    fn progress(seconds: u32, of: u32, value: i32) -> Progress {
        let percent = seconds.saturating_mul(100).checked_div(of).unwrap_or(100);
        let value = line(format_args!("{value}"));
        let progress = Progress::percent(u8::try_from(percent).unwrap_or(100));
        progress.with("latest", value.as_str())
    }
}

impl<D: Probe, Y: System> JobHandler for Diagnostics<D, Y> {
    type Plan = DiagnosticsPlan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Self::Plan), Refusal> {
        let seconds = field::number(offer.document, "seconds", 1, SECONDS_MAX)?;
        let seconds = seconds.unwrap_or(SECONDS_DEFAULT);
        Ok((
            OperationTag::of(operation::DIAGNOSTICS),
            DiagnosticsPlan { seconds },
        ))
    }

    async fn run<P: JobPort>(&self, plan: Self::Plan, port: &mut P) -> Outcome {
        let mut summary = Summary::EMPTY;
        for second in 1..=plan.seconds {
            let value = match self.probe.sample().await {
                Ok(value) => value,
                Err(error) => {
                    let reason = line(format_args!("no {}: {error}", self.probe.name()));
                    return Outcome::failed(reason.as_str());
                }
            };
            summary.add(value);
            port.report(Self::progress(second, plan.seconds, value));
            let pause = self.system.pause_ms(INTERVAL_MS);
            if let First::Left(reason) = race(port.stopped(), pause).await {
                self.system.note(
                    port.job_id(),
                    format_args!("diagnostics stopped after {second} s: {reason:?}"),
                );
                return Outcome::failed("stopped before the watch was over");
            }
        }
        let details = Details::new()
            .with("probe", self.probe.name())
            .with("samples", line(format_args!("{}", summary.count)).as_str())
            .with("least", line(format_args!("{}", summary.least)).as_str())
            .with(
                "greatest",
                line(format_args!("{}", summary.greatest)).as_str(),
            )
            .with("mean", line(format_args!("{}", summary.mean())).as_str());
        Outcome::Succeeded(details)
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
            None => Outcome::failed("diagnostics keep no checkpoint: create the job again"),
        }
    }
}
