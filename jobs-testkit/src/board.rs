//! The device: an agent, its store, its scripted handlers, and a boot that can be lost.

use std::collections::{BTreeMap, VecDeque};

use jobs_agent_core::{
    Agent, Boot, BootId, Checkpoint, Config, Handled, Ignored, Millis, OperationTag, Outcome,
    Progress, Reason, Receipt, RecordKind, Refusal, RunId, RunPermit, Start, Status, StopReason,
    Ticket,
};

use crate::{
    observer::Observer,
    script::{Script, Step},
    store::Store,
};

/// How the device comes back after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    /// The process was killed; the boot goes on.
    Process,
    /// The board was reset.
    Reboot,
}

/// What the store held for one slot when the device came back: the row of the crash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Found {
    /// Work begun, no checkpoint.
    Started,
    /// Work begun, with a checkpoint; `true` if its resume needs the document.
    Checkpoint(bool),
    /// A reset was wanted, in this very boot.
    RebootSameBoot,
    /// A reset was wanted, and has happened.
    RebootOtherBoot,
    /// Work that was begun too often: to be reported FAILED.
    Exhausted,
    /// An outcome.
    Outcome(Status),
    /// An execution of a job of which a later one was found too: over, and to be erased.
    Superseded,
}

/// A running scripted handler.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Running {
    pub(crate) run: RunId,
    pub(crate) job: String,
    pub(crate) operation: &'static str,
    pub(crate) step: usize,
    pub(crate) waits: Waits,
    pub(crate) stop: Option<StopReason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Waits {
    Nothing,
    Saved,
    Until(u64),
}

/// What one step of a handler leads to.
pub(crate) enum Progressed {
    /// Nothing to do before something else happens.
    Idle,
    /// Something was handed to the agent.
    Moved,
    /// The script takes the device down.
    Crashes,
}

/// The device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Board<'c, const JOBS: usize> {
    /// The agent under test.
    pub agent: Agent<'c, JOBS>,
    /// What survives.
    pub store: Store,
    config: &'c Config<'c>,
    boots: u8,
    starts: u64,
    pub(crate) plans: BTreeMap<u8, &'static str>,
    pub(crate) running: BTreeMap<u8, Running>,
    /// Writes that take their time: not durable before they are done.
    pub(crate) pending: VecDeque<(u64, Write)>,
}

/// A write that is under way; `None` erases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Write {
    pub(crate) receipt: Receipt,
    pub(crate) slot: u8,
    pub(crate) record: Option<Vec<u8>>,
}

impl<'c, const JOBS: usize> Board<'c, JOBS> {
    /// A device fresh from the factory.
    #[must_use]
    pub fn new(config: &'c Config<'c>) -> Self {
        Self {
            agent: Agent::new(config, boot_of(0, 0)),
            store: Store::default(),
            config,
            boots: 0,
            starts: 0,
            plans: BTreeMap::new(),
            running: BTreeMap::new(),
            pending: VecDeque::new(),
        }
    }

    /// Identity of the present boot.
    #[must_use]
    pub fn boot(&self) -> BootId {
        boot_of(self.boots, self.starts).id
    }

    /// How often the board was reset.
    pub(crate) fn resets(&self) -> u8 {
        self.boots
    }

    /// Everything volatile is gone; the agent starts again from the store.
    pub fn restart(&mut self, restart: Restart) -> Vec<Found> {
        if restart == Restart::Reboot {
            self.boots += 1;
        }
        self.starts += 1;
        self.plans.clear();
        self.running.clear();
        self.pending.clear();
        self.agent = Agent::new(self.config, boot_of(self.boots, self.starts));
        let records: Vec<_> = self
            .store
            .all()
            .map(|(s, bytes)| (s, bytes.to_vec()))
            .collect();
        let mut found = Vec::new();
        for (slot, bytes) in records {
            match self.agent.restore(slot, &bytes) {
                Ok(()) => found.extend(self.found(slot)),
                // Torn by a cut: the adapter erases what does not decode.
                Err(_) => self.store.erase(slot),
            }
        }
        found
    }

