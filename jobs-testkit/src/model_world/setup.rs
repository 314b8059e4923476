//! What is explored: scripts, what the operator does, how many faults there may be.

use std::collections::BTreeMap;

use jobs_agent_core::{Backoff, Config, Unclaimed};
use jobs_emulator::model::{ControlOp, Message, Service};
use jobs_proto::ThingName;
use serde_json::{Map, Value, json};

use super::THING;
use crate::{board::Restart, script::Script};

/// The unit of every waiting time, milliseconds. Half of the smallest step timer, so that its
/// renewal is on the grid too.
const UNIT_MS: u32 = 30_000;

/// What the operator does.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Creates a job: id, operation, more parameters of CreateJob.
    Create(&'static str, &'static str, Value),
    /// Cancels a job by force.
    Cancel(&'static str),
    /// Deletes a job by force.
    Delete(&'static str),
}

/// How many faults there may be, by kind, and in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Faults of every kind together.
    pub all: u8,
    /// Crashes of the device.
    pub crashes: u8,
    /// Messages lost.
    pub drops: u8,
    /// Messages that arrive a second time, late.
    pub duplicates: u8,
    /// Messages that are late.
    pub delays: u8,
    /// Cuts of the connection.
    pub cuts: u8,
    /// Requests refused with InternalError.
    pub refusals: u8,
    /// Writes that fail.
    pub write_failures: u8,
}

impl Budget {
    /// This many faults of any kind.
    #[must_use]
    pub const fn any(all: u8) -> Self {
        Self {
            all,
            crashes: all,
            drops: all,
            duplicates: all,
            delays: all,
            cuts: all,
            refusals: all,
            write_failures: all,
        }
    }
}

/// What is explored.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What it is about, for people.
    pub name: &'static str,
    /// Handlers by operation. Effects take no move; a sleep lasts until the handler is stopped.
    pub scripts: BTreeMap<&'static str, Script>,
    /// What the operator does, in this order, each at any time.
    pub operator: Vec<Operator>,
    /// How many of these are done before the device is there.
    pub done_before: usize,
    /// How the device may come back from a crash.
    pub restarts: &'static [Restart],
    /// Whether the goal may need a timer of the service to fire.
    pub timers_help: bool,
    /// Faults.
    pub budget: Budget,
    /// The agent's configuration.
    pub config: Config<'static>,
}

impl Setup {
    /// Nothing to do yet, no faults, process restarts only.
    ///
    /// # Panics
    /// Never: the thing's name is a legal one.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let thing = ThingName::new(THING).expect("a legal name");
        // A wait is half of a step that does not grow: one unit.
        let backoff = Backoff {
            base_ms: 2 * UNIT_MS,
            cap_ms: 2 * UNIT_MS,
        };
        let config = Config {
            reply_timeout_ms: UNIT_MS,
            backoff,
            throttled: backoff,
            progress_interval_ms: UNIT_MS,
            attempts_max: 2,
            list_grace_ms: UNIT_MS,
            settle_ms: UNIT_MS,
            resync_ms: 2 * UNIT_MS,
            reboot_grace_ms: UNIT_MS,
            ..Config::new(thing)
        };
        Self {
            name,
            scripts: BTreeMap::new(),
            operator: Vec::new(),
            done_before: 0,
            restarts: &[Restart::Process],
            timers_help: false,
            budget: Budget::default(),
            config,
        }
    }

    /// Adds a handler.
    #[must_use]
    pub fn script(mut self, operation: &'static str, script: Script) -> Self {
        self.scripts.insert(operation, script);
        self
    }

    /// The operator creates a job before the device is there.
    #[must_use]
    pub fn job(self, id: &'static str, operation: &'static str) -> Self {
        self.job_with(id, operation, json!({}))
    }

    /// As `job`, with more parameters of CreateJob.
    #[must_use]
    pub fn job_with(mut self, id: &'static str, operation: &'static str, extra: Value) -> Self {
        self.operator.push(Operator::Create(id, operation, extra));
        self.done_before = self.operator.len();
        self
    }

    /// The operator does this at any time.
    #[must_use]
    pub fn then(mut self, operator: Operator) -> Self {
        self.operator.push(operator);
        self
    }

    /// Faults.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The device may come back in both ways.
    #[must_use]
    pub fn both_restarts(mut self) -> Self {
        self.restarts = &[Restart::Process, Restart::Reboot];
        self
    }

    /// Leaves unclaimed jobs alone.
    #[must_use]
    pub fn leaving_unclaimed(mut self) -> Self {
        self.config.unclaimed = Unclaimed::Leave;
        self
    }
}

/// Has the service do what the operator wants; `None` if it refuses, because it is too late.
pub(super) fn operate(
    service: &mut Service,
    now_ms: u64,
    operator: &Operator,
) -> Option<Vec<Message>> {
    match operator {
        Operator::Create(id, operation, extra) => {
            let (region, account) = (&service.settings().region, &service.settings().account);
            let arn = format!("arn:aws:iot:{region}:{account}:thing/{THING}");
            let mut params: Map<String, Value> = Map::new();
            params.insert("jobId".into(), (*id).into());
            params.insert("targets".into(), Value::from(vec![arn]));
            let document = json!({ "operation": operation }).to_string();
            params.insert("document".into(), document.into());
            if let Value::Object(extra) = extra {
                params.extend(extra.clone());
            }
            let created = service.control(now_ms, ControlOp::CreateJob, &params);
            created.ok().map(|(_, sent)| sent)
        }
        Operator::Cancel(id) => service.cancel_job(now_ms, id, true).ok(),
        Operator::Delete(id) => service.delete_job(now_ms, id, true).ok(),
    }
}
