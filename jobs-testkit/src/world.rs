//! The world: one device, one service, one network, one clock.

mod act;
mod settle;
mod write;

use jobs_agent_core::{
    Completion, Config, Millis, OperationTag, Output, RunPermit, Scratch, Unclaimed,
};
use jobs_emulator::model::Service;
use jobs_proto::ThingName;

use crate::{
    board::{Board, Found, Progressed, Restart, Write},
    link::Link,
    observer::{Observer, Report},
    scenario::Scenario,
    store::{Medium, Tear},
    words::in_words,
};

const THING: &str = "pump-17";

/// Where the virtual clock of the service stands when a story begins (epoch, milliseconds).
const EPOCH_MS: u64 = 1_700_000_000_000;

/// How long the device stays offline after a crash, milliseconds: what needs no network must
/// happen in this time.
const OFFLINE_MS: u64 = 500;

/// More turns than any story takes; beyond, something spins.
const TURNS_MAX: usize = 200_000;

/// Where in an effect the crash hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The effect was asked for and not begun.
    Before,
    /// In the middle of it, if it is a write.
    Within(Tear),
    /// It was done; its receipt never came back.
    After,
}

/// A crash at the `at`-th effect of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crash {
    /// Which effect, counted from 0.
    pub at: usize,
    /// Where in it.
    pub moment: Moment,
    /// How the device comes back.
    pub restart: Restart,
    /// Whether requests under way are lost with the connection.
    pub lose_up: bool,
}

/// One device, one service, one network, one clock.
pub struct World<'c, const JOBS: usize> {
    now_ms: u64,
    service: Service,
    link: Link,
    board: Board<'c, JOBS>,
    /// A store as it ships below the board's, which then mirrors it.
    medium: Option<&'c mut dyn Medium>,
    observer: Observer,
    outputs: usize,
    /// Crashes still to come, the next one last.
    crashes: Vec<Crash>,
    crashed: bool,
    /// Writes that are going to fail, and whether one did in this life.
    failing_writes: u32,
    write_failed: bool,
    /// The device came back, and was not connected since.
    came_back: bool,
    /// What happened, while it is written down.
    log: Option<Vec<String>>,
    found: Vec<Found>,
    /// After a crash: what was seen to happen while offline.
    offline_runs: Vec<bool>,
    offline_reboots: usize,
    connect_at_ms: Option<u64>,
    next_action: usize,
}

