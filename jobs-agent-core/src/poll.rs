//! Effects out: decide on one intent, then put it into the caller's scratch space.
//!
//! Deciding and writing are apart, so that the order of effects can be read in one place
//! ([`Agent::decide`]): local duties first, then what is durable, then the handler, then the wire.

use jobs_proto::{
    ClientToken, JobId, UpdateStatus,
    details::{Details, PackedDetails},
    encode,
    limits::TOPIC_LEN_MAX,
    topic::{Filter, RequestTopic},
};

use crate::{
    agent::{Agent, Link},
    backoff,
    checkpoint::BODY_LEN_MAX,
    handler::{Attempt, StopReason},
    inbound::index_u8,
    output::{
        FILTERS_MAX, Filters, Origin, Output, RebootPermit, Receipt, RunPermit, Start, Status,
    },
    queue::{Ask, QueueRequest},
    record::RECORD_LEN_MAX,
    slot::{Request, RequestKind, Slot, Storage, Want},
    table::Phase,
    time::{Millis, earlier},
    token,
};

/// Bytes of a payload: an update whose every detail byte is escaped, or a record.
const PAYLOAD_LEN_MAX: usize = {
    let update = 2 * BODY_LEN_MAX + 512;
    if update > RECORD_LEN_MAX {
        update
    } else {
        RECORD_LEN_MAX
    }
};

/// Bytes of the filters of a SUBSCRIBE, or of one topic.
const TOPICS_LEN_MAX: usize = FILTERS_MAX * TOPIC_LEN_MAX;

/// Space in which [`Agent::poll`] puts together what its outputs lend: one per agent, owned by
/// the adapter, about 2 KiB (10 KiB with `large-details`).
#[derive(Debug)]
pub struct Scratch {
    topic: [u8; TOPICS_LEN_MAX],
    payload: [u8; PAYLOAD_LEN_MAX],
}

