//! Replies: what the service's answer to a request of ours means for its slot.
//!
//! A reply counts only by its token (P9): whatever else it says, one that is not awaited changes
//! nothing.

use heapless::String;
use jobs_proto::{
    EscapedStr, JobId, JobStatus,
    decode::{self, DecodeError, ExecutionMessage, JobExecution},
};

use crate::{
    Unclaimed,
    agent::Agent,
    common::Common,
    handler::StopReason,
    inbound::{Handled, Ignored, token_of},
    job::JobKey,
    outcome::REASON_LEN_MAX,
    output::Ending,
    queue::when,
    slot::{RequestKind, Slot, at},
    table::{Event, Phase},
    time::Timer,
};

/// How often a document is read before it counts as unreadable: one read can be hit by chance, and
/// the answer is final.
const UNREADABLE_READS_MAX: u8 = 2;

impl<const JOBS: usize> Agent<'_, JOBS> {
    #[inline(never)]
    pub(crate) fn described<'b>(
        &mut self,
        job: JobId<'_>,
        message: &Result<ExecutionMessage<'b>, DecodeError<'b>>,
    ) -> Handled<'b> {
        let Self { common, slots } = self;
        let Some((slot, kind)) = common.answered(slots, job, token_of(message)) else {
            return Handled::Ignored(Ignored::Token);
        };
        match message {
            Ok(message) if kind == RequestKind::Verify => slot.verified(message.execution.as_ref()),
            Ok(message) => match &message.execution {
                Some(execution) => return common.found(slot, execution),
                None => slot.over(StopReason::Over, Ending::AlreadyOver),
            },
            Err(error) if kind == RequestKind::Describe => common.unreadable(slot, error),
            // Unreadable, but an answer about this execution: it is still there.
            Err(_) => {}
        }
        Handled::Taken
    }

    #[inline(never)]
    pub(crate) fn updated(&mut self, job: JobId<'_>, payload: &[u8]) -> Result<(), Ignored> {
        let token = match decode::update_accepted(payload) {
            Ok(message) => message.client_token,
            Err(error) => error.salvage.and_then(|salvage| salvage.client_token),
        };
        let Self { common, slots } = self;
        let Some((slot, kind)) = common.answered(slots, job, token) else {
            return Err(Ignored::Token);
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
        Ok(())
    }
}

impl Common<'_> {
    /// The slot whose request `token` answers, and what it asked; then it is no more.
    pub(crate) fn answered<'s>(
        &self,
        slots: &'s mut [Slot],
        job: JobId<'_>,
        token: Option<EscapedStr<'_>>,
    ) -> Option<(&'s mut Slot, RequestKind)> {
        for slot in slots {
            if let Some(kind) = slot.work.request
                && slot.has_id(job)
                && self.is_token(slot.work.asked, token)
            {
                slot.forget_request();
                return Some((slot, kind));
            }
        }
        None
    }

    /// The document asked for: of a listed job, or of one begun before a restart.
    #[inline(never)]
    fn found<'b>(&mut self, slot: &mut Slot, execution: &JobExecution<'b>) -> Handled<'b> {
        let ours = slot.holds(&JobKey::of(execution));
        let status = execution.status.known();
        let terminal = status.is_some_and(JobStatus::is_terminal);
        // What we began is IN_PROGRESS; QUEUED under the same name is another execution.
        let fresh = slot.phase == Phase::Recovering && status == Some(JobStatus::Queued);
        if ours && !terminal && !fresh {
            if slot.work.silence.asks_bare() && execution.job_document.is_none() {
                slot.work.silence.answered_bare();
                slot.timers[at::DUE] = Timer::NOW;
                return Handled::Taken;
            }
            return slot.plan(execution, false);
        }
        // Over, or the id now belongs to another execution, which will be offered by itself.
        slot.over(StopReason::Over, Ending::AlreadyOver);
        self.queue.timers[when::SETTLE] = Timer::after(self.config.settle_ms);
        Handled::Taken
    }

    /// The document asked for cannot be read: asked for again, then refused or left.
    #[inline(never)]
    fn unreadable(&mut self, slot: &mut Slot, error: &DecodeError<'_>) {
        let tries = slot.work.tries;
        if tries.saturating_add(1) < UNREADABLE_READS_MAX {
            let wait = self.backoff(tries);
            return self.retry(slot, RequestKind::Describe, wait);
        }
        let number = error
            .salvage
            .as_ref()
            .and_then(|found| found.execution_number);
        let mut reason = String::<REASON_LEN_MAX, u16>::new();
        // Both texts are short constants: they fit.
        let _ = reason.push_str("job document unreadable: ");
        let _ = reason.push_str(error.kind.as_str());
        self.refuse_unread(slot, number, &reason);
    }

    /// The document cannot be had: the job is refused with a reason, or left alone where others
    /// may be able to read it.
    #[inline(never)]
    pub(crate) fn refuse_unread(&mut self, slot: &mut Slot, number: Option<i64>, reason: &str) {
        if self.config.unclaimed == Unclaimed::Leave && slot.phase == Phase::Listed {
            slot.close(Event::Refused, Ending::Left);
            self.queue.leave(slot);
            self.queue.timers[when::LIST] = Timer::NOW;
        } else if slot.step(Event::Document) {
            if number.is_some() {
                slot.header.set_execution_number(number);
            }
            slot.timers[at::STORE] = Timer::NOW;
            slot.decline(reason);
        }
    }
}

impl Slot {
    /// Whether the execution that runs is still on at the service.
    #[inline(never)]
    fn verified(&mut self, execution: Option<&JobExecution<'_>>) {
        let ours = execution.filter(|execution| self.holds(&JobKey::of(execution)));
        let reason = match ours {
            Some(execution) => {
                let status = execution.status.known();
                if !status.is_some_and(JobStatus::is_terminal) {
                    self.work.tries = 0;
                    self.work.refusals = 0;
                    return self.time_out(execution);
                }
                stop_reason(status)
            }
            None => StopReason::Removed,
        };
        self.over(reason, Ending::Stopped(reason));
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
