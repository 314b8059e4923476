//! Documents with steps, done as a job.

mod details;
mod environment;

use std::{path::PathBuf, time::Duration};

use agent_std::redact::redact;
use jobs_agent_core::{
    Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Progress, Reason, Refusal,
    StopReason,
};
use tokio::time::timeout;

use crate::{
    document::{Action, Step, StepDocument},
    policy::{Interrupted, StepPolicy, Task},
    saved::Saved,
    step::{StepFault, Steps},
    supervise::{End, Folder, StepResult},
};

/// The operation under which jobs of steps are kept in records.
const OPERATION: &str = "jobs-agent/steps";

/// Milliseconds that outputs are read after a step's own process has ended: what a pipe holds is
/// read in one, so this is for writers that hand over.
const DRAIN_MS: u64 = 1_000;

/// Does documents with steps under a policy.
#[derive(Clone, Debug)]
pub struct StepRunner {
    policy: StepPolicy,
    steps: Steps,
    /// A folder for each step that is on its way.
    folders: PathBuf,
    fetch: crate::download::Downloads,
}

/// What [`StepRunner`] read out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepPlan {
    document: StepDocument,
    tasks: Vec<Task>,
    resuming: bool,
}

/// How a step went.
enum Done {
    Result(Box<StepResult>),
    Failed(String),
    Reboot,
    Stopped(StopReason),
}

impl StepRunner {
    /// Works under this policy, keeps what it must not lose in `folders`, and supervises by the
    /// program of `steps`.
    #[must_use]
    pub fn new(policy: StepPolicy, steps: Steps, folders: impl Into<PathBuf>) -> Self {
        Self {
            fetch: crate::download::Downloads::new(policy.download.clone()),
            policy,
            steps,
            folders: folders.into(),
        }
    }

    /// Ends and removes what was left of a job's steps, except of one: by a life of the agent that
    /// ended between a checkpoint and the removal, or by an earlier job of this id, of which a step
    /// may still be at work.
    async fn clear(&self, job_id: &str, except: Option<&Folder>) -> std::io::Result<()> {
        for folder in Folder::all_of(&self.folders, job_id)? {
            if except.is_none_or(|except| except.path() != folder.path()) {
                Steps::stop(&folder).await?;
                folder.remove()?;
            }
        }
        Ok(())
    }

    async fn work<P: JobPort>(&self, plan: StepPlan, mut saved: Saved, port: &mut P) -> Outcome {
        let total = plan.tasks.len();
        let all = plan.document.all().zip(&plan.tasks).enumerate();
        for (index, (step, task)) in all.skip(usize::from(saved.next)) {
            if !saved.reason.is_empty() {
                break;
            }
            if let Some(reason) = port.stop_requested() {
                return stopped(reason, &saved, &plan.document);
            }
            let folder = Folder::of_step(&self.folders, port.job_id(), index);
            if let Err(error) = self.clear(port.job_id(), Some(&folder)).await {
                return Outcome::failed(&format!("the folder of a step cannot be used: {error}"));
            }
            let label = format!("{}/{total} {}", index + 1, redact(&step.name));
            port.report(Progress::new().with("step", &label));
            let done = self.step(step, task, &folder, port).await;
            saved.next = u16::try_from(index + 1).unwrap_or(u16::MAX);
            match done {
                Done::Reboot => {
                    return match saved.checkpoint() {
                        Ok(checkpoint) => Outcome::Reboot(checkpoint),
                        Err(fault) => Outcome::failed(&fault.to_string()),
                    };
                }
                Done::Stopped(reason) => return stopped(reason, &saved, &plan.document),
                Done::Result(result) => {
                    details::add(&mut saved, &result);
                    if let Some(why) = failure(step, &result) {
                        failed(&mut saved, step, index, &why);
                    }
                }
                Done::Failed(why) => failed(&mut saved, step, index, &why),
            }
            if let Err(stop) = self.keep(&saved, &folder, port).await {
                return stop;
            }
        }
        details::outcome(&saved, &plan.document)
    }

    /// Makes the end of a step durable, and only then forgets its folder.
    async fn keep<P: JobPort>(
        &self,
        saved: &Saved,
        folder: &Folder,
        port: &mut P,
    ) -> Result<(), Outcome> {
        let checkpoint = saved
            .checkpoint()
            .map_err(|fault| Outcome::failed(&fault.to_string()))?;
        port.checkpoint(checkpoint)
            .await
            .map_err(|stop| Outcome::failed(&format!("stopped ({:?})", stop.0)))?;
        // What is left is found, and removed, before the next step.
        let _ = folder.remove();
        Ok(())
    }

