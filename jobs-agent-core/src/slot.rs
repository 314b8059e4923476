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

use crate::{
    checkpoint::{BODY_LEN_MAX, Checkpoint},
    config::{BootId, Config},
    handler::{OperationTag, RunPolicy, StopReason},
    outcome::{Details, PROGRESS_LEN_MAX, Progress},
    output::{Ending, RunId, Status},
    record::{Record, RecordKind},
    table::{self, Event, Phase},
    time::{Millis, earlier},
};

/// The state of one slot; see the module's invariants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) phase: Phase,
    pub(crate) job: Job,
    pub(crate) tag: OperationTag,
    pub(crate) policy: RunPolicy,
    /// Runs since the last checkpoint, or resets asked for (P3).
    pub(crate) attempts: u8,
    /// Runs in all (P3).
    pub(crate) runs: u16,
    /// Checkpoint bytes while the work goes on, packed details once it is over.
    pub(crate) body: Vec<u8, BODY_LEN_MAX>,
    pub(crate) has_checkpoint: bool,
    pub(crate) needs_document: bool,
    /// The offer is news, not the answer to a question: an instantaneous job may run on it.
    pub(crate) live: bool,
    /// The job was first named without its time or number.
    pub(crate) listed_bare: bool,
    /// Set from Closing on.
    pub(crate) outcome: Option<Status>,
    /// The run that the handler belongs to; old words are told by their number.
    pub(crate) run: RunId,
    /// Tells tickets of this slot apart.
    pub(crate) generation: u32,

    pub(crate) storage: Storage,
    pub(crate) want: Want,
    pub(crate) stored: bool,
    /// When storage may be tried again after a failure.
    pub(crate) store_at: Millis,
    pub(crate) store_tries: u8,

    pub(crate) request: Option<Request>,
    /// When the request of the present phase may be sent.
    pub(crate) due_at: Millis,
    pub(crate) tries: u8,
    /// Final words on the request that were not believed yet.
    pub(crate) refusals: u8,

    pub(crate) progress: Vec<u8, PROGRESS_LEN_MAX>,
    pub(crate) progress_pending: bool,
    /// Earliest time of the next progress report (P7).
    pub(crate) report_at: Millis,
    /// When the step timer wants renewal.
    pub(crate) renew_at: Option<Millis>,
    /// When the service is asked whether the execution is still on.
    pub(crate) verify_at: Option<Millis>,
    /// When the job times out at the service, as far as known.
    pub(crate) timeout_at: Option<Millis>,
    /// When the local time limit stops the handler.
    pub(crate) limit_at: Option<Millis>,

    /// The handler is to be started / told that it is saved / told to stop / named as ended.
    pub(crate) run_due: bool,
    pub(crate) saved_due: bool,
    pub(crate) stop: Option<StopReason>,
    pub(crate) stop_due: bool,
    pub(crate) ended: Option<Ending>,
    /// When the reset was asked for, or may be asked for.
    pub(crate) reset_at: Millis,
    pub(crate) reset_busy: Option<u32>,
}

/// Which execution a slot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    pub(crate) id: String<JOB_ID_LEN_MAX>,
    pub(crate) execution_number: Option<i64>,
    /// Epoch seconds, 0 if unknown.
    pub(crate) queued_at: u64,
}

/// The execution a message speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobKey<'b> {
    pub(crate) id: JobId<'b>,
    pub(crate) execution_number: Option<i64>,
    pub(crate) queued_at: u64,
}

/// The storage effect that is out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Storage {
    #[default]
    Idle,
    /// A record was handed out; `current` until the slot wants another one.
    Persisting { sequence: u32, current: bool },
    /// The erasure was handed out.
    Erasing { sequence: u32 },
}

impl Storage {
    /// Whether this is the receipt of what is out.
    pub(crate) fn awaits(self, receipt: u32) -> bool {
        match self {
            Self::Idle => false,
            Self::Persisting { sequence, .. } | Self::Erasing { sequence } => sequence == receipt,
        }
    }
}

/// What the slot wants of the storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Want {
    #[default]
    Nothing,
    Persist,
    Erase,
}

/// A request whose reply is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) kind: RequestKind,
    /// Number in its token, and sequence of its receipt.
    pub(crate) counter: u32,
    pub(crate) deadline: Millis,
}

/// What a slot asks the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RequestKind {
    /// The document of a job seen in a list, or begun before a restart.
    Describe,
    /// IN_PROGRESS, to be confirmed before the work starts.
    Start,
    /// IN_PROGRESS again: progress, or the renewal of the step timer.
    Progress,
    /// Whether the running execution is still on.
    Verify,
    /// The outcome.
    Outcome,
}

