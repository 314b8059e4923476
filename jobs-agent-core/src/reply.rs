//! Replies: what the service's answer to a request of ours means for its slot.
//!
//! A reply counts only by its token (P9): whatever else it says, one that is not awaited changes
//! nothing.

#[cfg(feature = "large-details")]
use heapless::String;
use jobs_proto::{
    JobId, JobStatus,
    decode::{ErrorKind, Message, Text},
};

use crate::{
    Unclaimed,
    agent::Agent,
    common::Common,
    handler::StopReason,
    inbound::{Ignored, Meaning},
    job::JobKey,
    output::Ending,
    queue::{Ask, when},
    slot::{RequestKind, Slot, at},
    slots::Slots,
    table::{Event, Phase},
    time::Timer,
};

/// How often a document is read before it counts as unreadable: one read can be hit by chance, and
/// the answer is final.
const UNREADABLE_READS_MAX: u8 = 2;

impl<const JOBS: usize> Agent<'_, JOBS> {
    pub(crate) fn described(
        &mut self,
        job: JobId<'_>,
        message: &Message<'_, '_>,
        fault: Option<ErrorKind>,
    ) -> Meaning {
        let Self { common, slots } = self;
        let Some((slot, kind)) = common.answered(slots, job, message) else {
            return Meaning::Ignored(Ignored::Token);
        };
        match fault {
            None if kind == RequestKind::Verify => slot.verified(message),
            None if message.has_execution() => return common.found(slot, message),
            None => slot.over(StopReason::Over, Ending::AlreadyOver),
            Some(fault) if kind == RequestKind::Describe => {
                common.unreadable(slot, message, fault);
            }
            // Unreadable, but an answer about this execution: it is still there.
            Some(_) => {}
        }
        Meaning::Taken
    }

    pub(crate) fn updated(&mut self, job: JobId<'_>, message: &Message<'_, '_>) -> Meaning {
        let Self { common, slots } = self;
        let Some((slot, kind)) = common.answered(slots, job, message) else {
            return Meaning::Ignored(Ignored::Token);
        };
        match kind {
            RequestKind::Start => {
                slot.step(Event::Confirmed);
                slot.timers[at::STORE] = Timer::NOW;
            }
            RequestKind::Outcome => {
                let status = slot.work.outcome;
                let ending = status.map_or(Ending::AlreadyOver, Ending::Reported);
                slot.close(Event::Answered, ending);
            }
            // An accepted report says as much as a verification: the job is on.
            RequestKind::Progress => {
                slot.work.tries = 0;
                let verify = &mut slot.timers[at::VERIFY];
                if verify.is_set() && !verify.is_due() {
                    *verify = Timer::after(common.config.resync_ms);
                }
            }
            RequestKind::Verify | RequestKind::Describe => {}
        }
        Meaning::Taken
    }
}

