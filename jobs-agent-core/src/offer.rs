//! Offers: from a message with a document to the handler that decides on it.

use jobs_proto::{
    JobStatus,
    decode::{ErrorKind, Message, Number},
};

use crate::{
    agent::Agent,
    inbound::{Ignored, Meaning},
    job::{JobKey, low},
    queue::{Ask, when},
    slot::{Slot, at},
    table::{Event, Phase},
    time::Timer,
};

/// Longest time-out of the service, seconds: seven days (official service model,
/// `InProgressTimeoutInMinutes`).
const TIMEOUT_MAX_S: u32 = 7 * 24 * 60 * 60;

impl<const JOBS: usize> Agent<'_, JOBS> {
    pub(crate) fn notify_next(
        &mut self,
        message: &Message<'_, '_>,
        fault: Option<ErrorKind>,
    ) -> Meaning {
        if fault.is_some() {
            return self.poisoned(message);
        }
        self.common.queue.heard(self.common.config.resync_ms);
        if message.has_execution() {
            self.offer(message, true)
        } else {
            self.verify_all_but(0)
        }
    }

    pub(crate) fn described_next(
        &mut self,
        message: &Message<'_, '_>,
        fault: Option<ErrorKind>,
    ) -> Meaning {
        let bare = self.common.queue.silence.asks_bare();
        if !self.answers_queue(Ask::Next, message) {
            return Meaning::Ignored(Ignored::Token);
        }
        if fault.is_none() && !message.has_execution() {
            return Meaning::Taken;
        }
        let meaning = if fault.is_some() || bare && message.job_document().is_none() {
            self.poisoned(message)
        } else {
            self.offer(message, false)
        };
        let head_hides = matches!(
            meaning,
            Meaning::Ignored(Ignored::Duplicate | Ignored::Left)
        );
        let room = self.slots.find(|slot| slot.is_claimable().then_some(()));
        if room.is_some() && (head_hides || JOBS > 1) {
            // Only the head is shown; others may wait behind it for the slots that are free.
            self.common.queue.timers[when::LIST] = Timer::NOW;
        }
        meaning
    }

    /// A pending execution with its document, told by the service on its own or as the head.
    #[inline(never)]
    fn offer(&mut self, message: &Message<'_, '_>, news: bool) -> Meaning {
        let terminal = message.status().known().is_some_and(JobStatus::is_terminal);
        let Some(key) = JobKey::of(message).filter(|_| !terminal) else {
            return Meaning::Ignored(Ignored::Irrelevant);
        };
        // Before the first answer about the head, a notification may be of an earlier life.
        let live = news && self.common.queue.oriented;
        if let Some(slot) = self.holding(&key) {
            if slot.phase != Phase::Listed {
                return Meaning::Ignored(Ignored::Duplicate);
            }
            return slot.plan(message, live);
        }
        if self.common.queue.is_left(&key) {
            return Meaning::Ignored(Ignored::Left);
        }
        if news && message.job_document().is_none() {
            // The head has a document; this message came without it.
            self.common.queue.timers[when::NEXT] = Timer::NOW;
            return Meaning::Taken;
        }
        if !self.follows_another(Timer::NOW, &key)
            && let Some((slot, queue)) = self.place(Timer::NOW)
        {
            // A listed job gives way to one that came with its document.
            queue.more |= slot.phase == Phase::Listed;
            slot.hold(&key);
            return slot.plan(message, live);
        }
        self.common.queue.missed = true;
        Meaning::Ignored(Ignored::Busy)
    }

    /// A message without a document, or that cannot be read but names its job: asked about by
    /// itself, so that the job is answered and never blocks the queue (P6). An unreadable message
    /// alone is no ground to answer: it may be old, cut in the execution's number, or about
    /// somebody else's job.
    #[inline(never)]
    fn poisoned(&mut self, message: &Message<'_, '_>) -> Meaning {
        let Some(key) = JobKey::of(message) else {
            return self.ask_soon();
        };
        if self.holding(&key).is_some() {
            return Meaning::Ignored(Ignored::Duplicate);
        }
        if self.common.queue.is_left(&key) {
            return Meaning::Ignored(Ignored::Left);
        }
        self.list(Timer::NOW, &key);
        Meaning::Taken
    }
}

impl Slot {
    /// Hands the document to the handler that will decide on it.
    #[inline(never)]
    pub(crate) fn plan(&mut self, message: &Message<'_, '_>, live: bool) -> Meaning {
        if !self.step(Event::Document) {
            return Meaning::Ignored(Ignored::Irrelevant);
        }
        self.work.live = live;
        self.work.listed_bare = self.header.execution().is_unknown();
        if let Some(key) = JobKey::of(message) {
            self.learn(&key);
        }
        self.time_out(message);
        Meaning::Offer(self.number)
    }

    /// Notes when the service will end the execution.
    pub(crate) fn time_out(&mut self, message: &Message<'_, '_>) {
        self.timers[at::TIMEOUT] = match message.number(Number::SecondsLeft) {
            Some(seconds) => {
                let seconds = low(seconds.clamp(0, TIMEOUT_MAX_S.into()).cast_unsigned());
                Timer::after(seconds.wrapping_mul(1_000))
            }
            None => Timer::NEVER,
        };
    }
}
