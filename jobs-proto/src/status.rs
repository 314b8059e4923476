//! The states of a job execution.

use crate::text::{self, EscapedStr};
use crate::words::words;

words! {
    /// The names of [`JobStatus::ALL`] on the wire.
    STATUSES, find_status, STATUS_NAMES:
    "QUEUED",
    "IN_PROGRESS",
    "SUCCEEDED",
    "FAILED",
    "TIMED_OUT",
    "REJECTED",
    "REMOVED",
    "CANCELED",
}

/// The state of a job execution (official service model, `JobExecutionStatus`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum JobStatus {
    /// Waiting to be started; set by the service.
    Queued,
    /// Started; set by the device.
    InProgress,
    /// Done; set by the device. Terminal.
    Succeeded,
    /// Not done; set by the device. Terminal, the service may queue a retry.
    Failed,
    /// Took too long; set by the service. Terminal, the service may queue a retry.
    TimedOut,
    /// Refused; set by the device. Terminal.
    Rejected,
    /// The thing is no longer a target; set by the service. Terminal.
    Removed,
    /// Cancelled; set by the service. Terminal.
    Canceled,
}

impl JobStatus {
    /// All states, in the order of the model.
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

    /// The state with this number in [`JobStatus::ALL`]; a table would cost flash.
    pub(crate) const fn nth(index: u8) -> Option<Self> {
        match index {
            0 => Some(Self::Queued),
            1 => Some(Self::InProgress),
            2 => Some(Self::Succeeded),
            3 => Some(Self::Failed),
            4 => Some(Self::TimedOut),
            5 => Some(Self::Rejected),
            6 => Some(Self::Removed),
            7 => Some(Self::Canceled),
            _ => None,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        text::nth(STATUS_NAMES, self as usize)
    }

    /// The state with this name on the wire; case matters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the execution is over (AWS IoT developer guide, jobs lifecycle).
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

/// A state that a device may name in an update (official service model, `UpdateJobExecution`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum UpdateStatus {
    /// Started, or still running.
    InProgress = JobStatus::InProgress as isize,
    /// Done.
    Succeeded = JobStatus::Succeeded as isize,
    /// Not done.
    Failed = JobStatus::Failed as isize,
    /// Refused.
    Rejected = JobStatus::Rejected as isize,
}

impl UpdateStatus {
    /// All four, in the order of the model.
    pub const ALL: [Self; 4] = [
        Self::InProgress,
        Self::Succeeded,
        Self::Failed,
        Self::Rejected,
    ];

    /// The same state as a [`JobStatus`].
    #[must_use]
    pub const fn status(self) -> JobStatus {
        match self {
            Self::InProgress => JobStatus::InProgress,
            Self::Succeeded => JobStatus::Succeeded,
            Self::Failed => JobStatus::Failed,
            Self::Rejected => JobStatus::Rejected,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.status().as_str()
    }

    /// Whether the update ends the execution.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        self.status().is_terminal()
    }
}

impl From<UpdateStatus> for JobStatus {
    fn from(status: UpdateStatus) -> Self {
        status.status()
    }
}

/// A `status` member as it was received.
///
/// A name that a later service may add is a value and never an error. One example of the AWS IoT
/// developer guide has an execution without the member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WireStatus {
    /// One of the eight states.
    Known(JobStatus),
    /// A name that this version does not know.
    Unknown,
    /// The member is missing.
    Absent,
}

impl WireStatus {
    pub(crate) fn read(text: EscapedStr<'_>) -> Self {
        JobStatus::nth(find_status(text)).map_or(Self::Unknown, Self::Known)
    }

    /// The state, when it is one of the eight.
    #[must_use]
    pub const fn known(self) -> Option<JobStatus> {
        match self {
            Self::Known(status) => Some(status),
            Self::Unknown | Self::Absent => None,
        }
    }

    /// Whether this is that state.
    #[must_use]
    pub fn is(self, status: JobStatus) -> bool {
        self == Self::Known(status)
    }
}
