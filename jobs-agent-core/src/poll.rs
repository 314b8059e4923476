//! Effects out: decide on one intent, then put it into the caller's scratch space.
//!
//! Deciding and writing are apart, so that the order of effects can be read in one place
//! ([`Agent::decide`]): local duties first, then what is durable, then the handler, then the wire.

use jobs_proto::limits::TOPIC_LEN_MAX;

use crate::{
    agent::{Agent, Link},
    backoff,
    checkpoint::BODY_LEN_MAX,
    handler::StopReason,
    inbound::index_u8,
    output::Completion,
    output::{FILTERS_MAX, Output},
    queue::Ask,
    record::RECORD_LEN_MAX,
    slot::{RequestKind, Slot, Storage, Want},
    table::Phase,
    time::{Millis, earlier},
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
    pub(crate) topic: [u8; TOPICS_LEN_MAX],
    pub(crate) payload: [u8; PAYLOAD_LEN_MAX],
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
            Intent::Ended(index) => {
                // Only from here on can the slot be taken again.
                self.queue.slot_freed(now);
                self.put_ended(index, scratch)
            }
            Intent::Persist(index) => self.put_record(index, scratch),
            Intent::Erase(index) => self.put_erase(index),
            Intent::Run(index) => self.put_run(index, scratch),
            Intent::Reset(index) => self.put_reset(now, index),
            Intent::Subscribe => self.put_filters(now, scratch),
            Intent::Ask(ask) => self.put_question(now, ask, scratch),
            Intent::Send(index, kind) => self.put_request(now, index, kind, scratch),
            Intent::Wait(until) => Output::Wait(until),
        }
    }

    /// Requests whose reply is overdue, and decisions that were never given.
    fn expire(&mut self, now: Millis) {
        if let Link::Subscribing {
            sent: Some(sent),
            due_at,
            ..
        } = self.link
            && due_at <= now
        {
            self.subscribed(now, sent, Completion::Failed);
        }
        for index in 0..JOBS {
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            if let Some(sequence) = slot.reset_busy
                && slot.reset_at <= now
            {
                self.reset_failed(now, index_u8(index), sequence, Completion::Failed);
                continue;
            }
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
            let resetting = self.reset_wanted();
            let storing = self
                .slots
                .iter()
                .any(|slot| slot.is_storing(now, resetting));
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            if slot.limit_at.is_some_and(|at| at <= now) && slot.is_at_work() {
                slot.order_stop(StopReason::TimeLimit);
                slot.limit_at = None;
            }
            if let Some(intent) = slot.local_intent(index, now, resetting, &mut wake) {
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
            if slot.reset_busy.is_some() {
                wake = earlier(wake, Some(slot.reset_at));
            }
        }
        match self.link {
            Link::Offline => Intent::Wait(wake),
            Link::Subscribing {
                due_at, sent: None, ..
            } if due_at <= now => Intent::Subscribe,
            Link::Subscribing {
                due_at, tries: 0, ..
            } => Intent::Wait(earlier(wake, Some(due_at))),
            // The first SUBSCRIBE was refused or lost: the rest goes on beside the next ones.
            Link::Subscribing { due_at, .. } => {
                self.decide_online(now, earlier(wake, Some(due_at)))
            }
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
}

impl Slot {
    /// What this slot wants done on the device itself; otherwise `wake` learns its next time.
    fn local_intent(
        &self,
        index: usize,
        now: Millis,
        resetting: bool,
        wake: &mut Option<Millis>,
    ) -> Option<Intent> {
        if self.run_due {
            return Some(Intent::Run(index));
        }
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
        if self.storage == Storage::Idle && self.wants_storage(resetting) {
            if self.store_at <= now {
                return Some(match self.want {
                    Want::Erase => Intent::Erase(index),
                    Want::Persist | Want::Nothing => Intent::Persist(index),
                });
            }
            *wake = earlier(*wake, Some(self.store_at));
        }
        if self.is_at_work() {
            *wake = earlier(*wake, self.limit_at);
        }
        None
    }

    /// No new run begins while a reset is wanted: it would only be cut off.
    fn wants_storage(&self, resetting: bool) -> bool {
        self.want != Want::Nothing && !(resetting && self.phase == Phase::Opening)
    }

    /// Whether a write is under way or about to be: a reset waits for it.
    fn is_storing(&self, now: Millis, resetting: bool) -> bool {
        let due = self.want == Want::Persist && self.store_at <= now;
        self.storage != Storage::Idle || (due && self.wants_storage(resetting))
    }

    fn is_at_work(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Saving)
    }

    /// The request that this slot wants sent, and from when on.
    fn wanted_request(&self) -> Option<(Millis, RequestKind)> {
        match self.phase {
            Phase::Listed | Phase::Recovering => Some((self.due_at, RequestKind::Describe)),
            Phase::Claiming => Some((self.due_at, RequestKind::Start)),
            Phase::Reporting => Some(match self.verify_at {
                Some(at) => (at, RequestKind::Verify),
                None => (self.due_at, RequestKind::Outcome),
            }),
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
        // A handler that was told to stop has nothing more to say, and its dead-man's switch is
        // no longer held.
        let verify = self.verify_at.map(|at| (at, RequestKind::Verify));
        if self.stop.is_some() {
            return verify;
        }
        let report = self.progress_pending.then_some(self.report_at);
        let report = earlier(report, self.renew_at).map(|at| (at, RequestKind::Progress));
        // The first that is due; of two the question, which decides about the other.
        match (verify, report) {
            (Some((asks, _)), Some((reports, _))) if reports < asks => report,
            (Some(_), _) => verify,
            (None, _) => report,
        }
    }
}
