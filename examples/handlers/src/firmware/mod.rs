//! `firmwareUpdate`: download, verify, switch, reboot, self-test.
//!
//! ```json
//! {"operation":"firmwareUpdate","firmwareVersion":"1.1.0",
//!  "downloadUrl":"https://…/firmware-v1.1.0.bin","checksum":"sha256:…",
//!  "rebootRequired":true,"timeout":300}
//! ```
//!
//! | power lost | checkpoint | after the restart |
//! |---|---|---|
//! | while receiving | `Download`, at most one interval old | asks for the document, goes on there |
//! | while verifying | `Download`, complete | verifies again, receives nothing |
//! | around the switch | `Switch` | the old version runs: switches again; the new one: self-test |
//! | after the switch, before the reset | `SelfTest`, same boot | the agent resets |
//! | in the self-test | `SelfTest`, new boot | tests again; the last attempt rolls back |
//! | after a roll-back | `RolledBack` | reports FAILED with the reason of the self-test |

mod document;
mod download;
mod platform;
mod saved;
mod turn;
mod verify;

use heapless::String;
use jobs_agent_core::{
    Checkpoint, Details, JobHandler, JobPort, Offer, OperationTag, Outcome, Refusal, RunPolicy,
};

use self::{
    download::{Download, End},
    saved::{Part, Saved, Trial},
    turn::Turns,
};
use crate::{
    line::{Line, line},
    operation,
    system::System,
};
pub use document::{FirmwarePlan, TIMEOUT_SECONDS_MAX, URL_LEN_MAX};
pub use download::RETRIES_MAX;
pub use platform::{
    BLOCK_LEN, ETAG_LEN_MAX, ETag, Fetch, FetchError, FetchReader, FirmwareSlots, Opened, SelfTest,
    VERSION_LEN_MAX, Version,
};

/// Bytes between two checkpoints by default: what a cut costs at most, against a flash write for
/// each. Boards choose less, see [`FirmwareUpdate::with_checkpoint_interval`].
pub const CHECKPOINT_INTERVAL: u32 = 256 * 1_024;

/// Installs firmware.
///
/// A cancel stops it up to the switch. The self-test is always finished, so that a device is never
/// left on trial. Of several updates at a time, one works and the others wait: there is one spare
/// slot.
#[derive(Debug)]
pub struct FirmwareUpdate<S, D, C, Y> {
    slots: S,
    fetch: D,
    check: C,
    system: Y,
    checkpoint_interval: u32,
    turns: Turns,
}