impl<const JOBS: usize> World<'_, JOBS> {
    /// Plays a story to its end, with a crash if one is given.
    ///
    /// # Panics
    /// If the story asks for something the service refuses.
    #[must_use]
    pub fn play(scenario: &Scenario, crash: Option<Crash>) -> Report {
        Self::play_through(scenario, crash.as_slice(), None).0
    }

    /// Plays a story to its end with several crashes, in the order of their effects; writes
    /// down what happens if a `log` is given.
    ///
    /// # Panics
    /// If the story asks for something the service refuses, and is not lenient.
    #[must_use]
    pub fn play_through(
        scenario: &Scenario,
        crashes: &[Crash],
        log: Option<Vec<String>>,
    ) -> (Report, Vec<String>) {
        Self::play_with(scenario, crashes, log, None)
    }

    /// Plays a story to its end on a store as it ships. When `medium` says that the power was
    /// cut, the device is gone with all that it did not write, and comes back as after a reset.
    ///
    /// # Panics
    /// If the story asks for something the service refuses.
    #[must_use]
    pub fn play_on(scenario: &Scenario, medium: &mut dyn Medium) -> Report {
        Self::play_with(scenario, &[], None, Some(medium)).0
    }

    fn play_with(
        scenario: &Scenario,
        crashes: &[Crash],
        log: Option<Vec<String>>,
        medium: Option<&mut dyn Medium>,
    ) -> (Report, Vec<String>) {
        let thing = ThingName::new(THING).expect("a legal name");
        let unclaimed = if scenario.leave_unclaimed {
            Unclaimed::Leave
        } else {
            Unclaimed::Reject
        };
        let config = Config {
            unclaimed,
            ..Config::new(thing)
        };
        let mut service = Service::new(scenario.settings.clone());
        service
            .create_thing(EPOCH_MS, THING)
            .expect("a fresh service takes a thing");
        let mut world = World::<JOBS> {
            now_ms: 0,
            service,
            link: Link::default(),
            board: Board::new(&config),
            medium: medium.map(|medium| medium as &mut dyn Medium),
            observer: Observer::default(),
            outputs: 0,
            crashes: crashes.iter().rev().copied().collect(),
            crashed: false,
            failing_writes: 0,
            write_failed: false,
            came_back: false,
            log,
            found: Vec::new(),
            offline_runs: Vec::new(),
            offline_reboots: 0,
            connect_at_ms: Some(0),
            next_action: 0,
        };
        if scenario.session_kept {
            world.link.keep_session();
        }
        if let Some(bytes) = scenario.takes_max {
            world.link.take_at_most(bytes);
        }
        let settled = world.run(scenario);
        let log = world.log.take().unwrap_or_default();
        (world.report(scenario, settled), log)
    }

    fn run(&mut self, scenario: &Scenario) -> bool {
        for _ in 0..TURNS_MAX {
            let wake = self.drain(scenario);
            if self.turn(scenario) {
                continue;
            }
            if self.is_settled(scenario) {
                return true;
            }
            let times = [
                wake,
                self.link.next_ms(),
                self.board.next_ms(),
                self.connect_at_ms,
                self.service
                    .next_deadline_ms()
                    .map(|ms| ms.saturating_sub(EPOCH_MS)),
                scenario.actions.get(self.next_action).map(|(at, _)| *at),
            ];
            let Some(next) = times.into_iter().flatten().min() else {
                return false;
            };
            if next > scenario.end_ms {
                return false;
            }
            self.now_ms = self.now_ms.max(next);
        }
        self.observer.violation("P6: the world spins".into());
        false
    }

    /// One thing that is due; `false` if nothing is.
    fn turn(&mut self, scenario: &Scenario) -> bool {
        let now = Millis(self.now_ms);
        if self.connect_at_ms.is_some_and(|at| at <= self.now_ms) {
            self.connect_at_ms = None;
            self.check_crash_table();
            self.link.connect();
            self.board.agent.handle_connected(now);
            return true;
        }
        if let Some((at, _)) = self.board.pending.front()
            && *at <= self.now_ms
        {
            if let Some((_, write)) = self.board.pending.pop_front() {
                self.stored(write);
            }
            return true;
        }
        if let Some((at, action)) = scenario.actions.get(self.next_action)
            && *at <= self.now_ms
        {
            self.next_action += 1;
            self.act(scenario, action);
            return true;
        }
        let deadline = self.service.next_deadline_ms();
        if deadline.is_some_and(|ms| ms <= EPOCH_MS + self.now_ms) {
            let messages = self.service.advance(EPOCH_MS + self.now_ms);
            self.deliver(&messages);
            return true;
        }
        if let Some(letter) = self.link.arrived_up(self.now_ms) {
            self.note(|| format!("served: {}", letter.in_words()));
            let at = EPOCH_MS + self.now_ms;
            let messages = self.service.publish(at, &letter.topic, &letter.payload);
            self.deliver(&messages);
            return true;
        }
        if let Some(letter) = self.link.arrived_down(self.now_ms) {
            self.note(|| format!("arrives: {}", letter.in_words()));
            let place = self
                .board
                .receive(now, &letter.topic, &letter.payload, &scenario.scripts);
            if let Some(place) = place {
                self.observer.ignored_message(place);
            }
            return true;
        }
        match self
            .board
            .step(self.now_ms, &scenario.scripts, &mut self.observer)
        {
            Progressed::Idle => false,
            Progressed::Moved => true,
            Progressed::Crashes => {
                self.come_back(Restart::Reboot, false);
                true
            }
        }
    }

    /// Performs outputs until the agent waits; returns its deadline.
    fn drain(&mut self, scenario: &Scenario) -> Option<u64> {
        let mut scratch = Scratch::new();
        for _ in 0..TURNS_MAX {
            let output = self.board.agent.poll(Millis(self.now_ms), &mut scratch);
            if let Output::Wait(until) = output {
                return until.map(|until| until.0);
            }
            let crash = self.crashes.pop_if(|crash| crash.at <= self.outputs);
            self.outputs += 1;
            match crash {
                Some(crash) => self.crash_at(scenario, output, crash),
                None => self.perform(scenario, output),
            }
        }
        self.observer.violation("P6: the agent never waits".into());
        None
    }

    fn crash_at(&mut self, scenario: &Scenario, output: Output<'_>, crash: Crash) {
        self.crashed = true;
        match (crash.moment, &output) {
            (Moment::Before, _) => {}
            (Moment::Within(tear), Output::Persist { slot, record, .. }) => {
                self.board.store.tear(*slot, record, tear);
                if tear == Tear::Garbage {
                    self.observer.store_broke();
                }
            }
            (Moment::Within(Tear::New), Output::Erase { slot, .. }) => {
                self.board.store.erase(*slot);
            }
            (Moment::Within(_), _) => {}
            (Moment::After, _) => self.perform(scenario, output),
        }
        self.come_back(crash.restart, crash.lose_up);
    }

    fn come_back(&mut self, restart: Restart, lose_up: bool) {
        self.note(|| format!("down, and back by {restart:?}"));
        self.write_failed = false;
        self.came_back = true;
        self.link.disconnect(lose_up);
        self.offline_runs.clear();
        self.offline_reboots = 0;
        self.connect_at_ms = Some(self.now_ms + OFFLINE_MS);
        self.reopen_medium();
        self.found = self.board.restart(restart);
        self.observer.restored(&self.found);
    }

    fn perform(&mut self, scenario: &Scenario, output: Output<'_>) {
        let now = Millis(self.now_ms);
        self.note(|| format!("agent: {}", in_words(&output)));
        match output {
            Output::Persist {
                receipt,
                slot,
                record,
            } => {
                self.store(
                    scenario,
                    Write {
                        receipt,
                        slot,
                        record: Some(record.to_vec()),
                    },
                );
            }
            Output::Erase { receipt, slot } => {
                self.observer
                    .check_erase(slot, &self.board.store, &self.service, THING);
                self.store(
                    scenario,
                    Write {
                        receipt,
                        slot,
                        record: None,
                    },
                );
            }
            Output::Transmit {
                receipt,
                topic,
                payload,
                ..
            } => {
                let boot = self.board.boot();
                self.observer.check_transmit(
                    topic,
                    payload,
                    &self.board.store,
                    boot,
                    (&self.service, THING),
                );
                self.link.send_up(self.now_ms, topic, payload);
                self.board.agent.handle_done(now, receipt, Completion::Done);
            }
            Output::Subscribe { receipt, filters } => {
                if filters.iter().count() == 0 {
                    self.observer.violation("empty SUBSCRIBE".into());
                }
                self.link.subscribe();
                self.board.agent.handle_done(now, receipt, Completion::Done);
            }
            Output::Run(permit) => self.run_handler(scenario, permit),
            Output::Saved { slot, run } => self.board.saved(slot, run),
            Output::Stop { slot, run, reason } => self.board.stop(slot, run, reason),
            Output::Reboot(permit) => {
                let boot = self.board.boot();
                self.observer
                    .check_reboot(permit.slot(), &self.board.store, boot);
                self.offline_reboots += 1;
                self.come_back(Restart::Reboot, false);
            }
            Output::Ended { job_id, ending, .. } => self.observer.ended(job_id.as_str(), ending),
            Output::Wait(_) => {}
        }
    }

    fn run_handler(&mut self, scenario: &Scenario, permit: RunPermit<'_>) {
        let operation = scenario
            .scripts
            .iter()
            .find(|(name, _)| OperationTag::of(name) == permit.tag());
        let instant = operation.is_some_and(|(_, script)| script.policy.instant);
        self.observer.check_run(
            &permit,
            instant,
            &self.board.store,
            &self.service,
            THING,
            &self.board.jobs_running(),
        );
        let offline = !self.link.is_connected();
        self.offline_runs.push(offline);
        if let Err(text) = self.board.start(permit, &scenario.scripts) {
            self.observer.violation(text);
        }
    }

    /// Writes down what happens, if anybody wants to know.
    fn note(&mut self, line: impl FnOnce() -> String) {
        let now_ms = self.now_ms;
        if let Some(log) = &mut self.log {
            log.push(format!("{now_ms:>9} {}", line()));
        }
    }

    /// The crash table, row by row: what must and must not have happened without any network.
    fn check_crash_table(&mut self) {
        let found = &self.found;
        if !std::mem::take(&mut self.came_back) {
            // The link was only cut: nothing was restored.
            return;
        }
        if self.write_failed {
            // The write is tried again, and what it holds up comes later.
            return;
        }
        let resumes = found
            .iter()
            .filter(|row| matches!(row, Found::Checkpoint(false) | Found::RebootOtherBoot));
        let expected = resumes.count();
        let happened = self.offline_runs.len();
        let resets = found
            .iter()
            .filter(|row| **row == Found::RebootSameBoot)
            .count();
        if !found.is_empty() && resets == 0 && happened != expected {
            let text = format!("P3: {happened} offline runs after {found:?}, not {expected}");
            return self.observer.violation(text);
        }
        // With other work in its slots, the device gives that a while before it resets.
        if resets > 0 && found.len() == 1 && self.offline_reboots == 0 {
            let text = format!("P3: no reset after {found:?}");
            self.observer.violation(text);
        }
    }
}
