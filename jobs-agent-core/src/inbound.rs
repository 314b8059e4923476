//! Messages in: where each one goes, and what the queue's ones mean.
//!
//! A notification only ever *suggests*: it leads to an offer or to a question, never to a
//! conclusion.

use jobs_proto::{
    EscapedStr, JobStatus,
    decode::{self, DecodeError, JobExecution, JobExecutionSummary},
    document::Document,
    topic::{InboundTopic, Reply, TopicError},
};

use crate::{
    agent::{Agent, Ticket},
    handler::Offer,
    outcome::Reason,
    queue::Ask,
    slot::{JobKey, Slot},
    table::{Event, Phase},
    time::{Millis, earlier},
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
            self.ask_soon(now);
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
            if slot.is_claimed() && !on {
                slot.verify_by(now);
            }
        }
        Handled::Taken
    }

    fn notify_next<'b>(&mut self, now: Millis, payload: &'b [u8]) -> Handled<'b> {
        match decode::notify_next(payload) {
            Ok(message) => {
                self.queue.heard(now, self.config.resync_ms);
                match message.execution {
                    Some(execution) => self.offer(now, execution, true),
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
        match self.holding(key) {
            Some(index) => {
                if let Some(on) = on.get_mut(index) {
                    *on = true;
                }
            }
            None if !self.queue.is_left(key) => self.list(due_at, key),
            None => {}
        }
    }

    /// Takes note of a job whose document is asked for from `due_at` on.
    fn list(&mut self, due_at: Millis, key: JobKey<'_>) {
        if self.follows_another(due_at, key) || self.reset_wanted() {
            self.queue.more = true;
            return;
        }
        let free = self.slots.iter().position(Slot::is_claimable);
        // A job that its handler postponed must not hold back one that nobody has looked at.
        let postponed = |slot: &Slot| {
            slot.phase == Phase::Listed && slot.request.is_none() && slot.due_at > due_at
        };
        let place = free.or_else(|| self.slots.iter().position(postponed));
        let Some(slot) = place.and_then(|place| self.slots.get_mut(place)) else {
            self.queue.more = true;
            return;
        };
        if slot.phase == Phase::Listed {
            self.queue.list_at = earlier(self.queue.list_at, Some(slot.due_at));
        }
        let listed = slot.phase == Phase::Listed;
        slot.hold(key);
        if !listed {
            slot.step(Event::Seen);
        }
        slot.due_at = due_at;
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
        let handled = self.offer(now, execution, false);
        let head_hides = matches!(
            handled,
            Handled::Ignored(Ignored::Duplicate | Ignored::Left)
        );
        let room = self.slots.iter().any(Slot::is_claimable);
        if room && (head_hides || JOBS > 1) {
            // Only the head is shown; others may wait behind it for the slots that are free.
            self.queue.list_at = Some(now);
        }
        handled
    }

    /// A pending execution with its document, told by the service on its own or as the head.
    fn offer<'b>(
        &mut self,
        now: Millis,
        execution: JobExecution<'b>,
        from_notification: bool,
    ) -> Handled<'b> {
        let key = key_of(&execution);
        if execution.status.known().is_some_and(JobStatus::is_terminal) {
            return Handled::Ignored(Ignored::Irrelevant);
        }
        // Before the first answer about the head, a notification may be of an earlier life.
        let live = from_notification && self.queue.oriented;
        match self.holding(key) {
            Some(index) => {
                let listed = self
                    .slots
                    .get(index)
                    .is_some_and(|s| s.phase == Phase::Listed);
                if listed {
                    self.plan(now, index, execution, live)
                } else {
                    Handled::Ignored(Ignored::Duplicate)
                }
            }
            None if self.queue.is_left(key) => Handled::Ignored(Ignored::Left),
            None if from_notification && execution.job_document.is_none() => {
                // The head has a document; this message came without it.
                self.queue.next_at = Some(now);
                Handled::Taken
            }
            None if self.follows_another(now, key) => {
                self.queue.missed = true;
                Handled::Ignored(Ignored::Busy)
            }
            None => match self.claimable() {
                Some(index) => {
                    if let Some(slot) = self.slots.get_mut(index) {
                        // A listed job gives way to one that came with its document.
                        self.queue.more |= slot.phase == Phase::Listed;
                        slot.hold(key);
                    }
                    self.plan(now, index, execution, live)
                }
                None => {
                    self.queue.missed = true;
                    Handled::Ignored(Ignored::Busy)
                }
            },
        }
    }

    /// Hands the document to the handler that will decide on it.
    pub(crate) fn plan<'b>(
        &mut self,
        now: Millis,
        index: usize,
        execution: JobExecution<'b>,
        live: bool,
    ) -> Handled<'b> {
        let ignored = Handled::Ignored(Ignored::Irrelevant);
        let Some(slot) = self.slots.get_mut(index) else {
            return ignored;
        };
        let resuming = slot.phase == Phase::Recovering;
        if !slot.step(Event::Document) {
            return ignored;
        }
        slot.live = live;
        slot.listed_bare = slot.job.queued_at == 0 || slot.job.execution_number.is_none();
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

    /// A message that cannot be read but names its job: asked about by itself, so that the job is
    /// answered and never blocks the queue (P6). The message alone is no ground to answer: it may
    /// be old, cut in the execution's number, or about somebody else's job.
    fn poisoned(&mut self, now: Millis, error: &DecodeError<'_>) -> Handled<'static> {
        let Some(salvage) = error.salvage else {
            self.ask_soon(now);
            return Handled::Ignored(Ignored::Unreadable);
        };
        let key = JobKey {
            id: salvage.job_id,
            execution_number: salvage.execution_number,
            queued_at: salvage.queued_at.map_or(0, |at| at.as_secs()),
        };
        if self.holding(key).is_some() {
            return Handled::Ignored(Ignored::Duplicate);
        }
        if self.queue.is_left(key) {
            return Handled::Ignored(Ignored::Left);
        }
        self.list(now, key);
        Handled::Taken
    }

    /// A notification was lost on us: the queue is asked before long.
    fn ask_soon(&mut self, now: Millis) {
        let at = now.plus(u64::from(self.config.settle_ms));
        self.queue.next_at = earlier(self.queue.next_at, Some(at));
    }

    fn verify_all(&mut self, now: Millis) {
        for slot in &mut self.slots {
            if slot.is_claimed() {
                slot.verify_by(now);
            }
        }
    }

    /// The slot that holds this execution, in any phase but Free.
    fn holding(&self, key: JobKey<'_>) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.phase != Phase::Free && slot.job.is(key))
    }

    /// Whether an earlier execution of the same job is still held here: two of them never run
    /// beside each other. That there is a later one says that the earlier is over: its slot asks.
    fn follows_another(&mut self, at: Millis, key: JobKey<'_>) -> bool {
        let begun = |slot: &&mut Slot| {
            let waiting = matches!(slot.phase, Phase::Free | Phase::Listed | Phase::Planning);
            !waiting && slot.job.id == key.id.as_str() && !slot.job.is(key)
        };
        let Some(slot) = self.slots.iter_mut().find(begun) else {
            return false;
        };
        if slot.is_claimed() {
            slot.verify_by(at);
        }
        true
    }

    /// Whether `token` answers the question about the queue that is out; then it is no more.
    fn answers_queue(&mut self, ask: Ask, token: Option<EscapedStr<'_>>) -> bool {
        let awaited = self.queue.request.is_some_and(|request| {
            request.ask == ask && token::matches(self.boot.entropy, request.counter, token)
        });
        if awaited {
            self.queue.oriented |= ask == Ask::Next;
            self.queue.request = None;
            self.queue.tries = 0;
        }
        awaited
    }
}

pub(crate) fn key_of<'b>(execution: &JobExecution<'b>) -> JobKey<'b> {
    JobKey {
        id: execution.job_id,
        execution_number: execution.execution_number,
        queued_at: execution.queued_at.map_or(0, |at| at.as_secs()),
    }
}

/// A reason for people that says what is wrong with the message.
pub(crate) fn decode_reason(error: &DecodeError<'_>) -> Reason {
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