impl<S, D, C, Y> FirmwareUpdate<S, D, C, Y>
where
    S: FirmwareSlots,
    D: Fetch,
    C: SelfTest,
    Y: System,
{
    /// Installs into these slots, with a checkpoint every [`CHECKPOINT_INTERVAL`] bytes.
    #[must_use]
    pub const fn new(slots: S, fetch: D, check: C, system: Y) -> Self {
        Self {
            slots,
            fetch,
            check,
            system,
            checkpoint_interval: CHECKPOINT_INTERVAL,
            turns: Turns::new(),
        }
    }

    /// Keeps a checkpoint every so many bytes; less than [`BLOCK_LEN`] means every block.
    #[must_use]
    pub const fn with_checkpoint_interval(mut self, bytes: u32) -> Self {
        self.checkpoint_interval = bytes;
        self
    }

    async fn running(&self) -> Result<Version, End> {
        self.slots
            .running_version()
            .await
            .map_err(download::slot_fault)
    }

    /// Download, verify and switch, from `part` on; or nothing, if the version runs already.
    async fn install<P: JobPort>(
        &self,
        plan: &FirmwarePlan,
        part: Part,
        port: &mut P,
    ) -> Result<Outcome, End> {
        let running = self.running().await?;
        if running == plan.version {
            self.system.note(
                port.job_id(),
                format_args!("version {running} runs already"),
            );
            let details = Details::new().with("version", &running);
            return Ok(Outcome::Succeeded(details.with("note", "it ran already")));
        }
        self.system.note(
            port.job_id(),
            format_args!("download of {} from byte {}", plan.version, part.received),
        );
        let parts = (&self.slots, &self.fetch, &self.system);
        // Its block is gone before the next one is needed: boards count every KiB of a future.
        let len = {
            let mut download = Download::new(parts, plan, self.checkpoint_interval, part);
            download.complete(port).await?
        };
        self.system.note(
            port.job_id(),
            format_args!("{len} bytes complete, verifying"),
        );
        if let Err(end) = verify::verify(&self.slots, len, plan.digest, port).await {
            // Bytes that are not the image must not be taken for a part of it later.
            self.slots.prepare(0).await.map_err(download::slot_fault)?;
            return Err(end);
        }
        if !plan.reboot {
            self.slots
                .switch(&plan.version, len, false)
                .await
                .map_err(download::slot_fault)?;
            let details = Details::new().with("version", &plan.version);
            return Ok(Outcome::Succeeded(
                details.with("active", "from the next boot on"),
            ));
        }
        let trial = Trial {
            version: plan.version.clone(),
            previous: running,
            len,
        };
        port.checkpoint(encode(&Saved::Switch(trial.clone()))?)
            .await?;
        self.switch(trial, port).await
    }

    /// Switches on trial and asks for the reset.
    async fn switch<P: JobPort>(&self, trial: Trial, port: &mut P) -> Result<Outcome, End> {
        if let Some(reason) = port.stop_requested() {
            return Err(End::Stopped(reason));
        }
        self.slots
            .switch(&trial.version, trial.len, true)
            .await
            .map_err(download::slot_fault)?;
        self.system.note(
            port.job_id(),
            format_args!("verified; {} boots next, on trial", trial.version),
        );
        Ok(Outcome::Reboot(encode(&Saved::SelfTest(trial))?))
    }

    /// Keeps the version that runs, or leaves it.
    async fn prove<P: JobPort>(&self, trial: &Trial, port: &mut P) -> Result<Outcome, End> {
        let verdict = if is_last(port) {
            Err(line(format_args!(
                "the self-test was cut off {} times",
                attempts_before(port)
            )))
        } else {
            self.check.check(&trial.version).await
        };
        match verdict {
            Ok(()) => {
                self.slots.confirm().await.map_err(download::slot_fault)?;
                self.system.note(
                    port.job_id(),
                    format_args!("self-test of {} passed", trial.version),
                );
                let details = Details::new().with("version", &trial.version);
                Ok(Outcome::Succeeded(
                    details.with("previous", &trial.previous),
                ))
            }
            Err(why) => self.leave(trial, &why, port).await,
        }
    }

    /// Rolls back, and reports it from the boot after.
    async fn leave<P: JobPort>(
        &self,
        trial: &Trial,
        why: &Line,
        port: &mut P,
    ) -> Result<Outcome, End> {
        let version = &trial.version;
        let reason = line(format_args!("{version} failed its self-test: {why}"));
        if let Err(fault) = self.slots.roll_back().await {
            let both = line(format_args!("no roll-back ({fault}) after: {reason}"));
            return Err(End::Failed(both));
        }
        self.system
            .note(port.job_id(), format_args!("{reason}; rolling back"));
        let mut kept = String::new();
        for char in reason.as_str().chars() {
            if kept.push(char).is_err() {
                break;
            }
        }
        Ok(Outcome::Reboot(encode(&Saved::RolledBack(kept))?))
    }

    async fn go_on<P: JobPort>(
        &self,
        saved: Option<Saved>,
        plan: Option<FirmwarePlan>,
        port: &mut P,
    ) -> Result<Outcome, End> {
        match (saved, plan) {
            (Some(Saved::Download(part)), Some(plan)) if part.digest == plan.digest => {
                self.install(&plan, part, port).await
            }
            // Another image than the one begun, or a checkpoint of another firmware.
            (Some(Saved::Download(_)) | None, Some(plan)) => {
                self.install(&plan, fresh(&plan), port).await
            }
            (Some(Saved::Download(_)) | None, None) => Err(End::Failed(line(format_args!(
                "unreadable checkpoint: create the job again"
            )))),
            (Some(Saved::Switch(trial)), _) => {
                if self.running().await? == trial.version {
                    self.prove(&trial, port).await
                } else if is_last(port) {
                    self.slots.roll_back().await.map_err(download::slot_fault)?;
                    let tries = attempts_before(port);
                    Err(End::Failed(line(format_args!(
                        "the switch was cut off {tries} times"
                    ))))
                } else {
                    self.switch(trial, port).await
                }
            }
            (Some(Saved::SelfTest(trial)), _) => {
                let (running, wanted) = (self.running().await?, &trial.version);
                if running == *wanted {
                    return self.prove(&trial, port).await;
                }
                self.slots.roll_back().await.map_err(download::slot_fault)?;
                Err(End::Failed(line(format_args!(
                    "{wanted} did not come up: the boot loader went back to {running}"
                ))))
            }
            (Some(Saved::RolledBack(reason)), _) => {
                Err(End::Failed(line(format_args!("{reason}; rolled back"))))
            }
        }
    }

    /// FAILED with the reason and the version that is active.
    async fn conclude<P: JobPort>(&self, ended: Result<Outcome, End>, port: &mut P) -> Outcome {
        let why = match ended {
            Ok(outcome) => return outcome,
            Err(End::Failed(why)) => why,
            Err(End::Stopped(reason)) => {
                self.system
                    .note(port.job_id(), format_args!("update stopped: {reason:?}"));
                line(format_args!("stopped: {reason:?}"))
            }
        };
        let details = Details::reason(why.as_str());
        match self.slots.running_version().await {
            Ok(running) => Outcome::Failed(details.with("version", &running)),
            Err(_) => Outcome::Failed(details),
        }
    }
}

