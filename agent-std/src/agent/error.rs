//! Why an agent does not start, or cannot go on.

use jobs_proto::IdError;

use crate::boot::BootError;
use crate::link::ConfigError;
use crate::store::StoreError;

/// Why an agent does not start, or cannot go on. What passes by itself (no network, a broker that
/// refuses, a full disk) is logged and tried again instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The thing name is none.
    #[error("{name:?} is no thing name ({source}): use 1 to 128 of a-z A-Z 0-9 : _ -")]
    Thing {
        /// What was given.
        name: String,
        /// What is wrong with it.
        source: IdError,
    },
    /// The connection cannot be made as configured.
    #[error("the endpoint cannot be used: {0}")]
    Endpoint(#[from] ConfigError),
    /// The records cannot be kept.
    #[error("job records cannot be kept: {0}")]
    Store(#[from] StoreError),
    /// The boot cannot be told from others.
    #[error("{0}")]
    Boot(#[from] BootError),
    /// An earlier agent with more slots left more unfinished jobs than this one has slots.
    #[error(
        "{records} unfinished jobs are recorded and there are {jobs} slots: start once with \
         jobs::<{records}>() and let them finish"
    )]
    TooFewSlots {
        /// Records found.
        records: usize,
        /// Slots of this agent.
        jobs: usize,
    },
}
