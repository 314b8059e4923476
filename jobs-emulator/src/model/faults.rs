//! Faults that live in the service itself; the rest (loss, delay, duplicates) belongs to the link.

use serde::{Deserialize, Serialize};

/// A fault to switch on with [`Service::set_fault`](super::Service::set_fault).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// The next device requests are refused with `RequestThrottled` and change nothing.
    Throttle {
        /// How many requests; 0 switches the fault off.
        requests: u32,
    },
    /// The next device requests are refused with `InternalError` and change nothing.
    InternalError {
        /// How many requests; 0 switches the fault off.
        requests: u32,
    },
    /// Every execution queued from now on is notified at once, but the device's first reads
    /// answer as if it were absent: a read can lag behind the notification.
    ReadLag {
        /// How many reads (`get`, `$next/get`, `{jobId}/get`, `start-next`) of the thing; 0
        /// switches the fault off for executions queued later.
        reads: u32,
    },
}

/// What is left of the faults that are switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Faults {
    pub(crate) throttle: u32,
    pub(crate) internal_error: u32,
    pub(crate) read_lag: u32,
}

impl Faults {
    pub(crate) fn set(&mut self, fault: Fault) {
        match fault {
            Fault::Throttle { requests } => self.throttle = requests,
            Fault::InternalError { requests } => self.internal_error = requests,
            Fault::ReadLag { reads } => self.read_lag = reads,
        }
    }
}