impl Job {
    pub(crate) fn is(&self, key: JobKey<'_>) -> bool {
        let same_execution = match (self.execution_number, key.execution_number) {
            (Some(ours), Some(theirs)) => ours == theirs,
            // Documentation examples leave the number out; then the id must do.
            (None, _) | (_, None) => true,
        };
        // Sources of one execution differ by a second at times (captured in the C++ walkthrough).
        let same_time = self.queued_at == 0
            || key.queued_at == 0
            || self.queued_at.abs_diff(key.queued_at) <= 1;
        self.id == key.id.as_str() && same_execution && same_time
    }

    /// The execution, borrowed; `None` in an empty slot.
    pub(crate) fn key(&self) -> Option<JobKey<'_>> {
        let id = JobId::new(&self.id).ok()?;
        Some(JobKey {
            id,
            execution_number: self.execution_number,
            queued_at: self.queued_at,
        })
    }

    fn set(&mut self, key: JobKey<'_>) {
        self.id.clear();
        // Same capacity as the longest job id.
        let _ = self.id.push_str(key.id.as_str());
        self.execution_number = key.execution_number;
        self.queued_at = key.queued_at;
    }
}

impl Slot {
    /// A slot as a restart finds it; `None` if the record asks for an impossible phase.
    pub(crate) fn restored(record: Record, boot: BootId, config: &Config<'_>) -> Self {
        let mut slot = Self {
            job: Job {
                id: record.job_id,
                execution_number: record.execution_number,
                queued_at: record.queued_at,
            },
            tag: record.tag,
            policy: RunPolicy {
                rerun: record.rerun,
                instant: false,
                step_timeout_minutes: Some(record.step_timeout_minutes).filter(|m| *m > 0),
                time_limit_ms: Some(record.time_limit_ms).filter(|ms| *ms > 0),
            },
            attempts: record.attempts,
            runs: record.runs,
            body: record.body,
            needs_document: record.needs_document,
            stored: true,
            ..Self::default()
        };
        let exhausted =
            slot.attempts >= config.attempts_max.max(1) || slot.runs >= config.runs_max.max(1);
        let event = match record.kind {
            RecordKind::Outcome(status) => {
                slot.outcome = Some(status);
                Event::RestoredOutcome
            }
            RecordKind::Started if !record.rerun => slot.hopeless("interrupted before it was done"),
            RecordKind::Started if exhausted => slot.hopeless("gave up: interrupted too often"),
            RecordKind::Started => Event::RestoredWork,
            RecordKind::Reboot if record.boot != boot && slot.runs >= config.runs_max.max(1) => {
                slot.hopeless("gave up: reset too often")
            }
            RecordKind::Reboot if record.boot != boot => {
                // The reset has happened: what follows is a new piece of work, the self-test.
                slot.attempts = 0;
                slot.resume_event()
            }
            RecordKind::Reboot if exhausted => slot.hopeless("gave up: the reset does not happen"),
            RecordKind::Reboot => {
                slot.has_checkpoint = true;
                slot.attempts = slot.attempts.saturating_add(1);
                Event::RestoredReboot
            }
            RecordKind::Checkpoint if exhausted => slot.hopeless("gave up: interrupted too often"),
            RecordKind::Checkpoint => slot.resume_event(),
        };
        slot.step(event);
        slot
    }

    /// A free slot whose stored record is to be erased.
    pub(crate) fn left_behind() -> Self {
        Self {
            stored: true,
            want: Want::Erase,
            ..Self::default()
        }
    }

    fn resume_event(&mut self) -> Event {
        self.has_checkpoint = true;
        if self.needs_document {
            Event::RestoredWork
        } else {
            Event::RestoredCheckpoint
        }
    }

    fn hopeless(&mut self, reason: &str) -> Event {
        self.conclude(Status::Failed, Details::reason(reason).packed());
        Event::RestoredHopeless
    }

    /// Takes the transition that `event` means here; `false` if it means nothing.
    pub(crate) fn step(&mut self, event: Event) -> bool {
        let Some(phase) = table::next(self.phase, event) else {
            return false;
        };
        let was_watched = self.is_watched();
        self.phase = phase;
        // What is asked while the handler works is about the job, not about a checkpoint.
        if !(was_watched && self.is_watched()) {
            self.request = None;
            self.tries = 0;
            self.refusals = 0;
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
            self.supersede();
            if phase == Phase::Opening {
                self.attempts = self.attempts.saturating_add(1);
                self.runs = self.runs.saturating_add(1);
            }
        }
        true
    }

    /// A record handed out earlier is no longer the one this phase waits for.
    fn supersede(&mut self) {
        if let Storage::Persisting { current, .. } = &mut self.storage {
            *current = false;
        }
        self.store_tries = 0;
    }

    /// Forgets the earlier job and holds this one; the stored record, if any, stays known.
    pub(crate) fn hold(&mut self, key: JobKey<'_>) {
        let kept = core::mem::take(self);
        *self = Self {
            phase: kept.phase,
            generation: kept.generation.wrapping_add(1),
            storage: kept.storage,
            want: kept.want,
            stored: kept.stored,
            store_at: kept.store_at,
            store_tries: kept.store_tries,
            run: kept.run,
            ..Self::default()
        };
        self.job.set(key);
    }