    fn found(&self, slot: u8) -> Option<Found> {
        let record = self.store.record(slot)?;
        let superseded = self.store.all().any(|(other, _)| {
            let other = self.store.record(other);
            other.is_some_and(|other| {
                other.job_id == record.job_id && other.execution_number > record.execution_number
            })
        });
        if superseded {
            return Some(Found::Superseded);
        }
        let exhausted =
            record.attempts >= self.config.attempts_max || record.runs >= self.config.runs_max;
        // A reset that has happened begins a new piece of work, but the total goes on.
        let reset = record.kind == RecordKind::Reboot
            && record.boot != self.boot()
            && record.runs < self.config.runs_max;
        Some(match record.kind {
            RecordKind::Outcome(status) => Found::Outcome(status),
            RecordKind::Started | RecordKind::Checkpoint | RecordKind::Reboot
                if exhausted && !reset =>
            {
                Found::Exhausted
            }
            RecordKind::Started => Found::Started,
            RecordKind::Checkpoint => Found::Checkpoint(record.needs_document),
            RecordKind::Reboot if record.boot == self.boot() => Found::RebootSameBoot,
            RecordKind::Reboot => Found::RebootOtherBoot,
        })
    }

    /// A message arrives; an offer is decided on by the scripts. Says why a message changed
    /// nothing.
    pub fn receive(
        &mut self,
        now: Millis,
        topic: &str,
        payload: &[u8],
        scripts: &BTreeMap<&'static str, Script>,
    ) -> Option<&'static str> {
        let (ticket, offer) = match self.agent.handle_publish(now, topic, payload) {
            Handled::Offer(ticket, offer) => (ticket, offer),
            Handled::Taken => return None,
            Handled::Ignored(why) => return self.place(why, payload),
        };
        let named = offer.document.str_field("operation");
        let found = scripts
            .iter()
            .find(|(name, _)| named.is_some_and(|n| n.eq_str(name)));
        let verdict = match found {
            Some((name, script)) => {
                self.plans.insert(ticket.slot(), name);
                Ok((OperationTag::of(name), script.policy))
            }
            None if named.is_some_and(|n| n.eq_str("bad")) => {
                Err(Refusal::Reject(Reason::new("bad document")))
            }
            None => Err(Refusal::Unknown),
        };
        self.decide(now, ticket, verdict);
        None
    }

    /// The place that an ignored message shows.
    fn place(&self, why: Ignored, payload: &[u8]) -> Option<&'static str> {
        match why {
            Ignored::Duplicate => Some("a duplicate ignored"),
            Ignored::Busy => Some("an offer while every slot was taken"),
            Ignored::Left => Some("a job left, offered again"),
            Ignored::Unreadable => Some("a message cut short or unreadable"),
            Ignored::Token => {
                let life = format!("{:016x}-", boot_of(self.boots, self.starts).entropy);
                let text = String::from_utf8_lossy(payload);
                Some(if text.contains(&life) {
                    "a reply without an open request ignored"
                } else {
                    "a reply to an earlier life ignored"
                })
            }
            Ignored::Topic(_) | Ignored::Irrelevant => None,
        }
    }

    fn decide(
        &mut self,
        now: Millis,
        ticket: Ticket,
        verdict: Result<(OperationTag, jobs_agent_core::RunPolicy), Refusal>,
    ) {
        self.agent.handle_plan(now, ticket, verdict);
    }

    /// The agent lets a handler run.
    pub(crate) fn start(
        &mut self,
        permit: RunPermit<'_>,
        scripts: &BTreeMap<&'static str, Script>,
    ) -> Result<(), String> {
        let slot = permit.slot();
        let (run, job, tag) = (
            permit.run(),
            permit.job_id().as_str().to_string(),
            permit.tag(),
        );
        let operation = scripts
            .keys()
            .find(|name| OperationTag::of(name) == tag)
            .ok_or_else(|| format!("{job}: run of an unknown operation"))?;
        let step = match permit.into_start() {
            Start::Fresh => {
                if self.plans.remove(&slot) != Some(operation) {
                    return Err(format!("{job}: fresh run without its plan"));
                }
                0
            }
            Start::Resume(checkpoint) => usize::from(
                *checkpoint
                    .bytes()
                    .first()
                    .ok_or_else(|| format!("{job}: empty checkpoint"))?,
            ),
        };
        let running = Running {
            run,
            job,
            operation,
            step,
            waits: Waits::Nothing,
            stop: None,
        };
        match self.running.insert(slot, running) {
            None => Ok(()),
            Some(earlier) => Err(format!(
                "{}: still running when its slot starts anew",
                earlier.job
            )),
        }
    }

    /// The checkpoint that a handler waits for is durable.
    pub(crate) fn saved(&mut self, slot: u8, run: RunId) {
        if let Some(running) = self
            .running
            .get_mut(&slot)
            .filter(|running| running.run == run)
        {
            running.waits = Waits::Nothing;
        }
    }

    /// A handler is told to stop; it obeys at its next step.
    pub(crate) fn stop(&mut self, slot: u8, run: RunId, reason: StopReason) {
        if let Some(running) = self
            .running
            .get_mut(&slot)
            .filter(|running| running.run == run)
        {
            running.stop = Some(reason);
            running.waits = Waits::Nothing;
        }
    }

    /// Jobs whose handlers run.
    #[must_use]
    pub fn jobs_running(&self) -> Vec<&str> {
        self.running
            .values()
            .map(|running| running.job.as_str())
            .collect()
    }

    /// When a sleeping handler wakes.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let sleepers = self
            .running
            .values()
            .filter_map(|running| match running.waits {
                Waits::Until(ms) => Some(ms),
                Waits::Nothing | Waits::Saved => None,
            });
        sleepers.chain(self.pending.iter().map(|(at, _)| *at)).min()
    }

    /// The slots whose handlers can take a step now.
    pub(crate) fn awake(&self, now_ms: u64) -> impl Iterator<Item = u8> + '_ {
        let awake = self
            .running
            .iter()
            .filter(move |(_, running)| match running.waits {
                Waits::Nothing => true,
                Waits::Saved => false,
                Waits::Until(ms) => ms <= now_ms,
            });
        awake.map(|(slot, _)| *slot)
    }

    /// Lets one handler take one step.
    pub(crate) fn step(
        &mut self,
        now_ms: u64,
        scripts: &BTreeMap<&'static str, Script>,
        observer: &mut Observer,
    ) -> Progressed {
        let first = self.awake(now_ms).next();
        match first {
            Some(slot) => self.step_slot(slot, now_ms, scripts, observer),
            None => Progressed::Idle,
        }
    }

    /// Lets the handler of `slot` take one step.
    pub(crate) fn step_slot(
        &mut self,
        slot: u8,
        now_ms: u64,
        scripts: &BTreeMap<&'static str, Script>,
        observer: &mut Observer,
    ) -> Progressed {
        let now = Millis(now_ms);
        let Some(running) = self.running.get(&slot) else {
            return Progressed::Idle;
        };
        let (run, job, operation) = (running.run, running.job.clone(), running.operation);
        if let Some(reason) = running.stop {
            observer.stopped(&job, reason);
            self.end(now, slot, run, &Outcome::failed("stopped"));
            return Progressed::Moved;
        }
        let index = running.step;
        let next = u8::try_from(index + 1).expect("scripts are short");
        let step = scripts[operation]
            .steps
            .get(index)
            .copied()
            .expect("a script has an end");
        self.advance(slot, Waits::Nothing);
        match step {
            Step::Effect(name) => observer.effect(&job, name),
            Step::Report(percent) => {
                self.agent
                    .handle_progress(slot, run, &Progress::percent(percent));
            }
            Step::Sleep(ms) => self.wait(slot, Waits::Until(now_ms + ms)),
            Step::Checkpoint | Step::CheckpointWithDocument => {
                let mut checkpoint = Checkpoint::new(&[next]).expect("one byte fits");
                if step == Step::CheckpointWithDocument {
                    checkpoint = checkpoint.with_document();
                }
                if self
                    .agent
                    .handle_checkpoint(now, slot, run, &checkpoint)
                    .is_ok()
                {
                    self.wait(slot, Waits::Saved);
                }
            }
            Step::Reboot => {
                observer.wants_reboot(&job, self.boot());
                let checkpoint = Checkpoint::new(&[next]).expect("one byte fits");
                self.end(now, slot, run, &Outcome::Reboot(checkpoint));
            }
            Step::Succeed => self.end(now, slot, run, &Outcome::succeeded()),
            Step::Fail => self.end(now, slot, run, &Outcome::failed("as the script says")),
            Step::Crash => return Progressed::Crashes,
            Step::Stumble if observer.stumbles(&job, index) => return Progressed::Crashes,
            Step::Stumble => {}
        }
        Progressed::Moved
    }

    fn advance(&mut self, slot: u8, waits: Waits) {
        if let Some(running) = self.running.get_mut(&slot) {
            running.step += 1;
            running.waits = waits;
        }
    }

    fn wait(&mut self, slot: u8, waits: Waits) {
        if let Some(running) = self.running.get_mut(&slot) {
            running.waits = waits;
        }
    }

    fn end(&mut self, now: Millis, slot: u8, run: RunId, outcome: &Outcome) {
        self.running.remove(&slot);
        self.agent.handle_outcome(now, slot, run, outcome);
    }
}

fn boot_of(boots: u8, starts: u64) -> Boot {
    // Entropy that never repeats, as the contract of `Boot` asks.
    Boot {
        id: BootId([boots; 16]),
        entropy: 0xB007_0000_0000_0000 | starts,
    }
}
