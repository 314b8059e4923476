//! Requests that the service refuses, and requests put again.

use jobs_proto::{
    ErrorCode, JobId, JobStatus, Retry,
    decode::{ErrorKind, Message},
};

use crate::{
    agent::Agent,
    backoff,
    common::Common,
    handler::StopReason,
    inbound::{Ignored, Meaning},
    output::Ending,
    queue::when,
    reply::stop_reason,
    silence::Silence,
    slot::{RequestKind, Slot, at, count},
    table::{Event, Phase},
    time::Timer,
};

/// How often an execution is asked for that a read does not find, before it is taken for gone. A
/// notification can come before a read shows the job (seen as eventual consistency by
/// Greengrass); believed at once, such a read would stop work that is on, or erase its record.
const DESCRIBE_TRIES_MAX: u8 = 4;

/// Reports refused for good before the outcome is given up: once with details, then without.
const REFUSALS_MAX: u8 = 3;

impl<const JOBS: usize> Agent<'_, JOBS> {
    /// A request about this job, or about the queue, was refused.
    #[inline(always)]
    pub(crate) fn rejected(
        &mut self,
        job: Option<JobId<'_>>,
        message: &Message<'_, '_>,
        fault: Option<ErrorKind>,
    ) -> Meaning {
        if fault.is_some() {
            return Meaning::Ignored(Ignored::Unreadable);
        }
        let Self { common, slots } = self;
        let code = message.code();
        let class = code.retry_class();
        let Some(job) = job else {
            let Some(ask) = common.awaits(message) else {
                return Meaning::Ignored(Ignored::Token);
            };
            let wait = common.wait(class, common.queue.tries);
            // The service was in trouble, and may have been before.
            common.queue.silence = Silence::NONE;
            common.queue.again(ask, wait);
            return Meaning::Taken;
        };
        let Some((slot, kind)) = common.answered(slots, job, message) else {
            return Meaning::Ignored(Ignored::Token);
        };
        let wait = common.wait(class, slot.work.tries);
        slot.work.silence = Silence::NONE;
        match class {
            Retry::Over => {
                let state = message.status().known();
                common.refused_over(slot, kind, code, state, wait);
            }
            Retry::Never => common.refused_for_good(slot, kind, wait),
            Retry::Backoff | Retry::Throttled => common.retry(slot, kind, wait),
        }
        Meaning::Taken
    }
}

impl Common<'_> {
    fn wait(&mut self, class: Retry, tries: u8) -> Timer {
        let backoff = match class {
            Retry::Throttled => self.config.throttled,
            Retry::Never | Retry::Backoff | Retry::Over => self.config.backoff,
        };
        backoff::wait(backoff, tries, &mut self.rng)
    }

    /// The service says that the execution is over, or not there.
    fn refused_over(
        &mut self,
        slot: &mut Slot,
        kind: RequestKind,
        code: ErrorCode,
        state: Option<JobStatus>,
        wait: Timer,
    ) {
        let gone = code == ErrorCode::ResourceNotFound;
        count(&mut slot.work.refusals);
        let may_lag = gone && matches!(kind, RequestKind::Describe | RequestKind::Verify);
        if may_lag && slot.work.refusals < DESCRIBE_TRIES_MAX {
            return self.retry(slot, kind, wait);
        }
        let reason = if gone {
            StopReason::Removed
        } else {
            stop_reason(state)
        };
        let ending = match kind {
            RequestKind::Progress | RequestKind::Verify => Ending::Stopped(reason),
            RequestKind::Describe | RequestKind::Start | RequestKind::Outcome => {
                Ending::AlreadyOver
            }
        };
        slot.over(reason, ending);
        // Whatever made us ask about it was out of date: see what is really there.
        self.queue.timers[when::SETTLE] = wait;
    }

    /// The same request would be refused again.
    fn refused_for_good(&mut self, slot: &mut Slot, kind: RequestKind, wait: Timer) {
        let final_word = match kind {
            RequestKind::Outcome => {
                count(&mut slot.work.refusals);
                // The details are the only part of a report that can be wrong.
                slot.body.clear();
                slot.work.refusals >= REFUSALS_MAX
            }
            RequestKind::Start => true,
            RequestKind::Describe => slot.phase == Phase::Listed,
            RequestKind::Progress | RequestKind::Verify => false,
        };
        if final_word {
            slot.close(Event::Refused, Ending::Refused);
            // Not asked about again either.
            self.queue.leave(slot);
        } else {
            self.retry(slot, kind, wait);
        }
    }

    /// The request of this slot failed for now: again then.
    pub(crate) fn retry(&mut self, slot: &mut Slot, kind: RequestKind, then: Timer) {
        slot.forget_request();
        count(&mut slot.work.tries);
        let timers = &mut slot.timers;
        match kind {
            RequestKind::Describe | RequestKind::Start | RequestKind::Outcome => {
                timers[at::DUE] = then;
            }
            RequestKind::Verify => timers[at::VERIFY] = then,
            RequestKind::Progress => {
                // A lost report is lost (P7); only the step timer must not be.
                timers[at::REPORT] = timers[at::REPORT].max(then);
                if timers[at::RENEW].is_set() {
                    timers[at::RENEW] = then;
                }
            }
        }
        if slot.phase == Phase::Listed && slot.work.tries >= DESCRIBE_TRIES_MAX {
            slot.over(StopReason::Over, Ending::AlreadyOver);
            // An earlier record is erased no sooner than the next try would have been.
            slot.timers[at::STORE] = then;
            self.queue.timers[when::SETTLE] = then;
        }
    }
}
