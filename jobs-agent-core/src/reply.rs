//! Replies: what the service's answer to a request of ours means for its slot.
//!
//! A reply counts only by its token (P9): whatever else it says, one that is not awaited changes
//! nothing.

use jobs_proto::{
    ErrorCode, EscapedStr, JobId, JobStatus, Retry,
    decode::{self, DecodeError, ExecutionMessage, JobExecution},
};

use crate::{
    agent::Agent,
    backoff,
    handler::StopReason,
    inbound::{Handled, Ignored, decode_reason, index_u8, key_of},
    output::Ending,
    slot::RequestKind,
    table::{Event, Phase},
    time::Millis,
    token,
};

/// How often a read is repeated that does not show an execution, before it is believed. A
/// notification can come before a read shows the job (seen as eventual consistency by
/// Greengrass).
const DESCRIBE_TRIES_MAX: u8 = 4;

/// Reports refused for good before the outcome is given up: once with details, then without.
const REFUSALS_MAX: u8 = 3;

impl<const JOBS: usize> Agent<'_, JOBS> {
    pub(crate) fn described<'b>(
        &mut self,
        now: Millis,
        job: JobId<'_>,
        payload: &'b [u8],
    ) -> Handled<'b> {
        let decoded = decode::describe_accepted(payload);
        let token = match &decoded {
            Ok(message) => message.client_token,
            Err(error) => error.salvage.and_then(|salvage| salvage.client_token),
        };
        let Some((index, kind)) = self.answers_slot(job, token) else {
            return Handled::Ignored(Ignored::Token);
        };
        match decoded {
            Ok(message) if kind == RequestKind::Verify => self.verified(now, index, &message),
            Ok(ExecutionMessage {
                execution: Some(execution),
                ..
            }) => self.found(now, index, execution),
            Ok(ExecutionMessage {
                execution: None, ..
            }) => {
                self.over(now, index_u8(index), StopReason::Over, Ending::AlreadyOver);
                Handled::Taken
            }
            Err(error) if kind == RequestKind::Describe => self.poisoned_slot(now, index, &error),
            // Unreadable, but an answer about this execution: it is still there.
            Err(_) => Handled::Taken,
        }
    }

    /// The document asked for: of a listed job, or of one begun before a restart.
    fn found<'b>(&mut self, now: Millis, index: usize, execution: JobExecution<'b>) -> Handled<'b> {
        let key = key_of(&execution);
        let ours = self.slots.get(index).is_some_and(|slot| slot.job.is(key));
        let status = execution.status.known();
        let terminal = status.is_some_and(JobStatus::is_terminal);
        // What we began is IN_PROGRESS; QUEUED under the same name is another execution.
        let begun = self
            .slots
            .get(index)
            .is_some_and(|slot| slot.phase == Phase::Recovering);
        let fresh = begun && status == Some(JobStatus::Queued);
        if ours && !terminal && !fresh {
            return self.plan(now, index, execution);
        }
        // Over, or the id now belongs to another execution, which will be offered by itself.
        self.over(now, index_u8(index), StopReason::Over, Ending::AlreadyOver);
        self.queue.next_at = Some(now);
        Handled::Taken
    }

    fn poisoned_slot(
        &mut self,
        now: Millis,
        index: usize,
        error: &DecodeError<'_>,
    ) -> Handled<'static> {
        if let Some(slot) = self.slots.get_mut(index)
            && slot.step(Event::Document)
        {
            slot.store_at = now;
            let reason = decode_reason(error);
            slot.decline(reason.as_str());
        }
        Handled::Taken
    }

    /// Whether the execution that runs is still on at the service.
    fn verified(
        &mut self,
        now: Millis,
        index: usize,
        message: &ExecutionMessage<'_>,
    ) -> Handled<'static> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Handled::Taken;
        };
        let status = message
            .execution
            .as_ref()
            .and_then(|execution| execution.status.known());
        let same = message
            .execution
            .as_ref()
            .is_some_and(|e| slot.job.is(key_of(e)));
        if same && !status.is_some_and(JobStatus::is_terminal) {
            slot.timeout_at = message
                .execution
                .as_ref()
                .and_then(|execution| execution.approximate_seconds_before_timed_out)
                .map(|seconds| now.plus(u64::from(seconds).saturating_mul(1_000)));
            return Handled::Taken;
        }
        let reason = if same {
            stop_reason(status)
        } else {
            StopReason::Removed
        };
        self.over(now, index_u8(index), reason, Ending::Stopped(reason));
        Handled::Taken
    }

    pub(crate) fn updated(
        &mut self,
        now: Millis,
        job: JobId<'_>,
        payload: &[u8],
    ) -> Handled<'static> {
        let token = match decode::update_accepted(payload) {
            Ok(message) => message.client_token,
            Err(error) => error.salvage.and_then(|salvage| salvage.client_token),
        };
        let Some((index, kind)) = self.answers_slot(job, token) else {
            return Handled::Ignored(Ignored::Token);
        };
        match kind {
            RequestKind::Start => {
                if let Some(slot) = self.slots.get_mut(index) {
                    slot.step(Event::Confirmed);
                    slot.store_at = now;
                }
            }
            RequestKind::Outcome => {
                let status = self.slots.get(index).and_then(|slot| slot.outcome);
                let ending = status.map_or(Ending::AlreadyOver, Ending::Reported);
                self.close(now, index_u8(index), Event::Answered, ending);
            }
            RequestKind::Progress | RequestKind::Verify | RequestKind::Describe => {}
        }
        Handled::Taken
    }

    pub(crate) fn queue_rejected(&mut self, now: Millis, payload: &[u8]) -> Handled<'static> {
        let Ok(rejected) = decode::rejected(payload) else {
            return Handled::Ignored(Ignored::Unreadable);
        };
        let Some(request) = self.queue.request else {
            return Handled::Ignored(Ignored::Token);
        };
        if !token::matches(self.boot.entropy, request.counter, rejected.client_token) {
            return Handled::Ignored(Ignored::Token);
        }
        let wait = self.wait_ms(rejected.code, self.queue.tries);
        self.queue.again(request.ask, now.plus(wait));
        Handled::Taken
    }

    pub(crate) fn rejected(
        &mut self,
        now: Millis,
        job: JobId<'_>,
        payload: &[u8],
    ) -> Handled<'static> {
        let Ok(rejected) = decode::rejected(payload) else {
            return Handled::Ignored(Ignored::Unreadable);
        };
        let tries = self.tries_of(job);
        let Some((index, kind)) = self.answers_slot(job, rejected.client_token) else {
            return Handled::Ignored(Ignored::Token);
        };
        let retry_at = now.plus(self.wait_ms(rejected.code, tries));
        let state = rejected
            .execution_state
            .as_ref()
            .and_then(|state| state.status.known());
        match rejected.code.retry_class() {
            Retry::Over => self.rejected_over(now, index, kind, rejected.code, state, retry_at),
            Retry::Never => self.rejected_never(now, index, kind, retry_at),
            Retry::Backoff | Retry::Throttled => self.retry(index, kind, retry_at),
        }
        Handled::Taken
    }

    fn rejected_over(
        &mut self,
        now: Millis,
        index: usize,
        kind: RequestKind,
        code: ErrorCode,
        state: Option<JobStatus>,
        retry_at: Millis,
    ) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        // A read may lag behind the notification or our own start, and what is believed too early
        // here drops a record: of work under way, or of work that must not be begun again.
        let read = matches!(kind, RequestKind::Describe | RequestKind::Verify);
        let early = read && code == ErrorCode::ResourceNotFound;
        if early && slot.tries < DESCRIBE_TRIES_MAX {
            return self.retry(index, kind, retry_at);
        }
        let reason = match code {
            ErrorCode::ResourceNotFound => StopReason::Removed,
            ErrorCode::InvalidStateTransition
            | ErrorCode::TerminalStateReached
            | ErrorCode::InvalidTopic
            | ErrorCode::InvalidJson
            | ErrorCode::InvalidRequest
            | ErrorCode::VersionMismatch
            | ErrorCode::InternalError
            | ErrorCode::RequestThrottled
            | ErrorCode::Unknown => stop_reason(state),
        };
        let ending = match kind {
            RequestKind::Progress | RequestKind::Verify => Ending::Stopped(reason),
            RequestKind::Describe | RequestKind::Start | RequestKind::Outcome => {
                Ending::AlreadyOver
            }
        };
        self.over(now, index_u8(index), reason, ending);
        // Whatever made us ask about it was out of date: see what is really there.
        self.queue.settle_at = Some(retry_at);
    }

    fn rejected_never(&mut self, now: Millis, index: usize, kind: RequestKind, retry_at: Millis) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        match (kind, slot.phase) {
            (RequestKind::Outcome, _) => {
                slot.refusals = slot.refusals.saturating_add(1);
                // The details are the only part of a report that can be wrong.
                slot.body.clear();
                if slot.refusals < REFUSALS_MAX {
                    self.retry(index, kind, retry_at);
                } else {
                    self.close(now, index_u8(index), Event::Refused, Ending::Refused);
                }
            }
            (RequestKind::Start, _) | (RequestKind::Describe, Phase::Listed) => {
                let job = slot.job.clone();
                self.close(now, index_u8(index), Event::Refused, Ending::Refused);
                if let Some(key) = job.key() {
                    // Not asked about again: the same request would be refused again.
                    self.queue.leave(key);
                }
            }
            (RequestKind::Describe | RequestKind::Progress | RequestKind::Verify, _) => {
                self.retry(index, kind, retry_at);
            }
        }
    }

    /// The request of `index` failed for now: again at `at`.
    pub(crate) fn retry(&mut self, index: usize, kind: RequestKind, at: Millis) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        slot.request = None;
        slot.tries = slot.tries.saturating_add(1);
        match kind {
            RequestKind::Describe | RequestKind::Start | RequestKind::Outcome => slot.due_at = at,
            RequestKind::Verify => slot.verify_at = Some(at),
            RequestKind::Progress => {
                // A lost report is lost (P7); only the step timer must not be.
                slot.report_at = slot.report_at.max(at);
                slot.renew_at = slot.renew_at.map(|_| at);
            }
        }
        if slot.phase == Phase::Listed && slot.tries >= DESCRIBE_TRIES_MAX {
            self.over(at, index_u8(index), StopReason::Over, Ending::AlreadyOver);
            self.queue.settle_at = Some(at);
        }
    }

    fn wait_ms(&mut self, code: ErrorCode, tries: u8) -> u64 {
        let backoff = match code.retry_class() {
            Retry::Throttled => self.config.throttled,
            Retry::Never | Retry::Backoff | Retry::Over => self.config.backoff,
        };
        backoff::wait_ms(backoff, tries, &mut self.rng)
    }

    fn tries_of(&self, job: JobId<'_>) -> u8 {
        let of_job = |slot: &&crate::slot::Slot| slot.job.id == job.as_str();
        self.slots.iter().find(of_job).map_or(0, |slot| slot.tries)
    }

    /// The slot whose request `token` answers, and what it asked; then it is no more.
    fn answers_slot(
        &mut self,
        job: JobId<'_>,
        token: Option<EscapedStr<'_>>,
    ) -> Option<(usize, RequestKind)> {
        let entropy = self.boot.entropy;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(request) = slot.request {
                let ours =
                    slot.job.id == job.as_str() && token::matches(entropy, request.counter, token);
                if ours {
                    slot.request = None;
                    return Some((index, request.kind));
                }
            }
        }
        None
    }
}

fn stop_reason(status: Option<JobStatus>) -> StopReason {
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