impl Scratch {
    /// Empty space; const, for a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            topic: [0; TOPICS_LEN_MAX],
            payload: [0; PAYLOAD_LEN_MAX],
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// What is to be done next, before it is put into words.
#[derive(Clone, Copy)]
enum Intent {
    Stop(usize, StopReason),
    Saved(usize),
    Ended(usize),
    Persist(usize),
    Erase(usize),
    Run(usize),
    Reset(usize),
    Subscribe,
    Ask(Ask),
    Send(usize, RequestKind),
    Wait(Option<Millis>),
}

impl<const JOBS: usize> Agent<'_, JOBS> {
    /// The next effect; [`Output::Wait`] when there is none for now.
    pub fn poll<'s>(&mut self, now: Millis, scratch: &'s mut Scratch) -> Output<'s> {
        self.expire(now);
        match self.decide(now) {
            Intent::Stop(index, reason) => self.put_stop(index, reason),
            Intent::Saved(index) => self.put_saved(index),
            Intent::Ended(index) => self.put_ended(index, scratch),
            Intent::Persist(index) => self.put_record(index, scratch),
            Intent::Erase(index) => self.put_erase(index),
            Intent::Run(index) => self.put_run(index, scratch),
            Intent::Reset(index) => self.put_reset(index),
            Intent::Subscribe => self.put_filters(scratch),
            Intent::Ask(ask) => self.put_question(now, ask, scratch),
            Intent::Send(index, kind) => self.put_request(now, index, kind, scratch),
            Intent::Wait(until) => Output::Wait(until),
        }
    }

    /// Requests whose reply is overdue, and decisions that were never given.
    fn expire(&mut self, now: Millis) {
        for index in 0..JOBS {
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            if matches!(slot.phase, Phase::Planning | Phase::Replanning) {
                // The adapter owed a decision within its call; without one, not now.
                slot.step(crate::table::Event::Postponed);
                slot.due_at = now.plus(u64::from(self.config.settle_ms));
            }
            let overdue = slot.request.filter(|request| request.deadline <= now);
            if let Some(request) = overdue {
                let tries = slot.tries;
                let wait = backoff::wait_ms(self.config.backoff, tries, &mut self.rng);
                self.retry(index, request.kind, now.plus(wait));
            }
        }
        if let Some(request) = self.queue.request.filter(|request| request.deadline <= now) {
            let wait = backoff::wait_ms(self.config.backoff, self.queue.tries, &mut self.rng);
            self.queue.again(request.ask, now.plus(wait));
        }
    }

    fn decide(&mut self, now: Millis) -> Intent {
        let mut wake = None;
        for index in 0..JOBS {
            let others = self.others_at_work(index);
            let storing = self.slots.iter().any(|slot| slot.storage != Storage::Idle);
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            if slot.limit_at.is_some_and(|at| at <= now) && slot.is_at_work() {
                slot.order_stop(StopReason::TimeLimit);
                slot.limit_at = None;
            }
            if let Some(intent) = slot.local_intent(index, now, &mut wake) {
                return intent;
            }
            if slot.phase == Phase::Rebooting && slot.reset_busy.is_none() && !storing {
                // Others get a while to end; a failed reset waits in any case.
                let waits = others || slot.store_tries > 0;
                if !waits || slot.reset_at <= now {
                    return Intent::Reset(index);
                }
                wake = earlier(wake, Some(slot.reset_at));
            }
        }
        match self.link {
            Link::Offline => Intent::Wait(wake),
            Link::Subscribing { sent: Some(_), .. } => Intent::Wait(wake),
            Link::Subscribing {
                due_at, sent: None, ..
            } if due_at <= now => Intent::Subscribe,
            Link::Subscribing {
                due_at, sent: None, ..
            } => Intent::Wait(earlier(wake, Some(due_at))),
            Link::Online => self.decide_online(now, wake),
        }
    }

    fn decide_online(&mut self, now: Millis, mut wake: Option<Millis>) -> Intent {
        for (index, slot) in self.slots.iter().enumerate() {
            match (slot.request, slot.wanted_request()) {
                (Some(request), _) => wake = earlier(wake, Some(request.deadline)),
                (None, Some((at, kind))) if at <= now => return Intent::Send(index, kind),
                (None, Some((at, _))) => wake = earlier(wake, Some(at)),
                (None, None) => {}
            }
        }
        // Without room for its answer there is no sense in the question.
        let room = self.claimable().is_some();
        match self.queue.request {
            Some(request) => wake = earlier(wake, Some(request.deadline)),
            None if room => {
                let (at, ask) = self.queue.due();
                if at <= now {
                    return Intent::Ask(ask);
                }
                wake = earlier(wake, Some(at));
            }
            None => {}
        }
        Intent::Wait(wake)
    }

    fn put_stop(&mut self, index: usize, reason: StopReason) -> Output<'static> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.stop_due = false;
        Output::Stop {
            slot: index_u8(index),
            run: slot.run,
            reason,
        }
    }

    fn put_saved(&mut self, index: usize) -> Output<'static> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.saved_due = false;
        Output::Saved {
            slot: index_u8(index),
            run: slot.run,
        }
    }

    fn put_ended<'s>(&mut self, index: usize, scratch: &'s mut Scratch) -> Output<'s> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        let Some(ending) = slot.ended.take() else {
            return Output::Wait(None);
        };
        match lend_job(slot, &mut scratch.topic) {
            Some(job_id) => Output::Ended {
                slot: index_u8(index),
                job_id,
                ending,
            },
            None => Output::Wait(None),
        }
    }

    fn put_record<'s>(&mut self, index: usize, scratch: &'s mut Scratch) -> Output<'s> {
        let sequence = self.next_counter();
        let boot = self.boot.id;
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        let Some(record) = slot.record(boot) else {
            return Output::Wait(None);
        };
        let Some(record) = record.encode(&mut scratch.payload) else {
            return Output::Wait(None);
        };
        slot.storage = Storage::Persisting {
            sequence,
            current: true,
        };
        slot.stored = true;
        let slot = index_u8(index);
        Output::Persist {
            receipt: Receipt {
                origin: Origin::Storage(slot),
                sequence,
            },
            slot,
            record,
        }
    }

    fn put_erase(&mut self, index: usize) -> Output<'static> {
        let sequence = self.next_counter();
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.storage = Storage::Erasing { sequence };
        let slot = index_u8(index);
        Output::Erase {
            receipt: Receipt {
                origin: Origin::Storage(slot),
                sequence,
            },
            slot,
        }
    }

    fn put_run<'s>(&mut self, index: usize, scratch: &'s mut Scratch) -> Output<'s> {
        let last = self.config.attempts_max.max(1);
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.run_due = false;
        let Some(job_id) = lend_job(slot, &mut scratch.topic) else {
            return Output::Wait(None);
        };
        let start = slot.checkpoint().map_or(Start::Fresh, Start::Resume);
        Output::Run(RunPermit {
            slot: index_u8(index),
            run: slot.run,
            job_id,
            execution_number: slot.job.execution_number,
            tag: slot.tag,
            start,
            attempt: Attempt {
                number: slot.attempts,
                last,
            },
            deadline: earlier(slot.limit_at, slot.timeout_at),
        })
    }

    fn put_reset(&mut self, index: usize) -> Output<'static> {
        let sequence = self.next_counter();
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.reset_busy = Some(sequence);
        let slot = index_u8(index);
        let receipt = Receipt {
            origin: Origin::Reset(slot),
            sequence,
        };
        Output::Reboot(RebootPermit { slot, receipt })
    }

    fn put_filters<'s>(&mut self, scratch: &'s mut Scratch) -> Output<'s> {
        const NOTIFICATIONS: [Filter; 2] = [Filter::Notify, Filter::NotifyNext];
        const ALL: [Filter; FILTERS_MAX] = [
            Filter::Notify,
            Filter::NotifyNext,
            Filter::GetPendingReplies,
            // `+` also matches `$next`: only the first level of a topic is special.
            Filter::DescribeReplies,
            Filter::UpdateReplies,
        ];
        let sequence = self.next_counter();
        let wanted: &[Filter] = if self.config.subscribe_replies {
            &ALL
        } else {
            &NOTIFICATIONS
        };
        let mut filters = Filters {
            texts: [""; FILTERS_MAX],
            count: 0,
        };
        let mut rest: &'s mut [u8] = &mut scratch.topic;
        for (filter, text) in wanted.iter().zip(&mut filters.texts) {
            let taken = core::mem::take(&mut rest);
            let Some((head, tail)) = taken.split_at_mut_checked(TOPIC_LEN_MAX) else {
                break;
            };
            let Ok(encoded) = filter.encode(self.config.thing, head) else {
                break;
            };
            *text = encoded;
            filters.count = filters.count.saturating_add(1);
            rest = tail;
        }
        if let Link::Subscribing { sent, .. } = &mut self.link {
            *sent = Some(sequence);
        }
        Output::Subscribe {
            receipt: Receipt {
                origin: Origin::Subscription,
                sequence,
            },
            filters,
        }
    }

    fn put_question<'s>(&mut self, now: Millis, ask: Ask, scratch: &'s mut Scratch) -> Output<'s> {
        let counter = self.next_counter();
        let deadline = now.plus(u64::from(self.config.reply_timeout_ms));
        let resync_at = now.plus(u64::from(self.config.resync_ms));
        self.queue.asked(
            QueueRequest {
                ask,
                counter,
                deadline,
            },
            resync_at,
        );
        let text = token::text(self.boot.entropy, counter);
        let token = ClientToken::new(&text).ok();
        let (topic, payload) = match ask {
            Ask::Next => (
                RequestTopic::DescribeNext,
                encode::Describe {
                    client_token: token,
                    ..encode::Describe::default()
                }
                .encode(&mut scratch.payload),
            ),
            Ask::List => (
                RequestTopic::GetPending,
                encode::GetPending {
                    client_token: token,
                }
                .encode(&mut scratch.payload),
            ),
        };
        let topic = topic.encode(self.config.thing, &mut scratch.topic);
        let receipt = Receipt {
            origin: Origin::Queue,
            sequence: counter,
        };
        match (topic, payload) {
            (Ok(topic), Ok(payload)) => Output::Transmit {
                receipt,
                topic,
                payload,
                at_least_once: true,
            },
            (Err(_), _) | (_, Err(_)) => Output::Wait(Some(deadline)),
        }
    }

    fn put_request<'s>(
        &mut self,
        now: Millis,
        index: usize,
        kind: RequestKind,
        scratch: &'s mut Scratch,
    ) -> Output<'s> {
        let counter = self.next_counter();
        let deadline = now.plus(u64::from(self.config.reply_timeout_ms));
        let settle_at = now.plus(u64::from(self.config.settle_ms));
        let interval = u64::from(self.config.progress_interval_ms);
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.request = Some(Request {
            kind,
            counter,
            deadline,
        });
        let text = token::text(self.boot.entropy, counter);
        let token = ClientToken::new(&text).ok();
        let Ok(job) = JobId::new(&slot.job.id) else {
            return Output::Wait(None);
        };
        let (topic, payload) = match kind {
            RequestKind::Describe | RequestKind::Verify => (
                RequestTopic::Describe(job),
                encode::Describe {
                    execution_number: slot.job.execution_number,
                    include_job_document: (kind == RequestKind::Verify).then_some(false),
                    client_token: token,
                }
                .encode(&mut scratch.payload),
            ),
            RequestKind::Start | RequestKind::Progress | RequestKind::Outcome => (
                RequestTopic::Update(job),
                slot.update(kind, token).encode(&mut scratch.payload),
            ),
        };
        let topic = topic.encode(self.config.thing, &mut scratch.topic);
        match kind {
            RequestKind::Verify => slot.verify_at = None,
            RequestKind::Progress => {
                slot.progress_pending = false;
                slot.report_at = now.plus(interval);
                slot.arm_renewal(now);
            }
            // The service tells the new head after an outcome; ask only if it does not.
            RequestKind::Outcome => self.queue.settle_at = Some(settle_at),
            RequestKind::Describe | RequestKind::Start => {}
        }
        let receipt = Receipt {
            origin: Origin::Request(index_u8(index)),
            sequence: counter,
        };
        let at_least_once = kind != RequestKind::Progress;
        match (topic, payload) {
            (Ok(topic), Ok(payload)) => Output::Transmit {
                receipt,
                topic,
                payload,
                at_least_once,
            },
            (Err(_), _) | (_, Err(_)) => Output::Wait(Some(deadline)),
        }
    }
}

