//! Effects out: decide on one act, then put it into the caller's scratch space.
//!
//! Deciding and writing are apart, so that the order of effects can be read in one place
//! ([`Agent::decide`]): local duties first, then what is durable, then the handler, then the wire.

use jobs_proto::limits::{FILTER_LEN_MAX, REQUEST_TOPIC_LEN_MAX};

use crate::{
    agent::Agent,
    checkpoint::BODY_LEN_MAX,
    common::LinkState,
    handler::StopReason,
    output::{FILTERS_MAX, Output},
    queue::{Ask, when},
    record::RECORD_LEN_MAX,
    request::Subject,
    slot::{RequestKind, Slot, Storage, Want, at},
    table::{Event, Phase},
    time::{Millis, Timer},
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

/// The filters of a SUBSCRIBE, each behind its length, lie where a payload does.
const _: () =
    assert!(FILTERS_MAX * (1 + FILTER_LEN_MAX) <= PAYLOAD_LEN_MAX && FILTER_LEN_MAX < 256);

/// The reason for a document that the service has and that does not arrive here.
const TOO_LARGE: &str = "job document does not fit this device's receive buffer";

/// Space in which [`Agent::poll`] puts together what its outputs lend: one per agent, owned by
/// the adapter, 1.2 KiB (9 KiB with `large-details`).
#[derive(Debug)]
pub struct Scratch {
    pub(crate) topic: [u8; REQUEST_TOPIC_LEN_MAX],
    pub(crate) payload: [u8; PAYLOAD_LEN_MAX],
}

impl Scratch {
    /// Empty space; const, for a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            topic: [0; REQUEST_TOPIC_LEN_MAX],
            payload: [0; PAYLOAD_LEN_MAX],
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// What is to be done next in a slot, on the device itself.
#[derive(Clone, Copy)]
pub(crate) enum Duty {
    Run,
    Stop,
    Saved,
    Ended,
    Persist,
    Erase,
    Reset,
}

/// What the other slots are at, as far as a duty has to wait for it. With one slot there are none.
#[derive(Clone, Copy, Default)]
struct Others {
    /// A reset is wanted.
    resetting: bool,
    /// A write is under way, or about to be even though a reset is wanted.
    storing: bool,
    /// A handler is at work, or its last word is to be kept.
    busy: bool,
}

impl<const JOBS: usize> Agent<'_, JOBS> {
    /// The next effect; [`Output::Wait`] when there is none for now.
    #[inline(never)]
    pub fn poll<'s>(&mut self, now: Millis, scratch: &'s mut Scratch) -> Output<'s> {
        self.pass(now);
        self.expire();
        let mut wake = Timer::NEVER;
        let mut all = Others::default();
        if JOBS > 1 {
            self.slots.each(|slot| all.learn(slot));
        }
        let Self { common, slots } = self;
        let local = slots.find(|slot| Some((slot.local_duty(all, &mut wake)?, slot)));
        if let Some((duty, slot)) = local {
            return common.put(slot, duty, scratch);
        }
        let link = &common.link;
        if link.state != LinkState::Online {
            if link.state == LinkState::Connected && link.due.is_due() {
                return common.put_filters(scratch);
            }
            if link.state != LinkState::Offline {
                wake = wake.min(link.due);
            }
            if link.state == LinkState::Offline || link.tries == 0 {
                return Output::Wait(common.at(wake));
            }
            // The first SUBSCRIBE was refused or lost: the rest goes on beside the next ones.
        }
        self.poll_online(wake, scratch)
    }

    /// What is to be said to the service.
    fn poll_online<'s>(&mut self, mut wake: Timer, scratch: &'s mut Scratch) -> Output<'s> {
        let Self { common, slots } = self;
        let asking = slots.find(|slot| {
            // Never, if no reply is awaited.
            wake = wake.min(slot.timers[at::REPLY]);
            if slot.work.request.is_none() {
                let (then, kind) = slot.wanted_request();
                if then.is_due() {
                    return Some(Subject::Slot(slot, kind));
                }
                wake = wake.min(then);
            }
            None
        });
        if let Some(subject) = asking {
            return common.put_request(subject, scratch);
        }
        wake = wake.min(common.queue.timers[when::REPLY]);
        // Without room for its answer there is no sense in the question.
        if self.common.queue.request.is_none() && self.place(Timer::NOW).is_some() {
            let (then, ask) = self.common.queue.due();
            if then.is_due() {
                return self.common.put_request(Subject::Queue(ask), scratch);
            }
            wake = wake.min(then);
        }
        Output::Wait(self.common.at(wake))
    }

    /// Requests whose reply is overdue, and decisions that were never given.
    fn expire(&mut self) {
        let link = self.common.link;
        if link.state == LinkState::Subscribing && link.due.is_due() {
            self.subscribed(link.sent, true);
        }
        let Self { common, slots } = self;
        slots.each(|slot| {
            if slot.work.resetting && slot.timers[at::RESET].is_due() {
                common.reset_failed(slot, slot.storing);
            }
            if matches!(slot.phase, Phase::Planning | Phase::Replanning) {
                // The adapter owed a decision within its call; without one, not now.
                slot.step(Event::Postponed);
                slot.timers[at::DUE] = Timer::after(common.config.settle_ms);
            }
            if let Some(kind) = slot.work.request
                && slot.timers[at::REPLY].is_due()
            {
                if kind == RequestKind::Describe && slot.work.silence.unanswered() {
                    slot.forget_request();
                    return common.refuse_unread(slot, None, TOO_LARGE);
                }
                let wait = common.backoff(slot.work.tries);
                common.retry(slot, kind, wait);
            }
        });
        if let Some(ask) = common.queue.request
            && common.queue.timers[when::REPLY].is_due()
        {
            if ask == Ask::Next {
                common.queue.silence.unanswered();
            }
            let wait = common.backoff(common.queue.tries);
            common.queue.again(ask, wait);
        }
    }
}

