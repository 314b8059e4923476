//! `update`: a file that is downloaded, proven, installed by a command, and kept only if the device
//! is well afterwards.
//!
//! ```json
//! {"operation":"update","target":"system","version":"1.1.0",
//!  "url":"https://…/bundle-1.1.0.raucb","sha256":"…","signature":"base64…"}
//! ```
//!
//! The target's commands are the operator's: `rauc install`, `swupdate -i`, a script that unpacks
//! into the spare one of two folders and switches a link. They run under a supervisor, as steps do.
//!
//! | power lost | after the restart |
//! |---|---|
//! | while downloading | goes on from the part that is there |
//! | while installing | the install command runs again |
//! | after it, before the reset | the agent resets |
//! | in the self-test | tests again; the last attempt rolls back |
//! | while rolling back | the roll-back command runs again |
//! | after it | reports FAILED with the reason of the self-test |
//!
//! Updates of one target take turns: see [`crate::turns`].
//!
//! A cancel ends a download and no command: what was installed by then is rolled back.

mod document;
mod signature;
mod stage;
mod versions;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jobs_agent_core::{
    Checkpoint, Details, JobHandler, JobPort, Offer, OperationTag, Outcome, Progress, Reason,
    Refusal,
};
use serde::Deserialize;

use crate::{
    download::Downloads,
    hook,
    policy::DownloadPolicy,
    step::Steps,
    supervise::{End, Folder},
    turns::{self, Turns},
};
pub use document::UpdatePlan;
pub use signature::{KeyFault, Keys, statement};
use stage::Stage;
use versions::Versions;

/// The operation's name.
pub const OPERATION: &str = "update";

/// Longest run of a hook unless the configuration says otherwise, seconds.
const HOOK_TIMEOUT_S: u64 = 1_800;

/// Longest download unless the configuration says otherwise, seconds: a day, in which 100 MB come
/// over a line of ten kilobits a second.
const DOWNLOAD_TIMEOUT_S: u64 = 86_400;

/// What may be updated; nothing unless listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdatePolicy {
    /// The targets, by the name under which documents call them.
    pub targets: BTreeMap<String, Target>,
    /// Where files may come from. Its `dirs` are not used: each target has its own folder.
    pub download: DownloadPolicy,
}

/// Something that can be updated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Folder of the downloaded file, which is removed when the job is over.
    pub dir: PathBuf,
    /// Installs the file, whose path is the last argument. Word by word, full path first.
    pub install: Vec<String>,
    /// Whether the new version needs a reboot to run.
    #[serde(default)]
    pub reboot: bool,
    /// Ends with 0 if the device is well with the new version. Without it, it always is.
    #[serde(default)]
    pub self_test: Vec<String>,
    /// Goes back to the old version after a self-test that failed.
    #[serde(default)]
    pub roll_back: Vec<String>,
    /// Public keys, PEM, of which one must have signed the update; without any, the checksum in
    /// the document is all that is asked for.
    #[serde(default)]
    pub keys: Vec<PathBuf>,
    /// How long each command may take, seconds.
    #[serde(default = "hook_timeout_s")]
    pub timeout_s: u64,
    /// How long the download may take in all, seconds; after a restart it begins again.
    #[serde(default = "download_timeout_s")]
    pub download_timeout_s: u64,
    /// Whether a target with `keys` takes a version older than the one it was updated to last.
    #[serde(default)]
    pub allow_older: bool,
}

const fn download_timeout_s() -> u64 {
    DOWNLOAD_TIMEOUT_S
}

const fn hook_timeout_s() -> u64 {
    HOOK_TIMEOUT_S
}

/// Does updates.
#[derive(Clone, Debug)]
pub struct Update {
    policy: UpdatePolicy,
    keys: BTreeMap<String, Keys>,
    steps: Steps,
    folders: PathBuf,
    versions: Versions,
    turns: Turns,
}

impl Update {
    /// Works under this policy; the keys are read once. The file `versions` remembers what each
    /// target was updated to.
    ///
    /// # Errors
    /// A key cannot be read.
    pub fn new(
        policy: UpdatePolicy,
        steps: Steps,
        folders: impl Into<PathBuf>,
        versions: impl Into<PathBuf>,
    ) -> Result<Self, KeyFault> {
        let keys = policy.targets.iter();
        let keys = keys.map(|(name, target)| Ok((name.clone(), Keys::read(&target.keys)?)));
        Ok(Self {
            keys: keys.collect::<Result<_, KeyFault>>()?,
            policy,
            steps,
            folders: folders.into(),
            versions: Versions::at(versions),
            turns: Turns::default(),
        })
    }