impl Slot {
    /// What this slot wants done on the device itself; otherwise `wake` learns its next time.
    fn local_intent(&self, index: usize, now: Millis, wake: &mut Option<Millis>) -> Option<Intent> {
        if self.stop_due
            && let Some(reason) = self.stop
        {
            return Some(Intent::Stop(index, reason));
        }
        if self.saved_due {
            return Some(Intent::Saved(index));
        }
        if self.ended.is_some() {
            return Some(Intent::Ended(index));
        }
        if self.storage == Storage::Idle && self.want != Want::Nothing {
            if self.store_at <= now {
                return Some(match self.want {
                    Want::Erase => Intent::Erase(index),
                    Want::Persist | Want::Nothing => Intent::Persist(index),
                });
            }
            *wake = earlier(*wake, Some(self.store_at));
        }
        if self.run_due {
            return Some(Intent::Run(index));
        }
        if self.is_at_work() {
            *wake = earlier(*wake, self.limit_at);
        }
        None
    }

    fn is_at_work(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Saving)
    }

    /// The request that this slot wants sent, and from when on.
    fn wanted_request(&self) -> Option<(Millis, RequestKind)> {
        match self.phase {
            Phase::Listed | Phase::Recovering => Some((self.due_at, RequestKind::Describe)),
            Phase::Claiming => Some((self.due_at, RequestKind::Start)),
            Phase::Reporting => Some((self.due_at, RequestKind::Outcome)),
            Phase::Running | Phase::Saving if self.is_watched() => self.watch_request(),
            Phase::Running
            | Phase::Saving
            | Phase::Free
            | Phase::Planning
            | Phase::Opening
            | Phase::Draining
            | Phase::Closing
            | Phase::Parking
            | Phase::Rebooting
            | Phase::Replanning => None,
        }
    }

    fn watch_request(&self) -> Option<(Millis, RequestKind)> {
        if let Some(at) = self.verify_at {
            return Some((at, RequestKind::Verify));
        }
        // A handler that was told to stop has nothing more to say, and its dead-man's switch is
        // no longer held.
        if self.stop.is_some() {
            return None;
        }
        let report = self.progress_pending.then_some(self.report_at);
        earlier(report, self.renew_at).map(|at| (at, RequestKind::Progress))
    }

    fn update<'u>(
        &'u self,
        kind: RequestKind,
        token: Option<ClientToken<'u>>,
    ) -> encode::Update<'u> {
        let (status, details) = match (kind, self.outcome) {
            (RequestKind::Outcome, Some(Status::Succeeded)) => {
                (UpdateStatus::Succeeded, &*self.body)
            }
            (RequestKind::Outcome, Some(Status::Failed)) => (UpdateStatus::Failed, &*self.body),
            (RequestKind::Outcome, Some(Status::Rejected)) => (UpdateStatus::Rejected, &*self.body),
            (RequestKind::Progress, _) => (UpdateStatus::InProgress, &*self.progress),
            (RequestKind::Outcome, None)
            | (RequestKind::Start | RequestKind::Describe | RequestKind::Verify, _) => {
                (UpdateStatus::InProgress, &[][..])
            }
        };
        let mut update = encode::Update::new(status);
        if !details.is_empty() {
            update.status_details = Details::Packed(PackedDetails(details));
        }
        update.execution_number = self.job.execution_number;
        if kind != RequestKind::Outcome {
            update.step_timeout_minutes = self
                .policy
                .step_timeout_minutes
                .and_then(encode::StepMinutes::new)
                .map(encode::StepTimeout::Minutes);
        }
        update.client_token = token;
        update
    }
}

/// Lends the job id of `slot` from the scratch space.
fn lend_job<'s>(slot: &Slot, space: &'s mut [u8]) -> Option<JobId<'s>> {
    let bytes = slot.job.id.as_bytes();
    let place = space.get_mut(..bytes.len())?;
    place.copy_from_slice(bytes);
    JobId::new(core::str::from_utf8(place).ok()?).ok()
}
