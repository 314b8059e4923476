//! Which execution of which job.

use jobs_proto::{
    EpochSeconds, JobId,
    decode::{Message, Number, Time},
};

/// The execution a message speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobKey<'b> {
    pub(crate) id: JobId<'b>,
    /// 0 if the message did not say: the service counts from 1.
    pub(crate) number: i64,
    /// The low half of `queuedAt`, enough to tell two executions apart; 0 if unknown.
    pub(crate) queued_at: u32,
}

impl JobKey<'_> {
    pub(crate) fn execution(&self) -> Execution {
        Execution {
            number: low(self.number.cast_unsigned()),
            queued_at: self.queued_at,
        }
    }
}

impl<'b> JobKey<'b> {
    /// What a message, or a line of a list, speaks of; `None` if that is no job.
    #[inline(never)]
    pub(crate) fn of(message: &Message<'_, 'b>) -> Option<Self> {
        let queued_at = message.time(Time::Queued).map_or(0, EpochSeconds::as_secs);
        Some(Self {
            id: message.job_id()?,
            number: message.number(Number::Execution).unwrap_or(0),
            queued_at: low(queued_at),
        })
    }
}

/// Which execution of a job, as far as known: 0 is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Execution {
    /// The low half of its number: the service counts from 1.
    pub(crate) number: u32,
    /// The low half of `queuedAt`.
    pub(crate) queued_at: u32,
}

impl Execution {
    /// Whether nothing is known but the job.
    pub(crate) fn is_unknown(self) -> bool {
        self.number | self.queued_at == 0
    }

    /// Whether both are the same execution of one job, as far as they tell.
    #[inline(never)]
    pub(crate) fn is(self, other: Self) -> bool {
        // Documentation examples leave the number out; then the id must do.
        let same = self.number == 0 || other.number == 0 || self.number == other.number;
        // Sources of one execution differ by a second at times (captured in the C++ walkthrough).
        let apart = self.queued_at.wrapping_sub(other.queued_at).wrapping_add(1);
        same && (self.queued_at == 0 || other.queued_at == 0 || apart <= 2)
    }
}

/// The low half.
pub(crate) fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