impl<S, D, C, Y> JobHandler for FirmwareUpdate<S, D, C, Y>
where
    S: FirmwareSlots,
    D: Fetch,
    C: SelfTest,
    Y: System,
{
    type Plan = FirmwarePlan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, FirmwarePlan), Refusal> {
        let plan = FirmwarePlan::read(offer.document)?;
        Ok((OperationTag::of(operation::FIRMWARE_UPDATE), plan))
    }

    fn policy(&self, _: OperationTag, plan: &FirmwarePlan) -> RunPolicy {
        RunPolicy {
            time_limit_ms: plan.time_limit_ms,
            ..RunPolicy::DEFAULT
        }
    }

    async fn run<P: JobPort>(&self, plan: FirmwarePlan, port: &mut P) -> Outcome {
        let ended = match self.turns.take(&self.system, port).await {
            Ok(_turn) => self.install(&plan, fresh(&plan), port).await,
            Err(end) => Err(end),
        };
        self.conclude(ended, port).await
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        plan: Option<FirmwarePlan>,
        port: &mut P,
    ) -> Outcome {
        let ended = match self.turns.take(&self.system, port).await {
            Ok(_turn) => self.go_on(Saved::decode(from), plan, port).await,
            Err(end) => Err(end),
        };
        self.conclude(ended, port).await
    }
}

fn fresh(plan: &FirmwarePlan) -> Part {
    Part {
        digest: plan.digest,
        ..Part::default()
    }
}

fn encode(saved: &Saved) -> Result<Checkpoint, End> {
    saved
        .encode()
        .map_err(|fault| End::Failed(line(format_args!("{fault}"))))
}

/// The last of several attempts: the ones before were cut off.
fn is_last<P: JobPort>(port: &P) -> bool {
    let attempt = port.attempt();
    attempt.number > 1 && attempt.number >= attempt.last
}

fn attempts_before<P: JobPort>(port: &P) -> u8 {
    port.attempt().number.saturating_sub(1)
}
