//! Offers: from a message with a document to the handler that decides on it.

use jobs_proto::{
    JobStatus,
    decode::{DecodeError, ExecutionMessage, JobExecution},
    document::Document,
};

use crate::{
    agent::{Agent, Ticket},
    handler::Offer,
    inbound::{Handled, Ignored, token_of},
    job::JobKey,
    queue::{Ask, when},
    record::Number,
    slot::{Slot, at},
    table::{Event, Phase},
    time::Timer,
};

/// The offer's document when the message had none.
const NO_DOCUMENT: &[u8] = b"{}";

/// Longest time-out of the service, seconds: seven days (official service model,
/// `InProgressTimeoutInMinutes`).
const TIMEOUT_MAX_S: u32 = 7 * 24 * 60 * 60;

impl<const JOBS: usize> Agent<'_, JOBS> {
    #[inline(never)]
    pub(crate) fn notify_next<'b>(
        &mut self,
        message: &Result<ExecutionMessage<'b>, DecodeError<'b>>,
    ) -> Handled<'b> {
        let message = match message {
            Ok(message) => message,
            Err(error) => return self.poisoned(error),
        };
        self.common.queue.heard(self.common.config.resync_ms);
        match &message.execution {
            Some(execution) => self.offer(execution, true),
            None => {
                self.verify_all_but(0);
                Handled::Taken
            }
        }
    }

    #[inline(never)]
    pub(crate) fn described_next<'b>(
        &mut self,
        message: &Result<ExecutionMessage<'b>, DecodeError<'b>>,
    ) -> Handled<'b> {
        let bare = self.common.queue.silence.asks_bare();
        if !self.answers_queue(Ask::Next, token_of(message)) {
            return Handled::Ignored(Ignored::Token);
        }
        let handled = match message {
            Ok(message) => match &message.execution {
                Some(execution) if bare && execution.job_document.is_none() => {
                    self.named(&JobKey::of(execution))
                }
                Some(execution) => self.offer(execution, false),
                None => return Handled::Taken,
            },
            Err(error) => self.poisoned(error),
        };
        let head_hides = matches!(
            handled,
            Handled::Ignored(Ignored::Duplicate | Ignored::Left)
        );
        let room = self.slots.iter().any(Slot::is_claimable);
        if room && (head_hides || JOBS > 1) {
            // Only the head is shown; others may wait behind it for the slots that are free.
            self.common.queue.timers[when::LIST] = Timer::NOW;
        }
        handled
    }

    /// A pending execution with its document, told by the service on its own or as the head.
    #[inline(never)]
    fn offer<'b>(&mut self, execution: &JobExecution<'b>, news: bool) -> Handled<'b> {
        let key = JobKey::of(execution);
        if execution.status.known().is_some_and(JobStatus::is_terminal) {
            return Handled::Ignored(Ignored::Irrelevant);
        }
        // Before the first answer about the head, a notification may be of an earlier life.
        let live = news && self.common.queue.oriented;
        if let Some(slot) = self.holding(&key) {
            if slot.phase != Phase::Listed {
                return Handled::Ignored(Ignored::Duplicate);
            }
            return slot.plan(execution, live);
        }
        if self.common.queue.is_left(&key) {
            return Handled::Ignored(Ignored::Left);
        }
        if news && execution.job_document.is_none() {
            // The head has a document; this message came without it.
            self.common.queue.timers[when::NEXT] = Timer::NOW;
            return Handled::Taken;
        }
        if !self.follows_another(Timer::NOW, &key)
            && let Some((slot, queue)) = self.place(Timer::NOW)
        {
            // A listed job gives way to one that came with its document.
            queue.more |= slot.phase == Phase::Listed;
            slot.hold(&key);
            return slot.plan(execution, live);
        }
        self.common.queue.missed = true;
        Handled::Ignored(Ignored::Busy)
    }

    /// A message that cannot be read but names its job: asked about by itself, so that the job is
    /// answered and never blocks the queue (P6). The message alone is no ground to answer: it may
    /// be old, cut in the execution's number, or about somebody else's job.
    fn poisoned(&mut self, error: &DecodeError<'_>) -> Handled<'static> {
        let Some(salvage) = &error.salvage else {
            self.ask_soon();
            return Handled::Ignored(Ignored::Unreadable);
        };
        self.named(&JobKey::of_salvage(salvage))
    }

    /// A job that a message named without a document: asked about by itself.
    #[inline(never)]
    fn named(&mut self, key: &JobKey<'_>) -> Handled<'static> {
        if self.holding(key).is_some() {
            return Handled::Ignored(Ignored::Duplicate);
        }
        if self.common.queue.is_left(key) {
            return Handled::Ignored(Ignored::Left);
        }
        self.list(Timer::NOW, key);
        Handled::Taken
    }
}

impl Slot {
    /// Hands the document to the handler that will decide on it.
    pub(crate) fn plan<'b>(&mut self, execution: &JobExecution<'b>, live: bool) -> Handled<'b> {
        let resuming = self.phase == Phase::Recovering;
        if !self.step(Event::Document) {
            return Handled::Ignored(Ignored::Irrelevant);
        }
        self.work.live = live;
        let known = self.header.execution_number();
        self.work.listed_bare = known.is_none() || self.header.wide(Number::QUEUED_AT) == 0;
        let key = JobKey::of(execution);
        self.header
            .set_execution_number(key.execution_number.or(known));
        if key.queued_at != 0 {
            self.header.set(Number::QUEUED_AT, key.queued_at);
        }
        self.time_out(execution);
        let ticket = Ticket {
            slot: self.number,
            generation: self.generation,
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

    /// Notes when the service will end the execution.
    pub(crate) fn time_out(&mut self, execution: &JobExecution<'_>) {
        self.timers[at::TIMEOUT] = match execution.approximate_seconds_before_timed_out {
            Some(seconds) => Timer::after(seconds.min(TIMEOUT_MAX_S).wrapping_mul(1_000)),
            None => Timer::NEVER,
        };
    }
}
