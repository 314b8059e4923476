//! One slot: the data of one job on its way, and what it wants next.
//!
//! Invariants between fields:
//! - `want == Persist` exactly in the phases Opening, Saving, Closing and Parking; the phase is
//!   left when *that* record is durable, never when it was handed out.
//! - `stored` is true from the moment a record may be on the medium until its erasure is known.
//! - `request` is at most one: what it was for follows from its kind, and only its own token
//!   completes it.

use heapless::{String, Vec};
use jobs_proto::{JobId, limits::JOB_ID_LEN_MAX};

pub(crate) use self::parts::{RequestKind, Storage, Timers, Want, Work, at, count};
use crate::{
    checkpoint::{BODY_LEN_MAX, Checkpoint},
    handler::StopReason,
    job::JobKey,
    outcome::{PROGRESS_LEN_MAX, REASON_KEY, put_pair},
    output::{Ending, RunId, Status},
    record::{Flag, Header, Number},
    silence::Silence,
    table::{self, Event, Phase},
    time::{Timer, pass_all},
};

mod parts;

/// The state of one slot; see the module's invariants.
// In this order, small fields first: a Cortex-M0 reaches a byte 31 bytes from a pointer in one
// instruction, a word 124.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) phase: Phase,
    /// Which slot of the agent this is.
    pub(crate) number: u8,
    pub(crate) storage: Storage,
    pub(crate) want: Want,
    pub(crate) stored: bool,
    pub(crate) store_tries: u8,
    pub(crate) work: Work,
    /// What is out to the storage, and the reset that is awaited.
    pub(crate) storing: u32,
    /// The run that the handler belongs to; old words are told by their number.
    pub(crate) run: RunId,
    /// Tells tickets of this slot apart.
    pub(crate) generation: u32,
    pub(crate) timers: Timers,
    pub(crate) id: String<JOB_ID_LEN_MAX, u16>,
    /// What the record of the job begins with.
    pub(crate) header: Header,
    pub(crate) progress: Vec<u8, PROGRESS_LEN_MAX, u16>,
    /// Checkpoint bytes while the work goes on, packed details once it is over.
    pub(crate) body: Vec<u8, BODY_LEN_MAX, u16>,
}

impl Slot {
    #[inline(never)]
    pub(crate) fn new(number: u8) -> Self {
        Self {
            phase: Phase::Free,
            number,
            storage: Storage::Idle,
            want: Want::Nothing,
            stored: false,
            store_tries: 0,
            work: Work::default(),
            storing: 0,
            run: RunId(0),
            generation: 0,
            timers: at::FIRST,
            id: String::new(),
            header: Header::new(),
            progress: Vec::new(),
            body: Vec::new(),
        }
    }

    /// So many milliseconds have passed.
    pub(crate) fn pass(&mut self, ms: u32) {
        pass_all(&mut self.timers, ms);
    }

    /// Takes the transition that `event` means here; `false` if it means nothing.
    pub(crate) fn step(&mut self, event: Event) -> bool {
        let Some(phase) = table::next_packed(self.phase, event) else {
            return false;
        };
        let was_watched = self.is_watched();
        self.phase = phase;
        // What is asked while the handler works is about the job, not about a checkpoint.
        if !(was_watched && self.is_watched()) {
            self.forget_request();
            self.work.tries = 0;
            self.work.refusals = 0;
            self.work.silence = Silence::NONE;
        }
        self.want = match phase {
            Phase::Opening | Phase::Saving | Phase::Closing | Phase::Parking => Want::Persist,
            // The record of an earlier job goes even while the next one is on its way in.
            Phase::Free | Phase::Draining | Phase::Listed | Phase::Planning | Phase::Claiming
                if self.stored =>
            {
                Want::Erase
            }
            Phase::Free
            | Phase::Draining
            | Phase::Listed
            | Phase::Planning
            | Phase::Claiming
            | Phase::Running
            | Phase::Reporting
            | Phase::Rebooting
            | Phase::Recovering
            | Phase::Replanning => Want::Nothing,
        };
        if self.want == Want::Persist {
            // A record handed out earlier is no longer the one this phase waits for.
            if self.storage == Storage::Persisting {
                self.storage = Storage::Superseded;
            }
            self.store_tries = 0;
            if phase == Phase::Opening {
                self.count_attempt();
                let runs = self.runs().saturating_add(1);
                self.header.set(Number::RUNS, runs.min(u16::MAX.into()));
            }
        }
        true
    }