    /// Waits for its turn at a target among these.
    #[must_use]
    pub fn taking_turns(mut self, turns: Turns) -> Self {
        self.turns = turns;
        self
    }

    /// # Errors
    /// The version is older than what was installed last, where that matters.
    fn check_version(&self, plan: &UpdatePlan) -> Result<(), String> {
        if plan.target.keys.is_empty() || plan.target.allow_older {
            return Ok(());
        }
        self.versions.check(&plan.name, &plan.version)
    }

    async fn install<P: JobPort>(&self, plan: &UpdatePlan, port: &mut P) -> Outcome {
        port.report(Progress::new().with("step", "download"));
        let downloads = Downloads::new(DownloadPolicy {
            dirs: vec![plan.target.dir.clone()],
            ..self.policy.download.clone()
        });
        if let Err(error) = std::fs::create_dir_all(&plan.target.dir) {
            return failed(&format!("{}: {error}", plan.target.dir.display()));
        }
        let path = plan.file(port.job_id());
        let limit = Duration::from_secs(plan.target.download_timeout_s);
        let receive = downloads.get_checked(&plan.url, &path, Some(plan.digest));
        let received = tokio::select! {
            received = tokio::time::timeout(limit, receive) => match received {
                Ok(received) => received.map_err(|fault| fault.to_string()),
                Err(_) => Err(format!("the download took longer than {} s", limit.as_secs())),
            },
            reason = port.stopped() => {
                forget(plan, port.job_id());
                return failed(&format!("stopped ({reason:?})"));
            }
        };
        if let Err(why) = received {
            forget(plan, port.job_id());
            return failed(&why);
        }
        port.report(Progress::new().with("step", "install"));
        let mut words = plan.target.install.clone();
        words.push(path.to_string_lossy().into_owned());
        if let Err(why) = self.hook("install", 0, &words, plan, port).await {
            forget(plan, port.job_id());
            return failed(&why);
        }
        // Whatever became of the job: a version that nobody will test must not stay.
        if let Some(reason) = port.stop_requested() {
            return self
                .leave(plan, &format!("stopped ({reason:?})"), port)
                .await;
        }
        if plan.target.reboot {
            return reboot(&Stage::SelfTest);
        }
        match keep(&Stage::SelfTest, port).await {
            Ok(()) => self.prove(plan, port).await,
            Err(why) => self.leave(plan, &why, port).await,
        }
    }

    /// Keeps the new version, or leaves it.
    async fn prove<P: JobPort>(&self, plan: &UpdatePlan, port: &mut P) -> Outcome {
        port.report(Progress::new().with("step", "self-test"));
        let attempt = port.attempt();
        let verdict = if attempt.number >= attempt.last && attempt.last > 1 {
            Err(format!(
                "the self-test was cut off {} times",
                attempt.number - 1
            ))
        } else {
            self.hook("self-test", 1, &plan.target.self_test, plan, port)
                .await
        };
        match verdict {
            Ok(()) => {
                // Before the outcome is durable: after a cut here the same version passes again.
                if let Err(error) = self.versions.remember(&plan.name, &plan.version) {
                    tracing::warn!(%error, "an older version will not be known as one");
                }
                forget(plan, port.job_id());
                Outcome::Succeeded(Details::new().with("version", &plan.version))
            }
            Err(why) => {
                // Not kept means that the job is over; the version still has to go.
                if let Err(fault) = keep(&Stage::RollBack(why.clone()), port).await {
                    tracing::warn!(%fault, "a roll-back is not resumed after a power cut");
                }
                self.leave(plan, &why, port).await
            }
        }
    }

    async fn leave<P: JobPort>(&self, plan: &UpdatePlan, why: &str, port: &mut P) -> Outcome {
        if plan.target.roll_back.is_empty() {
            forget(plan, port.job_id());
            return failed(&format!("{why}; no way back is configured"));
        }
        let back = self
            .hook("roll-back", 2, &plan.target.roll_back, plan, port)
            .await;
        forget(plan, port.job_id());
        match back {
            Err(fault) => failed(&format!("{why}; {fault}")),
            Ok(()) if plan.target.reboot => reboot(&Stage::RolledBack(why.to_owned())),
            Ok(()) => failed(&format!("{why}; rolled back")),
        }
    }

