//! The world: one device, one service, one network, one clock.

use jobs_agent_core::{
    Completion, Config, Millis, OperationTag, Output, RunPermit, Scratch, Unclaimed,
};
use jobs_emulator::model::{ControlOp, Message, Service};
use jobs_proto::ThingName;
use serde_json::{Map, Value};

use crate::{
    board::{Board, Found, Progressed, Restart, Write},
    link::{Link, LinkFault},
    observer::{Observer, Report},
    scenario::{Action, Scenario},
    store::Tear,
};

const THING: &str = "pump-17";

/// Where the virtual clock of the service stands when a story begins (epoch, milliseconds).
const EPOCH_MS: u64 = 1_700_000_000_000;

/// A story that is not over by then is stuck: longer than every back-off and timer of the core.
const STORY_MAX_MS: u64 = 6 * 3_600_000;

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
#[derive(Clone, Debug)]
pub struct World<'c, const JOBS: usize> {
    now_ms: u64,
    service: Service,
    link: Link,
    board: Board<'c, JOBS>,
    observer: Observer,
    outputs: usize,
    crash: Option<Crash>,
    crashed: bool,
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
            observer: Observer::default(),
            outputs: 0,
            crash,
            crashed: false,
            found: Vec::new(),
            offline_runs: Vec::new(),
            offline_reboots: 0,
            connect_at_ms: Some(0),
            next_action: 0,
        };
        let settled = world.run(scenario);
        world.report(scenario, settled)
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
            if next > STORY_MAX_MS {
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
            self.act(action);
            return true;
        }
        let deadline = self.service.next_deadline_ms();
        if deadline.is_some_and(|ms| ms <= EPOCH_MS + self.now_ms) {
            let messages = self.service.advance(EPOCH_MS + self.now_ms);
            self.deliver(&messages);
            return true;
        }
        if let Some(letter) = self.link.arrived_up(self.now_ms) {
            let at = EPOCH_MS + self.now_ms;
            let messages = self.service.publish(at, &letter.topic, &letter.payload);
            self.deliver(&messages);
            return true;
        }
        if let Some(letter) = self.link.arrived_down(self.now_ms) {
            self.board
                .receive(now, &letter.topic, &letter.payload, &scenario.scripts);
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
            let crash = self
                .crash
                .filter(|crash| !self.crashed && crash.at == self.outputs);
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
        self.link.disconnect(lose_up);
        self.offline_runs.clear();
        self.offline_reboots = 0;
        self.connect_at_ms = Some(self.now_ms + OFFLINE_MS);
        self.found = self.board.restart(restart);
    }

    fn perform(&mut self, scenario: &Scenario, output: Output<'_>) {
        let now = Millis(self.now_ms);
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
                self.observer
                    .check_transmit(topic, payload, &self.board.store, boot);
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

    /// A write takes its time, and is durable only at its end.
    fn store(&mut self, scenario: &Scenario, write: Write) {
        if scenario.storage_ms == 0 {
            self.stored(write);
        } else {
            self.board
                .pending
                .push_back((self.now_ms + scenario.storage_ms, write));
        }
    }

    fn stored(&mut self, write: Write) {
        match &write.record {
            Some(record) => self.board.store.persist(write.slot, record),
            None => self.board.store.erase(write.slot),
        }
        self.board
            .agent
            .handle_done(Millis(self.now_ms), write.receipt, Completion::Done);
    }

    /// The crash table, row by row: what must and must not have happened without any network.
    fn check_crash_table(&mut self) {
        let found = &self.found;
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
        if resets > 0 && self.offline_reboots == 0 {
            let text = format!("P3: no reset after {found:?}");
            self.observer.violation(text);
        }
    }

    fn act(&mut self, action: &Action) {
        let at = EPOCH_MS + self.now_ms;
        let sent = match action {
            Action::CreateJob {
                id,
                document,
                extra,
            } => {
                let arn = format!(
                    "arn:aws:iot:{}:{}:thing/{THING}",
                    self.service.settings().region,
                    self.service.settings().account
                );
                let mut params: Map<String, Value> = Map::new();
                params.insert("jobId".into(), id.as_str().into());
                params.insert("targets".into(), Value::from(vec![arn]));
                params.insert("document".into(), document.to_string().into());
                if let Value::Object(extra) = extra {
                    params.extend(extra.clone());
                }
                self.service
                    .control(at, ControlOp::CreateJob, &params)
                    .map(|(_, sent)| sent)
            }
            Action::CancelJob(id) => self.service.cancel_job(at, id, true),
            Action::DeleteJob(id) => self.service.delete_job(at, id, true),
            Action::Service(fault) => {
                self.service.set_fault(*fault);
                Ok(Vec::new())
            }
            Action::Link(LinkFault::Cut(ms)) => {
                self.link.disconnect(true);
                self.board.agent.handle_disconnected(Millis(self.now_ms));
                self.connect_at_ms = Some(self.now_ms + ms);
                Ok(Vec::new())
            }
            Action::Inject { topic, payload } => {
                let prefix = if topic.starts_with('/') {
                    "$aws/things/pump-17/jobs"
                } else {
                    ""
                };
                self.link
                    .send_down(self.now_ms, &format!("{prefix}{topic}"), payload);
                Ok(Vec::new())
            }
            Action::Link(fault) => {
                self.link.arm(*fault);
                Ok(Vec::new())
            }
        };
        match sent {
            Ok(messages) => self.deliver(&messages),
            // A crash can move a job's end before the operator's hand: then there is nothing to
            // cancel any more.
            Err(error) if self.crashed => {
                assert!(error.status < 500, "the service failed: {error:?}");
            }
            Err(error) => panic!("the service refused {action:?}: {error:?}"),
        }
    }

    fn deliver(&mut self, messages: &[Message]) {
        for message in messages {
            self.link
                .send_down(self.now_ms, &message.topic, &message.payload);
        }
    }

    fn is_settled(&self, scenario: &Scenario) -> bool {
        let told = self.next_action == scenario.actions.len();
        let over = job_ids(scenario).all(|id| {
            self.service
                .execution(THING, id, None)
                .is_none_or(|execution| execution.deadline_ms.is_none() && is_over(&execution))
                || self.is_left(scenario, id)
        });
        told && over && self.board.agent.is_idle() && self.link.next_ms().is_none()
    }

    /// Whether nobody here is to do this job.
    fn is_left(&self, scenario: &Scenario, id: &str) -> bool {
        scenario.leave_unclaimed
            && scenario.actions.iter().any(|(_, action)| match action {
                Action::CreateJob {
                    id: created,
                    document,
                    ..
                } => {
                    let operation = document["operation"].as_str().unwrap_or_default();
                    created == id && !scenario.scripts.contains_key(operation)
                }
                Action::CancelJob(_)
                | Action::DeleteJob(_)
                | Action::Service(_)
                | Action::Inject { .. }
                | Action::Link(_) => false,
            })
    }

    fn report(self, scenario: &Scenario, settled: bool) -> Report {
        let execution = |id: &str| self.service.execution(THING, id, None);
        Report {
            statuses: job_ids(scenario)
                .map(|id| (id.to_string(), execution(id).map(|e| e.status.as_str())))
                .collect(),
            details: job_ids(scenario)
                .filter_map(|id| Some((id.to_string(), execution(id)?.status_details?)))
                .collect(),
            settled,
            outputs: self.outputs,
            crashed: self.crashed,
            found: self.found,
            published: self.link.published(),
            subscribed: self.link.subscribed(),
            writes: self.board.store.writes(),
            end_ms: self.now_ms,
            observer: self.observer,
        }
    }
}

fn is_over(execution: &jobs_emulator::model::ExecutionView) -> bool {
    !matches!(execution.status.as_str(), "QUEUED" | "IN_PROGRESS")
}

fn job_ids(scenario: &Scenario) -> impl Iterator<Item = &str> {
    scenario
        .actions
        .iter()
        .filter_map(|(_, action)| match action {
            Action::CreateJob { id, .. } => Some(id.as_str()),
            Action::CancelJob(_)
            | Action::DeleteJob(_)
            | Action::Service(_)
            | Action::Inject { .. }
            | Action::Link(_) => None,
        })
}