impl Common<'_> {
    /// The question about the queue that the message answers.
    #[inline(never)]
    pub(crate) fn awaits(&self, message: &Message<'_, '_>) -> Option<Ask> {
        let ask = self.queue.request?;
        self.is_token(self.queue.asked, message.text(Text::ClientToken))
            .then_some(ask)
    }

    /// The slot whose request the message answers, and what it asked; then it is no more.
    #[inline(never)]
    pub(crate) fn answered<'s, const JOBS: usize>(
        &self,
        slots: &'s mut Slots<JOBS>,
        job: JobId<'_>,
        message: &Message<'_, '_>,
    ) -> Option<(&'s mut Slot, RequestKind)> {
        let token = message.text(Text::ClientToken);
        slots.find(|slot| {
            let kind = slot.work.request?;
            if !slot.has_id(job) || !self.is_token(slot.work.asked, token) {
                return None;
            }
            slot.forget_request();
            Some((slot, kind))
        })
    }

    /// The document asked for: of a listed job, or of one begun before a restart.
    fn found(&mut self, slot: &mut Slot, message: &Message<'_, '_>) -> Meaning {
        let status = message.status().known();
        let terminal = status.is_some_and(JobStatus::is_terminal);
        // What we began is IN_PROGRESS; QUEUED under the same name is another execution.
        let fresh = slot.phase == Phase::Recovering && status == Some(JobStatus::Queued);
        if slot.is_told(message) && !terminal && !fresh {
            if slot.work.silence.asks_bare() && message.job_document().is_none() {
                slot.work.silence.answered_bare();
                slot.timers[at::DUE] = Timer::NOW;
                return Meaning::Taken;
            }
            return slot.plan(message, false);
        }
        // Over, or the id now belongs to another execution, which will be offered by itself.
        slot.over(StopReason::Over, Ending::AlreadyOver);
        self.queue.timers[when::SETTLE] = Timer::after(self.config.settle_ms);
        Meaning::Taken
    }

    /// The document asked for cannot be read: asked for again, then refused or left.
    #[inline(always)]
    fn unreadable(&mut self, slot: &mut Slot, message: &Message<'_, '_>, fault: ErrorKind) {
        let tries = slot.work.tries;
        if tries.saturating_add(1) < UNREADABLE_READS_MAX {
            let wait = self.backoff(tries);
            return self.retry(slot, RequestKind::Describe, wait);
        }
        let key = JobKey::of(message);
        let reason = unreadable_reason(fault);
        self.refuse_unread(slot, key.as_ref(), reason.as_ref());
    }

    /// The document cannot be had: the job is refused with a reason, or left alone where others
    /// may be able to read it.
    #[inline(never)]
    pub(crate) fn refuse_unread(
        &mut self,
        slot: &mut Slot,
        key: Option<&JobKey<'_>>,
        reason: &str,
    ) {
        if self.config.unclaimed == Unclaimed::Leave && slot.phase == Phase::Listed {
            slot.close(Event::Refused, Ending::Left);
            self.queue.leave(slot);
            self.queue.timers[when::LIST] = Timer::NOW;
        } else if slot.step(Event::Document) {
            if let Some(key) = key {
                slot.learn(key);
            }
            slot.timers[at::STORE] = Timer::NOW;
            slot.decline(reason);
        }
    }
}

impl Slot {
    /// Whether the message is about the execution held here.
    fn is_told(&self, message: &Message<'_, '_>) -> bool {
        JobKey::of(message).is_some_and(|key| self.holds(&key))
    }

    /// Whether the execution that runs is still on at the service.
    #[inline(always)]
    fn verified(&mut self, message: &Message<'_, '_>) {
        let mut reason = StopReason::Removed;
        if self.is_told(message) {
            let status = message.status().known();
            if !status.is_some_and(JobStatus::is_terminal) {
                self.work.tries = 0;
                self.work.refusals = 0;
                return self.time_out(message);
            }
            reason = stop_reason(status);
        }
        self.over(reason, Ending::Stopped(reason));
    }
}

/// Why a document could not be read, for people: on hosts with what exactly is wrong. Boards can do
/// something about one fault only, and the other texts are 400 bytes of flash.
#[cfg(feature = "large-details")]
fn unreadable_reason(kind: ErrorKind) -> String<{ crate::REASON_LEN_MAX }> {
    let mut reason = String::new();
    // Both texts are short constants: they fit.
    let _ = reason.push_str("job document unreadable: ");
    let _ = reason.push_str(kind.as_str());
    reason
}

/// See above.
#[cfg(not(feature = "large-details"))]
fn unreadable_reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Truncated => "job document unreadable: enlarge the receive buffer",
        ErrorKind::Syntax
        | ErrorKind::Utf8
        | ErrorKind::TooDeep
        | ErrorKind::TooLong
        | ErrorKind::DuplicateKey
        | ErrorKind::WrongType
        | ErrorKind::MissingField
        | ErrorKind::InvalidId => "job document unreadable",
    }
}

pub(crate) fn stop_reason(status: Option<JobStatus>) -> StopReason {
    match status {
        Some(JobStatus::Canceled) => StopReason::Canceled,
        Some(JobStatus::TimedOut) => StopReason::TimedOut,
        Some(JobStatus::Removed) => StopReason::Removed,
        Some(
            JobStatus::Queued
            | JobStatus::InProgress
            | JobStatus::Succeeded
            | JobStatus::Failed
            | JobStatus::Rejected,
        )
        | None => StopReason::Over,
    }
}
