//! The records of the service: things, groups, jobs and executions, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::job_config::{AbortCriterion, RetryCriterion, Rollout};

/// Status of a job execution.
///
/// Source: service model `iot-jobs-data`, `JobExecutionStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    /// Waiting for the device.
    Queued,
    /// The device works on it.
    InProgress,
    /// Done, said by the device.
    Succeeded,
    /// Failed, said by the device.
    Failed,
    /// A timer of the service ran out.
    TimedOut,
    /// The device will not do it.
    Rejected,
    /// The thing is no target any more.
    Removed,
    /// Canceled at the service.
    Canceled,
}

impl ExecutionStatus {
    /// Every status, in the order of the service model.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::InProgress,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Rejected,
        Self::Removed,
        Self::Canceled,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Rejected => "REJECTED",
            Self::Removed => "REMOVED",
            Self::Canceled => "CANCELED",
        }
    }

    /// The status of that wire name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::InProgress => false,
            Self::Succeeded
            | Self::Failed
            | Self::TimedOut
            | Self::Rejected
            | Self::Removed
            | Self::Canceled => true,
        }
    }
}

/// Status of a job.
///
/// Source: service model `iot`, `JobStatus`. SCHEDULED does not occur: the model has no scheduling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// Handing out executions or waiting for them.
    InProgress,
    /// Canceled by a request or by abort criteria.
    Canceled,
    /// Every execution of a snapshot job is over.
    Completed,
    /// Deleted, still shown for a while.
    DeletionInProgress,
}

impl JobStatus {
    /// The names that a list may be filtered by, those that do not occur here too.
    pub(crate) const NAMES: [&'static str; 5] = [
        "IN_PROGRESS",
        "CANCELED",
        "COMPLETED",
        "DELETION_IN_PROGRESS",
        "SCHEDULED",
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Canceled => "CANCELED",
            Self::Completed => "COMPLETED",
            Self::DeletionInProgress => "DELETION_IN_PROGRESS",
        }
    }
}

/// Whether a job ends with its first targets or follows its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TargetSelection {
    Continuous,
    Snapshot,
}

impl TargetSelection {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Continuous => "CONTINUOUS",
            Self::Snapshot => "SNAPSHOT",
        }
    }
}

/// `statusDetails`: replaced as a whole, never merged.
pub(crate) type StatusDetails = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Thing {
    pub(crate) thing_id: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) type_name: Option<String>,
    pub(crate) version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) group_id: String,
    pub(crate) created_at_ms: u64,
    pub(crate) description: Option<String>,
    pub(crate) version: u64,
    pub(crate) things: BTreeSet<String>,
}

/// A target as `CreateJob` names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Target {
    Thing(String),
    Group(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) status: JobStatus,
    /// As stored: placeholders unresolved, bytes as given.
    pub(crate) document: String,
    pub(crate) description: Option<String>,
    pub(crate) selection: TargetSelection,
    pub(crate) targets: Vec<Target>,
    pub(crate) in_progress_timeout_minutes: Option<u64>,
    pub(crate) presigned_expires_sec: u64,
    pub(crate) presigned_role_arn: Option<String>,
    pub(crate) retry: Vec<RetryCriterion>,
    pub(crate) abort: Vec<AbortCriterion>,
    pub(crate) rollout: Option<Rollout>,
    pub(crate) created_at_ms: u64,
    pub(crate) updated_at_ms: u64,
    pub(crate) completed_at_ms: Option<u64>,
    pub(crate) reason_code: Option<String>,
    pub(crate) comment: Option<String>,
    pub(crate) force_canceled: bool,
    /// Things that have an execution of this job (an index into the executions).
    pub(crate) members: BTreeSet<String>,
    /// Executions that are not over: tells when the job is done without a look at the fleet.
    pub(crate) open: u64,
    /// Targets the roll-out has not reached yet, in order.
    pub(crate) waiting: Vec<String>,
    /// Things notified so far; drives the exponential roll-out.
    pub(crate) notified: u64,
    /// When the roll-out goes on.
    pub(crate) next_rollout_ms: Option<u64>,
    /// Retries that wait for their delay.
    pub(crate) due_retries: Vec<DueRetry>,
    /// When a deleted job disappears.
    pub(crate) gone_at_ms: Option<u64>,
}

/// A retry that waits for its delay.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct DueRetry {
    pub(crate) at_ms: u64,
    pub(crate) thing: String,
    pub(crate) used: RetriesUsed,
}

/// Retries that led to an execution, by what they answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RetriesUsed {
    pub(crate) failed: u32,
    pub(crate) timed_out: u32,
}

impl RetriesUsed {
    pub(crate) const fn total(self) -> u32 {
        self.failed.saturating_add(self.timed_out)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Execution {
    pub(crate) status: ExecutionStatus,
    pub(crate) details: Option<StatusDetails>,
    pub(crate) version: u64,
    pub(crate) queued_at_ms: u64,
    /// Tells apart executions queued in the same millisecond.
    pub(crate) serial: u64,
    pub(crate) started_at_ms: Option<u64>,
    pub(crate) updated_at_ms: u64,
    pub(crate) force_canceled: bool,
    pub(crate) job_deadline_ms: Option<u64>,
    pub(crate) step_deadline_ms: Option<u64>,
    pub(crate) retries_used: RetriesUsed,
    /// Device reads that still answer as if the execution were absent (read-after-notify lag).
    pub(crate) hidden_reads: u32,
}

impl Execution {
    /// The announced deadline: the earlier of the two timers, while in progress.
    ///
    /// Source: AWS IoT developer guide, jobs-configurations-details.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        match self.status {
            ExecutionStatus::InProgress => self
                .job_deadline_ms
                .into_iter()
                .chain(self.step_deadline_ms)
                .min(),
            ExecutionStatus::Queued
            | ExecutionStatus::Succeeded
            | ExecutionStatus::Failed
            | ExecutionStatus::TimedOut
            | ExecutionStatus::Rejected
            | ExecutionStatus::Removed
            | ExecutionStatus::Canceled => None,
        }
    }

    /// Every accepted change counts the version up by one.
    pub(crate) fn changed(&mut self, now_ms: u64, status: ExecutionStatus) {
        self.status = status;
        self.version = self.version.saturating_add(1);
        self.updated_at_ms = now_ms;
        if status.is_terminal() {
            self.job_deadline_ms = None;
            self.step_deadline_ms = None;
        }
    }
}

/// What one execution looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExecutionView {
    /// The thing.
    pub thing_name: String,
    /// The job.
    pub job_id: String,
    /// Number of the execution among those of this job on this thing.
    pub execution_number: u64,
    /// Status.
    pub status: ExecutionStatus,
    /// `statusDetails`, if any were ever set.
    pub status_details: Option<BTreeMap<String, String>>,
    /// `versionNumber`; 1 when queued.
    pub version_number: u64,
    /// When it was queued, in ms since the epoch.
    pub queued_at_ms: u64,
    /// When it first became IN_PROGRESS, in ms since the epoch.
    pub started_at_ms: Option<u64>,
    /// When it last changed, in ms since the epoch.
    pub last_updated_at_ms: u64,
    /// When the earlier of its timers runs out, in ms since the epoch.
    pub deadline_ms: Option<u64>,
    /// Whether a cancel with force ended it.
    pub force_canceled: bool,
    /// How many retries led to it.
    pub retry_attempt: u32,
}