impl Others {
    fn learn(&mut self, slot: &Slot) {
        self.resetting |= slot.wants_reset();
        self.storing |= slot.is_storing();
        self.busy |= slot.is_busy();
    }
}

impl Slot {
    /// What this slot wants done on the device itself; otherwise `wake` learns its next time.
    #[inline(always)]
    fn local_duty(&mut self, all: Others, wake: &mut Timer) -> Option<Duty> {
        if self.is_at_work() && self.timers[at::LIMIT].is_due() {
            self.timers[at::LIMIT] = Timer::NEVER;
            // Told to stop once.
            if self.work.stop.is_none() {
                self.work.stop = Some(StopReason::TimeLimit);
                self.work.stop_due = true;
            }
        }
        if self.work.run_due {
            return Some(Duty::Run);
        }
        if self.work.stop_due {
            return Some(Duty::Stop);
        }
        if self.work.saved_due {
            return Some(Duty::Saved);
        }
        if self.work.ended.is_some() {
            return Some(Duty::Ended);
        }
        if self.storage == Storage::Idle && self.wants_storage(all.resetting) {
            if self.timers[at::STORE].is_due() {
                return Some(match self.want {
                    Want::Erase => Duty::Erase,
                    Want::Persist | Want::Nothing => Duty::Persist,
                });
            }
            *wake = (*wake).min(self.timers[at::STORE]);
        }
        if self.is_at_work() {
            *wake = (*wake).min(self.timers[at::LIMIT]);
        }
        let storing = self.storage != Storage::Idle || all.storing;
        if self.work.resetting || self.phase == Phase::Rebooting && !storing {
            // Others get a while to end; a failed reset waits in any case.
            let waits = all.busy || self.store_tries > 0;
            if !self.work.resetting && (!waits || self.timers[at::RESET].is_due()) {
                return Some(Duty::Reset);
            }
            *wake = (*wake).min(self.timers[at::RESET]);
        }
        None
    }

    /// No new run begins while a reset is wanted: it would only be cut off.
    fn wants_storage(&self, resetting: bool) -> bool {
        self.want != Want::Nothing && !(resetting && self.phase == Phase::Opening)
    }

    /// Whether a write is under way, or about to be even though a reset is wanted: it waits.
    fn is_storing(&self) -> bool {
        let due = self.want == Want::Persist && self.timers[at::STORE].is_due();
        self.storage != Storage::Idle || (due && self.wants_storage(true))
    }

    /// Whether a handler is at work here, or its last word is to be kept.
    fn is_busy(&self) -> bool {
        self.is_at_work()
            || matches!(
                self.phase,
                Phase::Draining | Phase::Closing | Phase::Parking
            )
    }

    /// The request that this slot wants sent, and from when on.
    #[inline(never)]
    fn wanted_request(&self) -> (Timer, RequestKind) {
        let timers = &self.timers;
        match self.phase {
            Phase::Listed | Phase::Recovering => (timers[at::DUE], RequestKind::Describe),
            Phase::Claiming => (timers[at::DUE], RequestKind::Start),
            Phase::Reporting if !timers[at::VERIFY].is_set() => {
                (timers[at::DUE], RequestKind::Outcome)
            }
            Phase::Reporting => (timers[at::VERIFY], RequestKind::Verify),
            Phase::Running | Phase::Saving if !self.work.instant => self.watch_request(),
            Phase::Running
            | Phase::Saving
            | Phase::Free
            | Phase::Planning
            | Phase::Opening
            | Phase::Draining
            | Phase::Closing
            | Phase::Parking
            | Phase::Rebooting
            | Phase::Replanning => (Timer::NEVER, RequestKind::Verify),
        }
    }

    fn watch_request(&self) -> (Timer, RequestKind) {
        let timers = &self.timers;
        let mut report = timers[at::RENEW];
        if self.work.progress_pending {
            report = report.min(timers[at::REPORT]);
        }
        // The first that is due; of two the question, which decides about the other. A handler
        // that was told to stop has nothing more to say, and its dead-man's switch is no longer
        // held.
        if report < timers[at::VERIFY] && self.work.stop.is_none() {
            (report, RequestKind::Progress)
        } else {
            (timers[at::VERIFY], RequestKind::Verify)
        }
    }
}
