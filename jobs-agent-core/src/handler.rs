//! What a user writes: a handler, and what it may ask of the agent while it works.
//!
//! The same handler source runs on Linux and on a board; nothing here allocates or blocks.

use core::future::Future;

use jobs_proto::{JobId, JobStatus, decode::StatusDetails, document::Document};

use crate::{
    checkpoint::Checkpoint,
    outcome::{Outcome, Progress, Reason},
};

/// A job that the service offers, as a handler sees it while it decides.
///
/// Borrows the adapter's receive buffer: everything a handler needs later goes into its plan.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'b> {
    /// The job.
    pub job_id: JobId<'b>,
    /// Which execution of the job on this thing; `None` if the message did not say.
    pub execution_number: Option<i64>,
    /// Status at the service, `None` if the message did not say or the word is unknown.
    pub status: Option<JobStatus>,
    /// What an earlier report left at the service.
    pub status_details: Option<StatusDetails<'b>>,
    /// The job document: exactly the bytes that came.
    pub document: Document<'b>,
    /// This offer repeats a job that this device has already begun, after a restart.
    pub resuming: bool,
}

/// Which handler a started job belongs to; kept in its record, so that a restart finds it again.
///
/// Derived from the operation's *name*, never from a position in a list: a firmware update may
/// reorder handlers, and the record must still find its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationTag(pub u32);

impl OperationTag {
    /// The tag of the operation with this name (32-bit FNV-1a).
    ///
    /// ```
    /// use jobs_agent_core::OperationTag;
    /// assert_ne!(OperationTag::of("reboot"), OperationTag::of("firmwareUpdate"));
    /// ```
    #[must_use]
    pub const fn of(name: &str) -> Self {
        Self(crate::hash::fnv1a(crate::hash::FNV_START, name.as_bytes()))
    }
}

/// Why a handler does not take an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No handler knows this operation; [`Unclaimed`](crate::Unclaimed) decides what follows.
    Unknown,
    /// The job is somebody else's: leave it alone, whatever the configuration says.
    NotMine,
    /// The job is ours and cannot be done: report REJECTED with this reason.
    Reject(Reason),
    /// Not now (busy, low battery, outside a window): ask again in so many milliseconds.
    Later {
        /// Milliseconds until the offer is looked at again.
        retry_ms: u32,
    },
}

/// How the agent treats the runs of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunPolicy {
    /// May the work be run again when a restart cut it off before its first checkpoint? If not,
    /// such a job is reported FAILED, because nobody can know how far it came.
    pub rerun: bool,
    /// The work is instantaneous *and* idempotent: it may run on the offer alone, without a
    /// durable start and without the service's word, and costs one publish (P8). Only on a fresh
    /// notification: found again after a restart, it is started and counted like any other. It
    /// cannot ask for a reboot.
    pub instant: bool,
    /// Dead-man's switch at the service, minutes (1..=10080): sent with the start and renewed at
    /// half time for as long as the handler is alive. `None`: the job's own timer alone.
    pub step_timeout_minutes: Option<u16>,
    /// How long one run may take on this device, milliseconds; then the handler is stopped and
    /// the job reported FAILED. `None`: no local limit.
    pub time_limit_ms: Option<u32>,
}

impl RunPolicy {
    /// Run again after a cut, confirmed start, no time-outs.
    pub const DEFAULT: Self = Self {
        rerun: true,
        instant: false,
        step_timeout_minutes: None,
        time_limit_ms: None,
    };
}

impl Default for RunPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a running handler should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The service canceled the execution.
    Canceled = 1,
    /// The service timed the execution out.
    TimedOut,
    /// The thing is no longer a target, or the job was deleted.
    Removed,
    /// The execution is over at the service, for a reason it did not name.
    Over,
    /// The handler's own [`RunPolicy::time_limit_ms`] has passed.
    TimeLimit,
}

/// The job was stopped: the handler should clean up and return; its outcome no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stopped(pub StopReason);

/// Does one kind of job.
///
/// `plan` decides, `run` works, `resume` goes on after a restart. A handler keeps what it must
/// not lose in checkpoints, and never reports or reboots by itself: it *returns* what should
/// happen.
#[allow(async_fn_in_trait)] // Boards have no Send; on Linux, auto traits leak through generics.
pub trait JobHandler {
    /// What `plan` read out of the document: owned, fixed-size on boards, anything on Linux.
    type Plan;

    /// Looks at an offer and decides, without side effects: it may be called again for the same
    /// job at any time.
    ///
    /// # Errors
    /// A [`Refusal`] says what happens to a job that is not taken.
    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Self::Plan), Refusal>;

    /// How the runs of this plan are treated; asked once, right after `plan`. A document may set
    /// its own time limit, for example.
    fn policy(&self, tag: OperationTag, plan: &Self::Plan) -> RunPolicy {
        let _ = (tag, plan);
        RunPolicy::DEFAULT
    }

    /// Does the work. Called when the start is durable and the service has confirmed it (P1).
    ///
    /// # Cancel safety
    /// The future may be dropped at any await (restart, stop that is not obeyed): it must leave
    /// nothing that `resume`, or another `run`, cannot deal with.
    async fn run<P: JobPort>(&self, plan: Self::Plan, port: &mut P) -> Outcome;

    /// Goes on from the last checkpoint after a restart or a reboot.
    ///
    /// `plan` is given if the checkpoint asked for the document
    /// ([`Checkpoint::needs_document`]); otherwise the job resumes without any network.
    ///
    /// # Cancel safety
    /// As for `run`.
    async fn resume<P: JobPort>(
        &self,
        tag: OperationTag,
        from: &Checkpoint,
        plan: Option<Self::Plan>,
        port: &mut P,
    ) -> Outcome;
}

/// What a handler may ask of the agent while it works.
pub trait JobPort {
    /// Makes `checkpoint` durable; returns only when it is.
    ///
    /// # Errors
    /// [`Stopped`] when the job is over; the checkpoint may or may not have been kept.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo a write that has begun.
    fn checkpoint(&mut self, checkpoint: Checkpoint) -> impl Future<Output = Result<(), Stopped>>;

    /// Reports progress to the service: coalesced, rate-limited, and allowed to be lost (P7).
    fn report(&mut self, progress: Progress);

    /// The reason to stop, once there is one. Cheap; ask between steps.
    fn stop_requested(&self) -> Option<StopReason>;

    /// Waits until the job should stop; for use beside the work in a `select`.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost when dropped.
    fn stopped(&mut self) -> impl Future<Output = StopReason>;

    /// Milliseconds left until the job times out, as far as the device knows.
    fn deadline_ms(&self) -> Option<u64>;

    /// Which attempt this is since the last checkpoint, from 1, and how many there may be. A
    /// handler that can roll back does so on its last one.
    fn attempt(&self) -> Attempt;

    /// The job that is being done.
    fn job_id(&self) -> &str;
}

/// A numbered attempt at a job, see [`JobPort::attempt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// This attempt, from 1.
    pub number: u8,
    /// The last one there will be.
    pub last: u8,
}
