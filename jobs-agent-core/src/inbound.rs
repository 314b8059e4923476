//! Messages in: what each one means for the queue and for the slots.
//!
//! A reply counts only by its token (P9); a notification only ever *suggests*: it leads to an
//! offer or to a question, never to a conclusion.

use jobs_proto::{
    ErrorCode, EscapedStr, JobId, JobStatus, Retry,
    decode::{self, DecodeError, ExecutionMessage, JobExecution, JobExecutionSummary},
    document::Document,
    topic::{InboundTopic, Reply, TopicError},
};

use crate::{
    agent::{Agent, Ticket},
    backoff,
    handler::{Offer, StopReason},
    outcome::Reason,
    output::Ending,
    queue::Ask,
    slot::{JobKey, RequestKind},
    table::{Event, Phase},
    time::Millis,
    token,
};

/// What a message meant, for the adapter's log; an offer must be decided on at once.
#[derive(Debug)]
#[must_use = "an offer must be decided on with handle_plan"]
pub enum Handled<'b> {
    /// Plan this job now, then call [`Agent::handle_plan`] with the ticket.
    Offer(Ticket, Offer<'b>),
    /// The message was taken into account.
    Taken,
    /// The message changes nothing, for this reason.
    Ignored(Ignored),
}

/// Why a message changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// Not a Jobs topic of this thing: somebody else's, another namespace, or no topic at all.
    Topic(TopicError),
    /// The payload cannot be read, and not even a job id was in it.
    Unreadable,
    /// A reply whose token is not awaited: old, repeated or foreign.
    Token,
    /// This execution is being done already.
    Duplicate,
    /// Every slot is taken; the queue is asked again when one is free.
    Busy,
    /// The job was left to somebody else before.
    Left,
    /// Nothing in it concerns this agent.
    Irrelevant,
}

/// How often the document of a listed job is asked for before the list is looked at anew. A
/// notification can come before a read shows the job (seen as eventual consistency by
/// Greengrass).
const DESCRIBE_TRIES_MAX: u8 = 4;

/// Reports refused for good before the outcome is given up: once with details, then without.
const REFUSALS_MAX: u8 = 3;

/// The offer's document when the message had none.
const NO_DOCUMENT: &[u8] = b"{}";

