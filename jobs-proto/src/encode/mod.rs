//! Writing requests into a lent buffer.
//!
//! Each request is a plain struct with one `encode`. What is longest is a constant, `LEN_MAX`.
//! Source of all shapes: AWS IoT developer guide, jobs-mqtt-api.

mod describe;
mod get_pending;
mod object;
mod start_next;
mod update;

pub use describe::Describe;
pub use get_pending::GetPending;
pub use start_next::{StartNext, StepMinutes};
pub use update::{StepTimeout, Update};

use core::fmt;

use crate::details::DetailsError;
use crate::write::TooSmall;

/// Longest GetPendingJobExecutions request, in bytes.
pub const GET_PENDING_LEN_MAX: usize = GetPending::LEN_MAX;
/// Longest StartNextPendingJobExecution request, in bytes.
pub const START_NEXT_LEN_MAX: usize = StartNext::LEN_MAX;
/// Longest DescribeJobExecution request, in bytes.
pub const DESCRIBE_LEN_MAX: usize = Describe::LEN_MAX;
/// Longest UpdateJobExecution request, in bytes.
pub const UPDATE_LEN_MAX: usize = Update::LEN_MAX;

/// Why a request could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EncodeError {
    /// The buffer is too small; lend one of `needed` bytes.
    TooSmall {
        /// The exact length needed, in bytes.
        needed: usize,
    },
    /// The status details are not legal; correct them.
    Details(DetailsError),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed } => TooSmall { needed: *needed }.fmt(f),
            Self::Details(error) => write!(f, "status details: {error}"),
        }
    }
}

impl core::error::Error for EncodeError {}

impl From<TooSmall> for EncodeError {
    fn from(TooSmall { needed }: TooSmall) -> Self {
        Self::TooSmall { needed }
    }
}

impl From<DetailsError> for EncodeError {
    fn from(error: DetailsError) -> Self {
        Self::Details(error)
    }
}