    /// Sets the outcome that Closing will make durable.
    pub(crate) fn conclude(&mut self, status: Status, packed: &[u8]) {
        self.outcome = Some(status);
        self.verify_at = None;
        self.has_checkpoint = false;
        self.needs_document = false;
        self.body.clear();
        // Same capacity as any details.
        let _ = self.body.extend_from_slice(packed);
    }

    /// Refuses the job that is being planned, with a reason for people.
    pub(crate) fn decline(&mut self, reason: &str) {
        if self.step(Event::Declined) {
            self.conclude(Status::Rejected, Details::reason(reason).packed());
        }
    }

    /// The handler may start: names the run and arms its timers.
    pub(crate) fn start_run(&mut self, now: Millis, run: RunId) {
        self.run = run;
        self.run_due = true;
        self.saved_due = false;
        self.stop = None;
        self.stop_due = false;
        self.progress_pending = false;
        self.report_at = now;
        self.limit_at = self.policy.time_limit_ms.map(|ms| now.plus(u64::from(ms)));
        self.arm_renewal(now);
        if self.runs > 1 {
            // Nobody knows how much of the step timer is left after a restart.
            self.renew_at = self.renew_at.map(|_| now);
        }
    }

    /// The step timer was set at the service just now: it wants renewal at half its time.
    pub(crate) fn arm_renewal(&mut self, now: Millis) {
        const HALF_MINUTE_MS: u64 = 30_000;
        self.renew_at = match self.policy.step_timeout_minutes {
            Some(minutes) if !self.policy.instant => {
                Some(now.plus(u64::from(minutes).saturating_mul(HALF_MINUTE_MS)))
            }
            Some(_) | None => None,
        };
    }

    /// Sets the checkpoint that Saving or Parking will make durable.
    pub(crate) fn keep(&mut self, checkpoint: &Checkpoint) {
        self.body.clear();
        let _ = self.body.extend_from_slice(checkpoint.bytes());
        self.has_checkpoint = true;
        self.needs_document = checkpoint.needs_document();
        // Progress was made: the budget of attempts starts again (the total does not).
        self.attempts = 1;
    }

    pub(crate) fn keep_progress(&mut self, progress: &Progress) {
        self.progress.clear();
        let _ = self.progress.extend_from_slice(progress.packed());
        self.progress_pending = true;
    }

    /// The record of the present phase, if it has one to write.
    pub(crate) fn record(&self, boot: BootId) -> Option<Record> {
        let kind = match self.phase {
            Phase::Opening | Phase::Saving if self.has_checkpoint => RecordKind::Checkpoint,
            Phase::Opening | Phase::Saving => RecordKind::Started,
            Phase::Closing => RecordKind::Outcome(self.outcome?),
            Phase::Parking => RecordKind::Reboot,
            Phase::Free
            | Phase::Listed
            | Phase::Planning
            | Phase::Claiming
            | Phase::Running
            | Phase::Draining
            | Phase::Reporting
            | Phase::Rebooting
            | Phase::Recovering
            | Phase::Replanning => return None,
        };
        Some(Record {
            kind,
            job_id: self.job.id.clone(),
            execution_number: self.job.execution_number,
            queued_at: self.job.queued_at,
            tag: self.tag,
            rerun: self.policy.rerun,
            needs_document: self.needs_document,
            attempts: self.attempts,
            runs: self.runs,
            step_timeout_minutes: self.policy.step_timeout_minutes.unwrap_or(0),
            time_limit_ms: self.policy.time_limit_ms.unwrap_or(0),
            boot,
            body: self.body.clone(),
        })
    }

    /// The checkpoint to resume from, if there is one.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        if !self.has_checkpoint {
            return None;
        }
        // Same capacity: cannot be too long.
        let checkpoint = Checkpoint::new(&self.body).ok()?;
        Some(if self.needs_document {
            checkpoint.with_document()
        } else {
            checkpoint
        })
    }

    /// Whether a new job may be put here.
    pub(crate) fn is_claimable(&self) -> bool {
        self.ended.is_none() && self.phase == Phase::Free
    }

    /// Whether the handler is at work in a way that the service knows of.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Saving) && !self.policy.instant
    }

    /// Whether the service may end the execution without any request of ours being refused for
    /// it: from the start that is out until the handler's last word. What is heard before the
    /// handler runs is verified as soon as it does.
    pub(crate) fn is_claimed(&self) -> bool {
        let starting = matches!(self.phase, Phase::Claiming | Phase::Opening);
        starting || self.is_watched()
    }

    /// The service is asked whether the execution is still on, at `at` if not before.
    pub(crate) fn verify_by(&mut self, at: Millis) {
        self.verify_at = earlier(self.verify_at, Some(at));
    }

    /// Tells the handler to stop, once.
    pub(crate) fn order_stop(&mut self, reason: StopReason) {
        if self.stop.is_none() {
            self.stop = Some(reason);
            self.stop_due = true;
        }
    }
}