    /// Runs a command to its end under a supervisor. Not stopped by a cancel: half an installation
    /// is worse than a whole one, and every command has its time limit.
    async fn hook<P: JobPort>(
        &self,
        name: &str,
        number: usize,
        words: &[String],
        plan: &UpdatePlan,
        port: &P,
    ) -> Result<(), String> {
        let Some((program, args)) = words.split_first() else {
            return Ok(());
        };
        let folder = Folder::of_step(&self.folders, port.job_id(), number);
        let env = [
            ("JOBS_AGENT_JOB_ID", port.job_id()),
            ("JOBS_AGENT_VERSION", plan.version.as_str()),
        ];
        let spec = hook::spec(program, args, &env, plan.target.timeout_s);
        let result = hook::run(&self.steps, &folder, &spec).await;
        let result = result.map_err(|fault| format!("{name} {fault}"))?;
        match result.end {
            End::Exited(0) => Ok(()),
            end => {
                let said = hook::last_line(&result.stderr);
                Err(format!("{name}: {end}{said}"))
            }
        }
    }
}

impl JobHandler for Update {
    type Plan = UpdatePlan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, UpdatePlan), Refusal> {
        let named = offer.document.str_field(jobs_agent_core::OPERATION_KEY);
        if self.policy.targets.is_empty() || !named.is_some_and(|name| name.eq_str(OPERATION)) {
            return Err(Refusal::Unknown);
        }
        let plan = UpdatePlan::read(offer.document.0, &self.policy, &self.keys);
        let plan = plan.and_then(|plan| {
            // One that was begun goes on: it may have to go back, too.
            if !offer.resuming {
                self.check_version(&plan)?;
            }
            Ok(plan)
        });
        match plan {
            Ok(mut plan) => {
                plan.resuming = offer.resuming;
                Ok((OperationTag::of(OPERATION), plan))
            }
            Err(why) => Err(Refusal::Reject(Reason::new(&agent_std::redact::redact(
                &why,
            )))),
        }
    }

    async fn run<P: JobPort>(&self, plan: UpdatePlan, port: &mut P) -> Outcome {
        if !plan.resuming
            && let Err(error) = hook::clear(&self.folders, port.job_id()).await
        {
            return failed(&format!("the folder of a step cannot be used: {error}"));
        }
        let place = turns::of_target(&plan.name);
        if let Err(reason) = self.turns.take(&place, port).await {
            return failed(&format!("stopped ({reason:?}) before anything was done"));
        }
        // Another job may have had the target meanwhile, and have installed a newer one.
        if let Err(why) = self.check_version(&plan) {
            return failed(&why);
        }
        self.done(self.install(&plan, port).await, port.job_id())
            .await
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        plan: Option<UpdatePlan>,
        port: &mut P,
    ) -> Outcome {
        let Some(plan) = plan else {
            return failed("the job document is gone");
        };
        let place = turns::of_target(&plan.name);
        self.turns.take_again(&place, port.job_id()).await;
        let outcome = match Stage::read(from.bytes()) {
            Some(Stage::SelfTest) => self.prove(&plan, port).await,
            Some(Stage::RollBack(why)) => self.leave(&plan, &why, port).await,
            Some(Stage::RolledBack(why)) => failed(&format!("{why}; rolled back")),
            None => failed("the checkpoint is of another version of this agent"),
        };
        self.done(outcome, port.job_id()).await
    }
}

impl Update {
    /// The results of hooks stay where the outcome is not yet durable and a cut would repeat one
    /// that changes something; only the self-test of a version that was well may run again. The
    /// next job of this id, or the next start after a week, removes them.
    async fn done(&self, outcome: Outcome, job_id: &str) -> Outcome {
        if matches!(outcome, Outcome::Succeeded(_))
            && let Err(error) = hook::clear(&self.folders, job_id).await
        {
            tracing::warn!(%error, "what is left of a hook cannot be removed");
        }
        outcome
    }
}

fn failed(why: &str) -> Outcome {
    Outcome::failed(&agent_std::redact::redact(why))
}

fn reboot(stage: &Stage) -> Outcome {
    match stage.checkpoint() {
        Ok(checkpoint) => Outcome::Reboot(checkpoint),
        Err(fault) => failed(&fault.to_string()),
    }
}

/// Why it was not kept, otherwise.
async fn keep<P: JobPort>(stage: &Stage, port: &mut P) -> Result<(), String> {
    let checkpoint = stage.checkpoint().map_err(|fault| fault.to_string())?;
    port.checkpoint(checkpoint)
        .await
        .map_err(|stopped| format!("stopped ({:?})", stopped.0))
}

/// Removes the file and what was received of it: its name is the job's own, so nobody else ever
/// goes on with it.
fn forget(plan: &UpdatePlan, job_id: &str) {
    if let Err(error) = crate::download::forget(&plan.target.dir, &plan.file(job_id)) {
        tracing::warn!(%error, "a downloaded file cannot be removed");
    }
}
