//! A small world to explore exhaustively: the shipping agent, the service's model, scripted
//! handlers, a network and a store, where everything that may happen next is a move.
//!
//! How it is kept finite, and what that means:
//! - **Faults have a budget**, in kind and in all; without one left, the world still moves.
//! - **The network is in order, except for late messages.** A fault makes the message at the head
//!   late: it may then arrive at any time, in any order, also in a later life of the agent. This
//!   is reordering, delay and duplication in one.
//! - **Time has no amount.** The agent's clock moves only when its next deadline fires, and that
//!   only while no punctual message is under way; the service's clock moves only when its next
//!   timer fires, at any moment. The two clocks are free of each other: more can happen here than
//!   on one clock, never less. Waiting times have no jitter and are multiples of one unit.
//! - **A write is under way until a move ends it.** A crash leaves each write under way either
//!   done or undone.
//! - **A handler's every step is a move**, so it takes any time.

mod key;
mod play;
mod setup;

pub use setup::{Budget, Operator, Setup};

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use jobs_agent_core::{Phase, Unclaimed};
use jobs_emulator::model::{ExecutionStatus, Service, Settings};

use crate::{
    board::{Board, Restart},
    explore::Model,
    observer::Observer,
};
use setup::operate;

pub(crate) const THING: &str = "pump-17";

/// Where the service's clock stands at the start (epoch, milliseconds).
const EPOCH_MS: u64 = 1_700_000_000_000;

/// What becomes of a message at the head of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It is lost.
    Lost,
    /// It arrives, and once more later.
    Repeated,
    /// It will arrive later.
    Late,
    /// The service refuses it with InternalError (requests only).
    Refused,
}

/// How the device goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down {
    /// How it comes back.
    pub restart: Restart,
    /// Whether messages under way survive the connection.
    pub network_kept: bool,
    /// Which of the writes under way are done: one bit each, in order.
    pub writes_done: u8,
}

/// One move of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The connection comes up.
    Connect,
    /// The operator does the next thing.
    Operate,
    /// The oldest request under way.
    Up(Fate),
    /// The oldest message for the device under way.
    Down(Fate),
    /// A late request arrives.
    LateUp(u8),
    /// A late message for the device arrives.
    LateDown(u8),
    /// A write under way ends; `true` if it is done, `false` if it failed.
    Written(u8, bool),
    /// The handler of a slot takes a step.
    Step(u8),
    /// The agent's next deadline passes.
    AgentTimer,
    /// The service's next timer fires.
    ServiceTimer,
    /// The connection is cut; `true` if messages under way survive.
    Cut(bool),
    /// The device goes down.
    Crash(Down),
}

/// A move, and how it was cut short if it was: after so many effects of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// What happens.
    pub what: What,
    /// The device goes down in the middle of what follows.
    pub cut: Option<(u8, Down)>,
}

/// A message under way.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    /// Hash of topic and payload without names and times.
    pub(crate) shape: u64,
    pub(crate) token: Option<String>,
}

/// The world; see the module.
#[derive(Clone)]
pub struct ModelWorld<'s, const JOBS: usize> {
    setup: &'s Setup,
    service: Rc<Service>,
    service_ms: u64,
    now_ms: u64,
    board: Board<'s, JOBS>,
    observer: Observer,
    up: VecDeque<Rc<Letter>>,
    down: VecDeque<Rc<Letter>>,
    late_up: Vec<Rc<Letter>>,
    late_down: Vec<Rc<Letter>>,
    connected: bool,
    /// When the agent wants to be woken.
    wake_ms: Option<u64>,
    left: Budget,
    operated: usize,
    crashes: u8,
    /// Runs from the start, per job and execution: more than one needs a crash for each.
    fresh: BTreeMap<(String, i64), u8>,
    /// Effects of the agent that followed the last move.
    effects: u8,
    /// What happened, in words, while a trace is told.
    log: Option<Vec<String>>,
}

impl<'s, const JOBS: usize> ModelWorld<'s, JOBS> {
    /// The world before its first move.
    ///
    /// # Panics
    /// If the service refuses what the operator does first.
    #[must_use]
    pub fn new(setup: &'s Setup) -> Self {
        let mut service = Service::new(Settings::default());
        service
            .create_thing(EPOCH_MS, THING)
            .expect("a fresh service takes a thing");
        for operator in &setup.operator[..setup.done_before] {
            operate(&mut service, EPOCH_MS, operator).expect("the service takes what comes first");
        }
        let mut board = Board::new(&setup.config);
        board.agent.calm_jitter();
        Self {
            setup,
            service: Rc::new(service),
            service_ms: EPOCH_MS,
            now_ms: 0,
            board,
            observer: Observer::default(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            late_up: Vec::new(),
            late_down: Vec::new(),
            connected: false,
            wake_ms: None,
            left: setup.budget,
            operated: setup.done_before,
            crashes: 0,
            fresh: BTreeMap::new(),
            effects: 0,
            log: None,
        }
    }

    /// What each slot of the agent is doing.
    pub fn phases(&self) -> impl Iterator<Item = Phase> + '_ {
        (0..JOBS).filter_map(|slot| self.board.agent.phase(u8::try_from(slot).ok()?))
    }

    /// Status of a job's latest execution at the service.
    #[must_use]
    pub fn status(&self, job: &str) -> Option<ExecutionStatus> {
        let execution = self.service.execution(THING, job, None)?;
        Some(execution.status)
    }

