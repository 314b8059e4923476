//! The one ordered stream of effects, and the receipts that come back for them.

use jobs_proto::JobId;

use crate::{
    checkpoint::Checkpoint,
    handler::{Attempt, OperationTag, StopReason},
    time::{Millis, Timer},
};

/// What the adapter does next. Ordered: perform each before asking for another, or keep the
/// order per slot; then hand its receipt back by [`Agent::handle_done`](crate::Agent::handle_done).
///
/// An effect may take its time: the agent goes on with other slots until its receipt is back.
#[derive(Debug)]
#[must_use = "an output is an obligation: perform it"]
pub enum Output<'s> {
    /// Make `record` durable as the only record of `slot`, then return the receipt.
    Persist {
        /// Returned by `handle_done` when the bytes would survive a power cut.
        receipt: Receipt,
        /// The slot whose record this is; a record replaces the slot's earlier one.
        slot: u8,
        /// The bytes to keep.
        record: &'s [u8],
    },
    /// Forget the record of `slot`, durably, then return the receipt.
    Erase {
        /// Returned by `handle_done` when the record would not come back after a power cut.
        receipt: Receipt,
        /// The slot whose record goes.
        slot: u8,
    },
    /// Publish; return the receipt with an error if it surely did not leave. The reply, not the
    /// PUBACK, is what counts, so success may be reported as soon as the packet is queued.
    Transmit {
        /// Returned by `handle_done`.
        receipt: Receipt,
        /// The topic.
        topic: &'s str,
        /// The payload.
        payload: &'s [u8],
        /// Whether to publish at QoS 1 (requests) or QoS 0 (progress).
        at_least_once: bool,
    },
    /// Subscribe to these filters in one packet at QoS 1; return the receipt when SUBACK came.
    Subscribe {
        /// Returned by `handle_done`; an error if any filter was refused.
        receipt: Receipt,
        /// The filters.
        filters: Filters<'s>,
    },
    /// Start the handler. The permit is the proof that it may.
    Run(RunPermit<'s>),
    /// The checkpoint the handler waits for is durable.
    Saved {
        /// The slot.
        slot: u8,
        /// The run that asked.
        run: RunId,
    },
    /// Tell the handler to stop. It gets a grace time of the adapter's choice; then the adapter
    /// drops it and calls [`Agent::handle_aborted`](crate::Agent::handle_aborted).
    Stop {
        /// The slot.
        slot: u8,
        /// The run to stop.
        run: RunId,
        /// Why.
        reason: StopReason,
    },
    /// Reset the device. The permit is the proof that everything is durable.
    Reboot(RebootPermit),
    /// An execution is over for this device; its slot is free. For logs and metrics.
    Ended {
        /// The slot.
        slot: u8,
        /// The job.
        job_id: JobId<'s>,
        /// How it ended.
        ending: Ending,
    },
    /// Nothing more to do until something is handled or this time comes.
    Wait(Option<Millis>),
}

/// How an execution ended, see [`Output::Ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The service accepted our outcome.
    Reported(Status),
    /// The service answered that the execution was over already; our outcome did not count, or
    /// had been counted before.
    AlreadyOver,
    /// The service refused the report for good, even without details.
    Refused,
    /// Canceled, timed out, removed or deleted while we worked.
    Stopped(StopReason),
    /// Nobody here claims it: left alone.
    Left,
}

/// The terminal states a device can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// SUCCEEDED
    Succeeded = 1,
    /// FAILED
    Failed,
    /// REJECTED
    Rejected,
}

/// Names one effect; comes back in `handle_done`. A receipt that is not awaited changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "hand the receipt back in handle_done"]
pub struct Receipt {
    /// From the one counter of the agent: no two effects share it, so it says what it is for.
    pub(crate) sequence: u32,
}

/// How an effect went, for `handle_done`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Completion {
    /// Performed.
    Done,
    /// Not performed; the agent will ask again after a while.
    Failed,
}

/// Names one run of a handler, so that a late word from an earlier one is told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RunId(pub(crate) u32);

/// The right to start a handler. Only the core makes one, and only when the start is durable and
/// the service has confirmed it (or the operation is instantaneous, P1 and P8).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "start the handler"]
pub struct RunPermit<'s> {
    pub(crate) slot: u8,
    pub(crate) run: RunId,
    pub(crate) job_id: JobId<'s>,
    /// 0 if unknown.
    pub(crate) execution: i64,
    pub(crate) tag: OperationTag,
    pub(crate) checkpoint: Option<Lent<'s>>,
    pub(crate) attempt: Attempt,
    /// So long from that point on.
    pub(crate) deadline: (Millis, Timer),
}

/// A checkpoint in the scratch space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lent<'s> {
    pub(crate) bytes: &'s [u8],
    pub(crate) needs_document: bool,
}

/// Where a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "no allocator to box the checkpoint in"
)]
pub enum Start {
    /// From the beginning, with the plan of this slot.
    Fresh,
    /// From a checkpoint; with the plan of this slot if the checkpoint asked for the document.
    Resume(Checkpoint),
}

impl<'s> RunPermit<'s> {
    /// The slot to run in.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// The id to use in `handle_checkpoint`, `handle_progress` and `handle_outcome`.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The job.
    #[must_use]
    pub fn job_id(&self) -> JobId<'s> {
        self.job_id
    }

    /// The execution of the job, if the service named one.
    #[must_use]
    pub fn execution_number(&self) -> Option<i64> {
        (self.execution != 0).then_some(self.execution)
    }

    /// The operation, to find the handler for a resume.
    #[must_use]
    pub fn tag(&self) -> OperationTag {
        self.tag
    }

    /// The attempt since the last checkpoint.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// When the job times out, as far as the device knows.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let (clock, left) = self.deadline;
        left.after_now(clock)
    }

    /// Gives up the permit for where to begin: a permit starts one run.
    #[must_use]
    pub fn into_start(self) -> Start {
        let Some(lent) = self.checkpoint else {
            return Start::Fresh;
        };
        match Checkpoint::made(lent.bytes, lent.needs_document) {
            Ok(checkpoint) => Start::Resume(checkpoint),
            // Lent from a slot, whose room is the same: never too long.
            Err(_) => Start::Fresh,
        }
    }
}

/// The right to reset the device: everything that must survive is durable.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "reset the device"]
pub struct RebootPermit {
    pub(crate) slot: u8,
    pub(crate) receipt: Receipt,
}

impl RebootPermit {
    /// The slot whose job asked for the reset.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// To be returned with [`Completion::Failed`] if the device could not be reset.
    #[must_use = "hand the receipt back if the reset failed"]
    pub fn into_receipt(self) -> Receipt {
        self.receipt
    }
}

/// The filters of one SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters<'s> {
    /// Each behind a byte with its length.
    pub(crate) packed: &'s [u8],
}

/// Most filters in the SUBSCRIBE; AWS takes eight in one packet.
pub const FILTERS_MAX: usize = 5;

impl<'s> Filters<'s> {
    /// The filters, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        let mut rest = self.packed;
        core::iter::from_fn(move || {
            let (len, tail) = rest.split_first()?;
            let (text, tail) = tail.split_at_checked(usize::from(*len))?;
            rest = tail;
            core::str::from_utf8(text).ok()
        })
    }
}
