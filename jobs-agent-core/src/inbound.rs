//! Messages in: where each one goes, and what the queue's ones mean.
//!
//! A notification only ever *suggests*: it leads to an offer or to a question, never to a
//! conclusion.

use jobs_proto::{
    JobStatus, WireStatus,
    decode::{ErrorKind, Kind, Message, Number},
    document::Document,
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

/// The same without what an offer lends, which is put together in one place.
#[derive(Clone, Copy)]
pub(crate) enum Meaning {
    /// To be planned by the slot of this number.
    Offer(u8),
    Taken,
    Ignored(Ignored),
}

/// The offer's document when the message had none.
const NO_DOCUMENT: &[u8] = b"{}";

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
        let mut room = [&[][..]; Message::ROOM];
        let mut message = Message::new(&mut room);
        match self.heard(topic, &mut message, payload) {
            Meaning::Taken => Handled::Taken,
            Meaning::Ignored(why) => Handled::Ignored(why),
            Meaning::Offer(number) => match (self.slots.get(number), message.job_id()) {
                (Some(slot), Some(job_id)) => Handled::Offer(
                    Ticket {
                        slot: number,
                        generation: slot.generation,
                    },
                    Offer {
                        job_id,
                        execution_number: message.number(Number::Execution),
                        status: message.status().known(),
                        status_details: message.status_details(),
                        document: Document(message.job_document().unwrap_or(NO_DOCUMENT)),
                        resuming: slot.phase == Phase::Replanning,
                    },
                ),
                (None, _) | (_, None) => Handled::Taken,
            },
        }
    }

    fn heard<'b>(
        &mut self,
        topic: InboundTopic<'b>,
        message: &mut Message<'_, 'b>,
        payload: &'b [u8],
    ) -> Meaning {
        let kind = match topic {
            InboundTopic::Notify => Kind::Notify,
            InboundTopic::GetPending(Reply::Accepted) => Kind::Pending,
            InboundTopic::Update(_, Reply::Accepted) => Kind::Updated,
            InboundTopic::GetPending(Reply::Rejected)
            | InboundTopic::DescribeNext(Reply::Rejected)
            | InboundTopic::Describe(_, Reply::Rejected)
            | InboundTopic::Update(_, Reply::Rejected) => Kind::Rejected,
            // This agent never starts a job unseen.
            InboundTopic::StartNext(Reply::Accepted | Reply::Rejected) => {
                return Meaning::Ignored(Ignored::Token);
            }
            InboundTopic::NotifyNext
            | InboundTopic::DescribeNext(Reply::Accepted)
            | InboundTopic::Describe(_, Reply::Accepted) => Kind::Execution,
        };
        let fault = message.read(kind, payload).err();
        match topic {
            InboundTopic::Notify => self.notify(message, fault),
            InboundTopic::NotifyNext => self.notify_next(message, fault),
            InboundTopic::GetPending(Reply::Accepted) => self.listed(message, fault),
            InboundTopic::DescribeNext(Reply::Accepted) => self.described_next(message, fault),
            InboundTopic::Describe(job, Reply::Accepted) => self.described(job, message, fault),
            InboundTopic::Update(job, Reply::Accepted) => self.updated(job, message),
            InboundTopic::Describe(job, Reply::Rejected)
            | InboundTopic::Update(job, Reply::Rejected) => {
                self.rejected(Some(job), message, fault)
            }
            InboundTopic::GetPending(Reply::Rejected)
            | InboundTopic::DescribeNext(Reply::Rejected)
            | InboundTopic::StartNext(_) => self.rejected(None, message, fault),
        }
    }

    fn notify(&mut self, message: &mut Message<'_, '_>, fault: Option<ErrorKind>) -> Meaning {
        if fault.is_some() {
            return self.ask_soon();
        }
        self.common.queue.heard(self.common.config.resync_ms);
        let grace = Timer::after(self.common.config.list_grace_ms);
        let on = self.seen(grace, message);
        // A running job that is not listed may be over; the list may also be old, or full. Ask.
        self.verify_all_but(on)
    }

    fn listed(&mut self, message: &mut Message<'_, '_>, fault: Option<ErrorKind>) -> Meaning {
        if fault.is_some() {
            return Meaning::Ignored(Ignored::Unreadable);
        }
        if !self.answers_queue(Ask::List, message) {
            return Meaning::Ignored(Ignored::Token);
        }
        self.seen(Timer::NOW, message);
        Meaning::Taken
    }

    /// Jobs in lists: known, left, or taken note of in a free slot; those in progress first.
    /// Returns a bit for each slot whose job is there.
    #[inline(never)]
    fn seen(&mut self, due: Timer, message: &mut Message<'_, '_>) -> u32 {
        let mut on = 0;
        for state in [JobStatus::InProgress, JobStatus::Queued] {
            message.rewind();
            while let Some(listed) = message.next_line() {
                let Some(key) = JobKey::of(message).filter(|_| listed == WireStatus::Known(state))
                else {
                    continue;
                };
                if let Some(slot) = self.holding(&key) {
                    on |= bit(slot);
                } else if !self.common.queue.is_left(&key) {
                    self.list(due, &key);
                }
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
    #[inline(never)]
    pub(crate) fn ask_soon(&mut self) -> Meaning {
        let soon = Timer::after(self.common.config.settle_ms);
        let queue = &mut self.common.queue;
        queue.timers[when::NEXT] = queue.timers[when::NEXT].min(soon);
        Meaning::Ignored(Ignored::Unreadable)
    }

    /// Asks whether what was claimed is still on, but for the slots whose bit is set.
    #[inline(always)]
    pub(crate) fn verify_all_but(&mut self, on: u32) -> Meaning {
        self.slots.each(|slot| {
            if slot.is_claimed() && on & bit(slot) == 0 {
                slot.verify_by(Timer::NOW);
            }
        });
        Meaning::Taken
    }

    /// The slot that holds this execution, in any phase but Free.
    pub(crate) fn holding(&mut self, key: &JobKey<'_>) -> Option<&mut Slot> {
        self.slots.find(|slot| slot.holds(key).then_some(slot))
    }

    /// Whether an earlier execution of the same job is still held here: two of them never run
    /// beside each other. That there is a later one says that the earlier is over: its slot asks.
    #[inline(always)]
    pub(crate) fn follows_another(&mut self, then: Timer, key: &JobKey<'_>) -> bool {
        let follows = self.slots.find(|slot| {
            let waiting = matches!(slot.phase, Phase::Free | Phase::Listed | Phase::Planning);
            if waiting || !slot.has_id(key.id) || slot.holds(key) {
                return None;
            }
            if slot.is_claimed() {
                slot.verify_by(then);
            }
            Some(())
        });
        follows.is_some()
    }

    /// Whether the message answers this question about the queue; then it is no more.
    #[inline(always)]
    pub(crate) fn answers_queue(&mut self, ask: Ask, message: &Message<'_, '_>) -> bool {
        let awaited = self.common.awaits(message) == Some(ask);
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