    async fn step<P: JobPort>(
        &self,
        step: &Step,
        task: &Task,
        folder: &Folder,
        port: &mut P,
    ) -> Done {
        match task {
            Task::Reboot => Done::Reboot,
            Task::Download { url, path } => {
                let limit = Duration::from_secs(self.policy.step_timeout_s);
                tokio::select! {
                    result = timeout(limit, self.fetch.get(url, path)) => match result {
                        Ok(Ok(())) => Done::Result(Box::new(details::quiet())),
                        Ok(Err(fault)) => Done::Failed(fault.to_string()),
                        Err(_) => Done::Failed(End::TimedOut.to_string()),
                    },
                    reason = port.stopped() => Done::Stopped(reason),
                }
            }
            Task::Handler { .. } | Task::Command { .. } => {
                let spec = match environment::spec(&self.policy, step, task, port.job_id()) {
                    Ok(spec) => spec,
                    Err(fault) => return Done::Failed(fault.to_string()),
                };
                tokio::select! {
                    done = self.supervised(folder, &spec) => done,
                    reason = port.stopped() => {
                        // Whatever stays behind ends by its own time limit.
                        if let Err(error) = Steps::stop(folder).await {
                            tracing::warn!(%error, "a step could not be stopped");
                        }
                        let _ = folder.remove();
                        Done::Stopped(reason)
                    }
                }
            }
        }
    }

    async fn supervised(&self, folder: &Folder, spec: &crate::supervise::Spec) -> Done {
        let mut rerun = self.policy.interrupted == Interrupted::Rerun;
        loop {
            match self.steps.run(folder, spec).await {
                Ok(result) => return Done::Result(Box::new(result)),
                // Once in this life: what kills its supervisor each time would do so for ever.
                Err(StepFault::Interrupted) if rerun => {
                    rerun = false;
                    tracing::warn!("a step was interrupted and is done again");
                    if let Err(error) = folder.remove() {
                        return Done::Failed(error.to_string());
                    }
                }
                Err(fault) => return Done::Failed(fault.to_string()),
            }
        }
    }
}

impl JobHandler for StepRunner {
    type Plan = StepPlan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, StepPlan), Refusal> {
        let reject = |text: String| Refusal::Reject(Reason::new(&redact(&text)));
        let document = match StepDocument::read(offer.document.0) {
            None => return Err(Refusal::Unknown),
            Some(Err(fault)) => return Err(reject(format!("job document: {fault}"))),
            Some(Ok(document)) => document,
        };
        // The old schema looks like any document with an `operation`: only ours if we know it.
        let old = offer.document.raw_field("version").is_none();
        if let (
            true,
            [
                Step {
                    action: Action::Handler { name, .. },
                    ..
                },
            ],
        ) = (old, &document.steps[..])
            && !self.policy.knows(name)
        {
            return Err(Refusal::Unknown);
        }
        let tasks = self.policy.tasks(&document);
        let tasks = tasks.map_err(|fault| reject(fault.to_string()))?;
        let plan = StepPlan {
            document,
            tasks,
            resuming: offer.resuming,
        };
        Ok((OperationTag::of(OPERATION), plan))
    }

    async fn run<P: JobPort>(&self, plan: StepPlan, port: &mut P) -> Outcome {
        if !plan.resuming
            && let Err(error) = self.clear(port.job_id(), None).await
        {
            return Outcome::failed(&format!("the folder of a step cannot be used: {error}"));
        }
        self.work(plan, Saved::default(), port).await
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        plan: Option<StepPlan>,
        port: &mut P,
    ) -> Outcome {
        match (plan, Saved::read(from.bytes())) {
            (Some(plan), Some(saved)) => self.work(plan, saved, port).await,
            (None, Some(_)) => Outcome::failed("the job document is gone"),
            (_, None) => Outcome::failed("the checkpoint is of another version of this agent"),
        }
    }
}

/// Why a step that ran has failed, if it has.
fn failure(step: &Step, result: &StepResult) -> Option<String> {
    match &result.end {
        End::Exited(0) => {
            let most = u64::from(step.stderr_lines_max?);
            let lines = result.stderr_lines;
            (lines > most).then(|| format!("{lines} lines on stderr, {most} are allowed"))
        }
        end => Some(end.to_string()),
    }
}

fn failed(saved: &mut Saved, step: &Step, index: usize, why: &str) {
    tracing::info!(
        step = index + 1,
        ignored = step.ignore_failure,
        "step failed"
    );
    if step.ignore_failure {
        saved.ignored = saved.ignored.saturating_add(1);
    } else {
        let (name, why) = (redact(&step.name), redact(why));
        saved.reason = format!("step {} \"{name}\": {why}", index + 1);
    }
}

fn stopped(reason: StopReason, saved: &Saved, document: &StepDocument) -> Outcome {
    let mut saved = saved.clone();
    saved.reason = format!("stopped ({reason:?})");
    details::outcome(&saved, document)
}
