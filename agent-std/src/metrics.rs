//! Counters of one agent, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};

use jobs_agent_core::{Ending, Status};

/// Counters of one agent since it was built; they only grow.
///
/// Read them from any thread while the agent runs: see [`Agent::metrics`](crate::Agent::metrics).
#[derive(Debug, Default)]
pub struct Metrics {
    succeeded: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
    stopped: AtomicU64,
    unreported: AtomicU64,
    left: AtomicU64,
    connects: AtomicU64,
    kicked: AtomicU64,
    ignored: AtomicU64,
    panics: AtomicU64,
    store_errors: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs whose SUCCEEDED the service accepted.
    pub succeeded: u64,
    /// Jobs whose FAILED the service accepted.
    pub failed: u64,
    /// Jobs whose REJECTED the service accepted.
    pub rejected: u64,
    /// Jobs that were canceled, timed out or removed while they ran.
    pub stopped: u64,
    /// Jobs whose outcome did not count: over already, or refused by the service.
    pub unreported: u64,
    /// Jobs left to somebody else.
    pub left: u64,
    /// Connections to the broker.
    pub connects: u64,
    /// Connections that the broker closed right after accepting them, once that is a habit:
    /// probably another client uses the same client id
    /// ([`LinkError::Kicked`](crate::link::LinkError::Kicked)).
    pub kicked: u64,
    /// Messages that changed nothing: old, repeated, foreign or unreadable.
    pub ignored: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Record writes that failed and were, or will be, tried again.
    pub store_errors: u64,
}

impl Metrics {
    /// The counters as they are now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            succeeded: read(&self.succeeded),
            failed: read(&self.failed),
            rejected: read(&self.rejected),
            stopped: read(&self.stopped),
            unreported: read(&self.unreported),
            left: read(&self.left),
            connects: read(&self.connects),
            kicked: read(&self.kicked),
            ignored: read(&self.ignored),
            panics: read(&self.panics),
            store_errors: read(&self.store_errors),
        }
    }

    pub(crate) fn ended(&self, ending: Ending) {
        add(match ending {
            Ending::Reported(Status::Succeeded) => &self.succeeded,
            Ending::Reported(Status::Failed) => &self.failed,
            Ending::Reported(Status::Rejected) => &self.rejected,
            Ending::AlreadyOver | Ending::Refused => &self.unreported,
            Ending::Stopped(_) => &self.stopped,
            Ending::Left => &self.left,
        });
    }

    pub(crate) fn connected(&self) {
        add(&self.connects);
    }

    pub(crate) fn kicked(&self) {
        add(&self.kicked);
    }

    pub(crate) fn ignored(&self) {
        add(&self.ignored);
    }

    pub(crate) fn panicked(&self) {
        add(&self.panics);
    }

    pub(crate) fn store_failed(&self) {
        add(&self.store_errors);
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
