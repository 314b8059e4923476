//! The configuration a job carries: retries, abort criteria, roll-out.

use serde::{Deserialize, Serialize};

/// Which failures a criterion counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FailureType {
    Failed,
    Rejected,
    TimedOut,
    All,
}

impl FailureType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::Rejected => "REJECTED",
            Self::TimedOut => "TIMED_OUT",
            Self::All => "ALL",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Failed, Self::Rejected, Self::TimedOut, Self::All]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RetryCriterion {
    /// FAILED, TIMED_OUT or ALL; REJECTED is never retried.
    pub(crate) failure: FailureType,
    pub(crate) retries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct AbortCriterion {
    pub(crate) failure: FailureType,
    /// Hundredths of a percent: the API allows two decimals, and integers compare exactly.
    pub(crate) threshold_basis_points: u64,
    pub(crate) min_executed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) maximum_per_minute: Option<u64>,
    pub(crate) exponential: Option<ExponentialRate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ExponentialRate {
    pub(crate) base_per_minute: u64,
    /// Tenths: the API allows one decimal.
    pub(crate) factor_tenths: u64,
    pub(crate) criterion: RateCriterion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum RateCriterion {
    Notified(u64),
    Succeeded(u64),
}