    /// No reply is awaited any more.
    pub(crate) fn forget_request(&mut self) {
        self.work.request = None;
        self.timers[at::REPLY] = Timer::NEVER;
    }

    /// Forgets the earlier job and holds this one; the stored record, if any, stays known.
    pub(crate) fn hold(&mut self, key: &JobKey<'_>) {
        self.blank();
        self.generation = self.generation.wrapping_add(1);
        // Same capacity as the longest job id.
        let _ = self.id.push_str(key.id.as_str());
        self.learn(key);
    }

    /// Notes which execution it is, as far as told.
    #[inline(never)]
    pub(crate) fn learn(&mut self, key: &JobKey<'_>) {
        if key.number != 0 {
            self.header.set_execution_number(Some(key.number));
        }
        if key.queued_at != 0 {
            self.header.set_queued_at(key.queued_at);
        }
    }

    /// Forgets the job, but neither its record nor its run.
    pub(crate) fn blank(&mut self) {
        self.work = Work::default();
        let store = self.timers[at::STORE];
        self.timers = at::FIRST;
        self.timers[at::STORE] = store;
        self.id.clear();
        self.header = Header::new();
        self.progress.clear();
        self.body.clear();
    }

    /// Sets the outcome that Closing will make durable, with packed details.
    pub(crate) fn conclude(&mut self, status: Status, packed: &[u8]) {
        self.work.outcome = Some(status);
        self.timers[at::VERIFY] = Timer::NEVER;
        self.work.has_checkpoint = false;
        self.header.mark(Flag::NEEDS_DOCUMENT, false);
        self.body.clear();
        // Same capacity as any details.
        let _ = self.body.extend_from_slice(packed);
    }

    /// Sets the outcome that Closing will make durable, with a reason for people.
    pub(crate) fn conclude_with(&mut self, status: Status, reason: &str) {
        self.conclude(status, &[]);
        let _ = put_pair(&mut self.body, REASON_KEY, reason);
    }

    /// Refuses the job that is being planned, with a reason for people.
    pub(crate) fn decline(&mut self, reason: &str) {
        if self.step(Event::Declined) {
            self.conclude_with(Status::Rejected, reason);
        }
    }

    /// The execution is over: the slot is free, or the handler is told to stop.
    pub(crate) fn over(&mut self, reason: StopReason, ending: Ending) {
        let reported = self.phase == Phase::Reporting;
        if !self.step(Event::Over) {
            return;
        }
        self.timers[at::STORE] = Timer::NOW;
        if self.phase == Phase::Draining {
            self.work.stop = Some(reason);
            self.work.stop_due = true;
            self.work.saved_due = false;
        } else {
            self.work.ended = Some(if reported {
                Ending::AlreadyOver
            } else {
                ending
            });
        }
    }

    /// Frees the slot after a final word on its request.
    #[inline(always)]
    pub(crate) fn close(&mut self, event: Event, ending: Ending) {
        if self.step(event) {
            self.timers[at::STORE] = Timer::NOW;
            self.work.ended = Some(ending);
        }
    }

