//! Messages in: where each one goes, and what the queue's ones mean.
//!
//! A notification only ever *suggests*: it leads to an offer or to a question, never to a
//! conclusion.

use jobs_proto::{
    EscapedStr,
    decode::{self, DecodeError, ExecutionMessage, Summaries},
    topic::{InboundTopic, Reply, TopicError},
};

use crate::{
    agent::{Agent, Ticket},
    handler::Offer,
    job::JobKey,
    queue::{Ask, when},
    silence::Silence,
    slot::{Slot, at},
    table::{Event, Phase},
    time::{Millis, Timer},
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

/// The token of a message about one execution, also of one that cannot be read.
pub(crate) fn token_of<'b>(
    message: &Result<ExecutionMessage<'b>, DecodeError<'b>>,
) -> Option<EscapedStr<'b>> {
    match message {
        Ok(message) => message.client_token,
        Err(error) => error.salvage.as_ref()?.client_token,
    }
}

impl<const JOBS: usize> Agent<'_, JOBS> {
    /// A message arrived. `payload` may be cut short by a small receive buffer: the job it
    /// names is then answered REJECTED rather than lost (P6).
    #[inline(never)]
    pub fn handle_publish<'b>(
        &mut self,
        now: Millis,
        topic: &'b str,
        payload: &'b [u8],
    ) -> Handled<'b> {
        self.pass(now);
        let topic = match InboundTopic::parse(topic, self.common.config.thing) {
            Ok(topic) => topic,
            Err(error) => return Handled::Ignored(Ignored::Topic(error)),
        };
        let outcome = match topic {
            InboundTopic::Notify => self.notify(payload),
            InboundTopic::GetPending(Reply::Accepted) => self.listed(payload),
            InboundTopic::Update(job, Reply::Accepted) => self.updated(job, payload),
            InboundTopic::GetPending(Reply::Rejected)
            | InboundTopic::DescribeNext(Reply::Rejected) => self.rejected(None, payload),
            InboundTopic::Describe(job, Reply::Rejected)
            | InboundTopic::Update(job, Reply::Rejected) => self.rejected(Some(job), payload),
            // This agent never starts a job unseen.
            InboundTopic::StartNext(Reply::Accepted | Reply::Rejected) => Err(Ignored::Token),
            // Three messages of one shape.
            InboundTopic::NotifyNext
            | InboundTopic::DescribeNext(Reply::Accepted)
            | InboundTopic::Describe(_, Reply::Accepted) => {
                let message = decode::describe_accepted(payload);
                return match topic {
                    InboundTopic::NotifyNext => self.notify_next(&message),
                    InboundTopic::Describe(job, _) => self.described(job, &message),
                    InboundTopic::Notify
                    | InboundTopic::GetPending(_)
                    | InboundTopic::StartNext(_)
                    | InboundTopic::Update(..)
                    | InboundTopic::DescribeNext(_) => self.described_next(&message),
                };
            }
        };
        match outcome {
            Ok(()) => Handled::Taken,
            Err(why) => Handled::Ignored(why),
        }
    }

    #[inline(never)]
    fn notify(&mut self, payload: &[u8]) -> Result<(), Ignored> {
        let Ok(notify) = decode::notify(payload) else {
            self.ask_soon();
            return Err(Ignored::Unreadable);
        };
        self.common.queue.heard(self.common.config.resync_ms);
        let grace = Timer::after(self.common.config.list_grace_ms);
        let on = self.seen(grace, notify.in_progress()) | self.seen(grace, notify.queued());
        // A running job that is not listed may be over; the list may also be old, or full. Ask.
        self.verify_all_but(on);
        Ok(())
    }

    #[inline(never)]
    fn listed(&mut self, payload: &[u8]) -> Result<(), Ignored> {
        let Ok(list) = decode::get_pending_accepted(payload) else {
            return Err(Ignored::Unreadable);
        };
        if !self.answers_queue(Ask::List, list.client_token) {
            return Err(Ignored::Token);
        }
        self.seen(Timer::NOW, list.in_progress());
        self.seen(Timer::NOW, list.queued());
        Ok(())
    }

    /// Jobs in a list: known, left, or taken note of in a free slot. Returns a bit for each slot
    /// whose job is there.
    #[inline(never)]
    fn seen(&mut self, due: Timer, list: Summaries<'_>) -> u32 {
        let mut on = 0;
        for line in list {
            let key = JobKey::of_line(&line);
            if let Some(slot) = self.holding(&key) {
                on |= bit(slot);
            } else if !self.common.queue.is_left(&key) {
                self.list(due, &key);
            }
        }
        on
    }

    /// Takes note of a job whose document is asked for as soon as `due` says.
    #[inline(never)]
    pub(crate) fn list(&mut self, due: Timer, key: &JobKey<'_>) {
        let mut later = due;
        // A job that its handler postponed must not hold back one that nobody has looked at.
        later.postpone();
        if !self.follows_another(due, key)
            && let Some((slot, queue)) = self.place(later)
        {
            if slot.phase == Phase::Listed {
                let list = &mut queue.timers[when::LIST];
                *list = slot.timers[at::DUE].min(*list);
            }
            slot.hold(key);
            slot.step(Event::Seen);
            slot.timers[at::DUE] = due;
        } else {
            self.common.queue.more = true;
        }
    }

    /// A notification was lost on us: the queue is asked before long.
    pub(crate) fn ask_soon(&mut self) {
        let soon = Timer::after(self.common.config.settle_ms);
        let queue = &mut self.common.queue;
        queue.timers[when::NEXT] = queue.timers[when::NEXT].min(soon);
    }

    /// Asks whether what was claimed is still on, but for the slots whose bit is set.
    pub(crate) fn verify_all_but(&mut self, on: u32) {
        for slot in &mut self.slots {
            if slot.is_claimed() && on & bit(slot) == 0 {
                slot.verify_by(Timer::NOW);
            }
        }
    }

    /// The slot that holds this execution, in any phase but Free.
    pub(crate) fn holding(&mut self, key: &JobKey<'_>) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.holds(key))
    }

    /// Whether an earlier execution of the same job is still held here: two of them never run
    /// beside each other. That there is a later one says that the earlier is over: its slot asks.
    pub(crate) fn follows_another(&mut self, then: Timer, key: &JobKey<'_>) -> bool {
        let begun = |slot: &&mut Slot| {
            let waiting = matches!(slot.phase, Phase::Free | Phase::Listed | Phase::Planning);
            !waiting && slot.has_id(key.id) && !slot.holds(key)
        };
        let Some(slot) = self.slots.iter_mut().find(begun) else {
            return false;
        };
        if slot.is_claimed() {
            slot.verify_by(then);
        }
        true
    }

    /// Whether `token` answers the question about the queue that is out; then it is no more.
    pub(crate) fn answers_queue(&mut self, ask: Ask, token: Option<EscapedStr<'_>>) -> bool {
        let queue = &self.common.queue;
        let awaited = queue.request == Some(ask) && self.common.is_token(queue.asked, token);
        if awaited {
            let queue = &mut self.common.queue;
            queue.oriented |= ask == Ask::Next;
            queue.forget_request();
            queue.tries = 0;
            queue.silence = Silence::NONE;
        }
        awaited
    }
}

/// The bit of this slot among up to 32.
fn bit(slot: &Slot) -> u32 {
    1_u32.wrapping_shl(u32::from(slot.number))
}
