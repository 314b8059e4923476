//! Which change of a job execution's state the service allows, and to whom.

use crate::JobStatus::{
    self, Canceled, Failed, InProgress, Queued, Rejected, Removed, Succeeded, TimedOut,
};

/// Who asks for a change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Actor {
    /// The thing itself, with *update* or *start-next*.
    Device,
    /// The service: cancel, timers, removal of the target.
    Service,
}

/// Whether `actor` can move an execution from `from` to `to`.
///
/// Only existing executions are covered: the first QUEUED and the deletion of an execution are no
/// change of state. IN_PROGRESS to CANCELED needs a forced cancel. IN_PROGRESS to IN_PROGRESS by
/// the device is a progress report.
///
/// Source: AWS IoT developer guide, jobs lifecycle; official service model, text of
/// `UpdateJobExecution.status` and `CancelJob.force`.
///
/// ```
/// use jobs_proto::JobStatus::{InProgress, Queued, Succeeded};
/// use jobs_proto::transition::{Actor, allowed};
///
/// assert!(allowed(Queued, Succeeded, Actor::Device));
/// assert!(!allowed(Succeeded, InProgress, Actor::Device));
/// ```
#[must_use]
pub const fn allowed(from: JobStatus, to: JobStatus, actor: Actor) -> bool {
    match actor {
        Actor::Device => match from {
            Queued | InProgress => match to {
                InProgress | Succeeded | Failed | Rejected => true,
                Queued | TimedOut | Removed | Canceled => false,
            },
            Succeeded | Failed | TimedOut | Rejected | Removed | Canceled => false,
        },
        Actor::Service => match from {
            // Timers start at IN_PROGRESS, so a queued execution never times out.
            Queued => match to {
                Removed | Canceled => true,
                Queued | InProgress | Succeeded | Failed | TimedOut | Rejected => false,
            },
            InProgress => match to {
                TimedOut | Removed | Canceled => true,
                Queued | InProgress | Succeeded | Failed | Rejected => false,
            },
            Succeeded | Failed | TimedOut | Rejected | Removed | Canceled => false,
        },
    }
}