    /// The handler may start: names the run and arms its timers.
    pub(crate) fn start_run(&mut self, run: RunId) {
        self.run = run;
        let work = &mut self.work;
        work.run_due = true;
        work.saved_due = false;
        work.stop = None;
        work.stop_due = false;
        work.progress_pending = false;
        self.timers[at::REPORT] = Timer::NOW;
        self.timers[at::LIMIT] = match self.header.get(Number::TIME_LIMIT) {
            0 => Timer::NEVER,
            ms => Timer::after(ms),
        };
        self.arm_renewal();
        if self.runs() > 1 && self.timers[at::RENEW].is_set() {
            // Nobody knows how much of the step timer is left after a restart.
            self.timers[at::RENEW] = Timer::NOW;
        }
    }

    /// The step timer was set at the service just now: it wants renewal at half its time.
    pub(crate) fn arm_renewal(&mut self) {
        const HALF_MINUTE_MS: u32 = 30_000;
        self.timers[at::RENEW] = match self.header.get(Number::STEP_TIMEOUT) {
            // Half of 65,535 minutes is less than the longest time, so it does not wrap.
            minutes if minutes > 0 && !self.work.instant => {
                Timer::after(minutes.wrapping_mul(HALF_MINUTE_MS))
            }
            _ => Timer::NEVER,
        };
    }

    /// Keeps a checkpoint, which Saving or Parking will make durable.
    pub(crate) fn keep(&mut self, checkpoint: &Checkpoint) {
        self.body.clear();
        // Same capacity as any checkpoint.
        let _ = self.body.extend_from_slice(checkpoint.bytes());
        self.work.has_checkpoint = true;
        self.header
            .mark(Flag::NEEDS_DOCUMENT, checkpoint.needs_document());
        // Progress was made: the budget of attempts starts again (the total does not).
        self.header.set_attempts(1);
    }

    /// Whether this slot holds the execution, in any phase but Free, as far as both tell.
    pub(crate) fn holds(&self, key: &JobKey<'_>) -> bool {
        self.phase != Phase::Free
            && self.has_id(key.id)
            && self.header.execution().is(key.execution())
    }

    pub(crate) fn has_id(&self, id: JobId<'_>) -> bool {
        self.id.as_bytes() == id.as_bytes()
    }

    /// Runs in all (P3).
    pub(crate) fn runs(&self) -> u32 {
        self.header.get(Number::RUNS)
    }

    pub(crate) fn count_attempt(&mut self) {
        count(self.header.attempts_mut());
    }

    /// Whether a new job may be put here.
    pub(crate) fn is_claimable(&self) -> bool {
        self.work.ended.is_none() && self.phase == Phase::Free
    }

    /// The rank of a slot that a new job cannot have.
    pub(crate) const TAKEN: u8 = 3;

    /// How well a new job is placed here: best where nothing is, or a listed job makes way that
    /// is not asked about before `due`.
    pub(crate) fn rank(&self, due: Timer) -> u8 {
        if self.is_claimable() {
            u8::from(self.stored)
        } else if self.phase == Phase::Listed
            && self.work.request.is_none()
            && self.timers[at::DUE] >= due
        {
            2
        } else {
            Self::TAKEN
        }
    }

    /// Whether a reset is coming.
    pub(crate) fn wants_reset(&self) -> bool {
        matches!(self.phase, Phase::Parking | Phase::Rebooting)
    }

    /// Whether the handler is running.
    pub(crate) fn is_at_work(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Saving)
    }

    /// Whether the handler is at work in a way that the service knows of.
    pub(crate) fn is_watched(&self) -> bool {
        self.is_at_work() && !self.work.instant
    }

    /// Whether the service may end the execution without any request of ours being refused for
    /// it: from the start that is out until the handler's last word. What is heard before the
    /// handler runs is verified as soon as it does.
    pub(crate) fn is_claimed(&self) -> bool {
        let starting = matches!(self.phase, Phase::Claiming | Phase::Opening);
        starting || self.is_watched()
    }

    /// The service is asked whether the execution is still on, then if not before.
    pub(crate) fn verify_by(&mut self, then: Timer) {
        self.timers[at::VERIFY] = self.timers[at::VERIFY].min(then);
    }
}