impl<const JOBS: usize> Agent<'_, JOBS> {
    /// A message arrived. `payload` may be cut short by a small receive buffer: the job it
    /// names is then answered REJECTED rather than lost (P6).
    pub fn handle_publish<'b>(
        &mut self,
        now: Millis,
        topic: &'b str,
        payload: &'b [u8],
    ) -> Handled<'b> {
        let topic = match InboundTopic::parse(topic, self.config.thing) {
            Ok(topic) => topic,
            Err(error) => return Handled::Ignored(Ignored::Topic(error)),
        };
        match topic {
            InboundTopic::Notify => self.notify(now, payload),
            InboundTopic::NotifyNext => self.notify_next(now, payload),
            InboundTopic::GetPending(Reply::Accepted) => self.listed(now, payload),
            InboundTopic::DescribeNext(Reply::Accepted) => self.described_next(now, payload),
            InboundTopic::Describe(job, Reply::Accepted) => self.described(now, job, payload),
            InboundTopic::Update(job, Reply::Accepted) => self.updated(now, job, payload),
            InboundTopic::GetPending(Reply::Rejected)
            | InboundTopic::DescribeNext(Reply::Rejected) => self.queue_rejected(now, payload),
            InboundTopic::Describe(job, Reply::Rejected)
            | InboundTopic::Update(job, Reply::Rejected) => self.rejected(now, job, payload),
            // This agent never starts a job unseen.
            InboundTopic::StartNext(Reply::Accepted | Reply::Rejected) => {
                Handled::Ignored(Ignored::Token)
            }
        }
    }

    fn notify(&mut self, now: Millis, payload: &[u8]) -> Handled<'static> {
        let Ok(notify) = decode::notify(payload) else {
            return Handled::Ignored(Ignored::Unreadable);
        };
        self.queue.heard(now, self.config.resync_ms);
        let mut on = [false; crate::agent::JOBS_MAX];
        let grace = now.plus(u64::from(self.config.list_grace_ms));
        for summary in notify.in_progress().chain(notify.queued()) {
            self.seen(grace, &summary, &mut on);
        }
        // A running job that is not listed may be over; the list may also be old, or full. Ask.
        for (slot, on) in self.slots.iter_mut().zip(on) {
            if slot.is_watched() && !on && slot.verify_at.is_none() {
                slot.verify_at = Some(now);
            }
        }
        Handled::Taken
    }

    fn notify_next<'b>(&mut self, now: Millis, payload: &'b [u8]) -> Handled<'b> {
        match decode::notify_next(payload) {
            Ok(message) => {
                self.queue.heard(now, self.config.resync_ms);
                match message.execution {
                    Some(execution) => self.offer(now, execution),
                    None => {
                        self.verify_all(now);
                        Handled::Taken
                    }
                }
            }
            Err(error) => self.poisoned(now, &error),
        }
    }

    fn listed(&mut self, now: Millis, payload: &[u8]) -> Handled<'static> {
        let Ok(list) = decode::get_pending_accepted(payload) else {
            return Handled::Ignored(Ignored::Unreadable);
        };
        if !self.answers_queue(Ask::List, list.client_token) {
            return Handled::Ignored(Ignored::Token);
        }
        let mut on = [false; crate::agent::JOBS_MAX];
        for summary in list.in_progress().chain(list.queued()) {
            self.seen(now, &summary, &mut on);
        }
        Handled::Taken
    }

    /// A job in a list: known, left, or taken note of in a free slot.
    fn seen(
        &mut self,
        due_at: Millis,
        summary: &JobExecutionSummary<'_>,
        on: &mut [bool; crate::agent::JOBS_MAX],
    ) {
        let key = JobKey {
            id: summary.job_id,
            execution_number: summary.execution_number,
            queued_at: summary.queued_at.map_or(0, |at| at.as_secs()),
        };
        if let Some(index) = self.holding(key) {
            if let Some(on) = on.get_mut(index) {
                *on = true;
            }
            return;
        }
        if self.queue.is_left(key) {
            return;
        }
        let free = self.slots.iter().position(crate::slot::Slot::is_claimable);
        match free
            .filter(|_| !self.reset_wanted())
            .and_then(|free| self.slots.get_mut(free))
        {
            Some(slot) => {
                slot.hold(key);
                slot.step(Event::Seen);
                slot.due_at = due_at;
            }
            None => self.queue.more = true,
        }
    }

    fn described_next<'b>(&mut self, now: Millis, payload: &'b [u8]) -> Handled<'b> {
        let message = match decode::describe_accepted(payload) {
            Ok(message) => message,
            Err(error) => {
                let token = error.salvage.and_then(|salvage| salvage.client_token);
                if !self.answers_queue(Ask::Next, token) {
                    return Handled::Ignored(Ignored::Token);
                }
                return self.poisoned(now, &error);
            }
        };
        if !self.answers_queue(Ask::Next, message.client_token) {
            return Handled::Ignored(Ignored::Token);
        }
        let Some(execution) = message.execution else {
            return Handled::Taken;
        };
        let handled = self.offer(now, execution);
        let head_hides = matches!(
            handled,
            Handled::Ignored(Ignored::Duplicate | Ignored::Left)
        );
        let room = self.slots.iter().any(crate::slot::Slot::is_claimable);
        if room && (head_hides || JOBS > 1) {
            // Only the head is shown; others may wait behind it for the slots that are free.
            self.queue.list_at = Some(now);
        }
        handled
    }

    /// A pending execution with its document, told by the service on its own or as the head.
    fn offer<'b>(&mut self, now: Millis, execution: JobExecution<'b>) -> Handled<'b> {
        let key = key_of(&execution);
        if execution.status.known().is_some_and(JobStatus::is_terminal) {
            return Handled::Ignored(Ignored::Irrelevant);
        }
        match self.holding(key) {
            Some(index) => {
                let listed = self
                    .slots
                    .get(index)
                    .is_some_and(|s| s.phase == Phase::Listed);
                if listed {
                    self.plan(now, index, execution)
                } else {
                    Handled::Ignored(Ignored::Duplicate)
                }
            }
            None if self.queue.is_left(key) => Handled::Ignored(Ignored::Left),
            None => match self.claimable() {
                Some(index) => {
                    if let Some(slot) = self.slots.get_mut(index) {
                        // A listed job gives way to one that came with its document.
                        self.queue.more |= slot.phase == Phase::Listed;
                        slot.hold(key);
                    }
                    self.plan(now, index, execution)
                }
                None => {
                    self.queue.missed = true;
                    Handled::Ignored(Ignored::Busy)
                }
            },
        }
    }

    /// Hands the document to the handler that will decide on it.
    fn plan<'b>(&mut self, now: Millis, index: usize, execution: JobExecution<'b>) -> Handled<'b> {
        let ignored = Handled::Ignored(Ignored::Irrelevant);
        let Some(slot) = self.slots.get_mut(index) else {
            return ignored;
        };
        let resuming = slot.phase == Phase::Recovering;
        if !slot.step(Event::Document) {
            return ignored;
        }
        let key = key_of(&execution);
        slot.job.execution_number = key.execution_number.or(slot.job.execution_number);
        slot.job.queued_at = if key.queued_at == 0 {
            slot.job.queued_at
        } else {
            key.queued_at
        };
        slot.timeout_at = execution
            .approximate_seconds_before_timed_out
            .map(|seconds| now.plus(u64::from(seconds).saturating_mul(1_000)));
        let ticket = Ticket {
            slot: index_u8(index),
            generation: slot.generation,
        };
        Handled::Offer(
            ticket,
            Offer {
                job_id: execution.job_id,
                execution_number: execution.execution_number,
                status: execution.status.known(),
                status_details: execution.status_details,
                document: Document(execution.job_document.unwrap_or(NO_DOCUMENT)),
                resuming,
            },
        )
    }

    /// A message that cannot be read but names its job: the job is answered, so that it never
    /// blocks the queue (P6).
    fn poisoned(&mut self, now: Millis, error: &DecodeError<'_>) -> Handled<'static> {
        let unreadable = Handled::Ignored(Ignored::Unreadable);
        let Some(salvage) = error.salvage else {
            return unreadable;
        };
        let key = JobKey {
            id: salvage.job_id,
            execution_number: salvage.execution_number,
            queued_at: salvage.queued_at.map_or(0, |at| at.as_secs()),
        };
        let index = match self.holding(key) {
            Some(index) => index,
            None => match self.claimable() {
                Some(index) => {
                    if let Some(slot) = self.slots.get_mut(index) {
                        self.queue.more |= slot.phase == Phase::Listed;
                        slot.hold(key);
                    }
                    index
                }
                None => {
                    self.queue.missed = true;
                    return Handled::Ignored(Ignored::Busy);
                }
            },
        };
        let Some(slot) = self.slots.get_mut(index) else {
            return unreadable;
        };
        if !slot.step(Event::Document) {
            return Handled::Ignored(Ignored::Duplicate);
        }
        slot.store_at = now;
        let reason = decode_reason(error);
        slot.decline(reason.as_str());
        Handled::Taken
    }

    fn described<'b>(&mut self, now: Millis, job: JobId<'_>, payload: &'b [u8]) -> Handled<'b> {
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

    fn updated(&mut self, now: Millis, job: JobId<'_>, payload: &[u8]) -> Handled<'static> {
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

    fn queue_rejected(&mut self, now: Millis, payload: &[u8]) -> Handled<'static> {
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

    fn rejected(&mut self, now: Millis, job: JobId<'_>, payload: &[u8]) -> Handled<'static> {
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
        let early = slot.phase == Phase::Listed && code == ErrorCode::ResourceNotFound;
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

    fn verify_all(&mut self, now: Millis) {
        for slot in &mut self.slots {
            if slot.is_watched() && slot.verify_at.is_none() {
                slot.verify_at = Some(now);
            }
        }
    }

    fn wait_ms(&mut self, code: ErrorCode, tries: u8) -> u64 {
        let backoff = match code.retry_class() {
            Retry::Throttled => self.config.throttled,
            Retry::Never | Retry::Backoff | Retry::Over => self.config.backoff,
        };
        backoff::wait_ms(backoff, tries, &mut self.rng)
    }

    /// The slot that holds this execution, in any phase but Free.
    fn holding(&self, key: JobKey<'_>) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.phase != Phase::Free && slot.job.is(key))
    }

    fn tries_of(&self, job: JobId<'_>) -> u8 {
        let of_job = |slot: &&crate::slot::Slot| slot.job.id == job.as_str();
        self.slots.iter().find(of_job).map_or(0, |slot| slot.tries)
    }

    /// Whether `token` answers the question about the queue that is out; then it is no more.
    fn answers_queue(&mut self, ask: Ask, token: Option<EscapedStr<'_>>) -> bool {
        let awaited = self.queue.request.is_some_and(|request| {
            request.ask == ask && token::matches(self.boot.entropy, request.counter, token)
        });
        if awaited {
            self.queue.request = None;
            self.queue.tries = 0;
        }
        awaited
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

fn key_of<'b>(execution: &JobExecution<'b>) -> JobKey<'b> {
    JobKey {
        id: execution.job_id,
        execution_number: execution.execution_number,
        queued_at: execution.queued_at.map_or(0, |at| at.as_secs()),
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

/// A reason for people that says what is wrong with the message.
fn decode_reason(error: &DecodeError<'_>) -> Reason {
    let mut text = heapless::String::<{ crate::outcome::REASON_LEN_MAX }>::new();
    // Both texts are short constants: they fit.
    let _ = text.push_str("job document unreadable: ");
    let _ = text.push_str(error.kind.as_str());
    Reason::new(&text)
}

/// Slot numbers are below [`crate::JOBS_MAX`].
pub(crate) fn index_u8(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}
