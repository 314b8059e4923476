//! Handlers as lists of steps, so that a test can say what should have happened.

use jobs_agent_core::RunPolicy;

/// One step of a scripted handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Something happens in the world outside; the observer counts it.
    Effect(&'static str),
    /// Everything before this step is done for good: a resume goes on after it.
    Checkpoint,
    /// As `Checkpoint`, and a resume needs the job document.
    CheckpointWithDocument,
    /// Progress in percent.
    Report(u8),
    /// The work takes this long, milliseconds.
    Sleep(u64),
    /// The device has to be reset; a resume goes on after this step.
    Reboot,
    /// The end: SUCCEEDED.
    Succeed,
    /// The end: FAILED.
    Fail,
    /// Takes the device down, as a handler with a bug would, whenever it is reached.
    Crash,
    /// Takes the device down the first time it is reached.
    Stumble,
}

/// A scripted handler.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// How its runs are treated.
    pub policy: RunPolicy,
}

impl Script {
    /// A script with the default policy.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            policy: RunPolicy::DEFAULT,
        }
    }

    /// The same script under another policy.
    #[must_use]
    pub fn policy(mut self, policy: RunPolicy) -> Self {
        self.policy = policy;
        self
    }
}