    /// Nothing punctual is under way.
    fn is_quiet(&self) -> bool {
        self.up.is_empty() && (self.down.is_empty() || !self.connected)
    }

    fn network_moves(&self, into: &mut Vec<Move>) {
        let mut put = |what| into.push(Move { what, cut: None });
        let left = self.left;
        let fates = [
            (Fate::Arrives, 1),
            (Fate::Lost, left.drops.min(left.all)),
            (Fate::Repeated, left.duplicates.min(left.all)),
            (Fate::Late, left.delays.min(left.all)),
        ];
        for (fate, left) in fates {
            if left > 0 && !self.up.is_empty() {
                put(What::Up(fate));
            }
            if left > 0 && !self.down.is_empty() && self.connected {
                put(What::Down(fate));
            }
        }
        if left.refusals.min(left.all) > 0 && !self.up.is_empty() {
            put(What::Up(Fate::Refused));
        }
        (0..self.late_up.len()).for_each(|at| put(What::LateUp(small(at))));
        if self.connected {
            (0..self.late_down.len()).for_each(|at| put(What::LateDown(small(at))));
        }
    }

    /// Ways to go down, with so many writes under way.
    fn downs(&self, writes: usize) -> impl Iterator<Item = Down> + use<JOBS> {
        let masks = 0..(1_u8 << writes);
        let restarts = self.setup.restarts;
        masks.flat_map(move |writes_done| {
            restarts.iter().flat_map(move |restart| {
                [true, false].map(|network_kept| Down {
                    restart: *restart,
                    network_kept,
                    writes_done,
                })
            })
        })
    }

    fn may_crash(&self) -> bool {
        self.left.crashes.min(self.left.all) > 0
    }
}

impl<const JOBS: usize> Model for ModelWorld<'_, JOBS> {
    type Move = Move;

    fn moves(&self, into: &mut Vec<Move>) {
        let left = self.left;
        self.network_moves(into);
        let mut put = |what| into.push(Move { what, cut: None });
        if !self.connected {
            put(What::Connect);
        }
        if self.operated < self.setup.operator.len() {
            put(What::Operate);
        }
        for at in 0..self.board.pending.len() {
            put(What::Written(small(at), true));
            if left.write_failures.min(left.all) > 0 {
                put(What::Written(small(at), false));
            }
        }
        for slot in self.board.awake(self.now_ms) {
            put(What::Step(slot));
        }
        if self.wake_ms.is_some() && self.is_quiet() {
            put(What::AgentTimer);
        }
        if self.service.next_deadline_ms().is_some() {
            put(What::ServiceTimer);
        }
        if self.connected && left.cuts.min(left.all) > 0 {
            put(What::Cut(true));
            put(What::Cut(false));
        }
        if self.may_crash() {
            self.downs(self.board.pending.len())
                .for_each(|down| put(What::Crash(down)));
        }
    }

    fn cut_short(&self, made: Move, into: &mut Vec<Move>) {
        if !self.may_crash() {
            return;
        }
        // After the last effect is a crash of its own; before the first is one of the state
        // before, whose message was lost.
        for after in 1..self.effects {
            for down in self.downs(JOBS) {
                into.push(Move {
                    what: made.what,
                    cut: Some((after, down)),
                });
            }
        }
    }

    fn make(&mut self, chosen: Move) -> Result<(), String> {
        self.play(chosen);
        match self.observer.violations.pop() {
            Some(text) => Err(text),
            None => Ok(()),
        }
    }

    fn key(&self) -> u128 {
        self.canonical_key()
    }

    fn is_goal(&self) -> bool {
        let nothing_under_way = self.up.is_empty()
            && self.down.is_empty()
            && self.late_up.is_empty()
            && self.late_down.is_empty();
        nothing_under_way
            && self.connected
            && self.operated == self.setup.operator.len()
            && self.board.agent.is_idle()
            && self
                .service
                .executions()
                .all(|execution| execution.status.is_terminal() || self.is_left(&execution.job_id))
    }

    fn is_helpful(&self, chosen: Move) -> bool {
        chosen.cut.is_none()
            && match chosen.what {
                What::Connect
                | What::Operate
                | What::LateUp(_)
                | What::LateDown(_)
                | What::Step(_)
                | What::AgentTimer => true,
                What::Up(fate) | What::Down(fate) => fate == Fate::Arrives,
                What::Written(_, done) => done,
                What::ServiceTimer => self.setup.timers_help,
                What::Cut(_) | What::Crash(_) => false,
            }
    }

    fn tell(&mut self, chosen: Move) -> String {
        self.log = Some(vec![self.describe(chosen)]);
        self.play(chosen);
        let phases: Vec<_> = self.phases().collect();
        let mut lines = self.log.take().unwrap_or_default();
        lines.push(format!("now {phases:?}"));
        lines.join("\n       ")
    }
}

impl<const JOBS: usize> ModelWorld<'_, JOBS> {
    /// Whether nobody here is to do this job.
    fn is_left(&self, job: &str) -> bool {
        self.setup.config.unclaimed == Unclaimed::Leave
            && self.setup.operator.iter().any(|operator| match operator {
                Operator::Create(id, operation, _) => {
                    *id == job && !self.setup.scripts.contains_key(operation)
                }
                Operator::Cancel(_) | Operator::Delete(_) => false,
            })
    }
}

/// Numbers here are below any bound of the exploration.
fn small(at: usize) -> u8 {
    u8::try_from(at).expect("few of everything")
}
