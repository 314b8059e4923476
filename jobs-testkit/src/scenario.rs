//! What the operator, the service and the network do in the course of a test.

use std::collections::BTreeMap;

use jobs_emulator::model::{Fault, Settings};
use serde_json::{Value, json};

use crate::{link::LinkFault, script::Script};

/// One thing that happens at a given time.
#[derive(Clone, Debug)]
pub enum Action {
    /// The operator creates a job with this document.
    CreateJob {
        /// Its id.
        id: String,
        /// Its document.
        document: Value,
        /// Control-plane parameters beside id, targets and document.
        extra: Value,
    },
    /// The operator cancels a job by force.
    CancelJob(String),
    /// The operator deletes a job by force.
    DeleteJob(String),
    /// The service misbehaves.
    Service(Fault),
    /// The network misbehaves.
    Link(LinkFault),
    /// The next writes and erasures of records fail.
    FailWrites(u32),
    /// Bytes arrive at the device that the service never sent.
    Inject {
        /// The topic, below the thing's Jobs topics if it starts with `/`.
        topic: String,
        /// The payload.
        payload: Vec<u8>,
    },
}

/// A whole story: scripts, actions, settings, and how many slots matter.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it tells, for messages.
    pub name: &'static str,
    /// Handlers by operation.
    pub scripts: BTreeMap<&'static str, Script>,
    /// What happens when, milliseconds from the start, in order.
    pub actions: Vec<(u64, Action)>,
    /// The service's settings.
    pub settings: Settings,
    /// Leave jobs that nobody claims, instead of rejecting them.
    pub leave_unclaimed: bool,
    /// How long a persist or erase takes, milliseconds.
    pub storage_ms: u64,
    /// The broker keeps the session over a cut and delivers what was under way.
    pub session_kept: bool,
    /// Larger messages are dropped on their way to the device, bytes of topic and payload.
    pub takes_max: Option<usize>,
    /// What the operator asks for too late is refused and forgotten.
    pub lenient: bool,
    /// A story that is not over by then is stuck, milliseconds.
    pub end_ms: u64,
}

/// Longer than every back-off and timer of the core.
const END_MS: u64 = 6 * 3_600_000;

impl Scenario {
    /// An empty story.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            scripts: BTreeMap::new(),
            actions: Vec::new(),
            settings: Settings::default(),
            leave_unclaimed: false,
            storage_ms: 0,
            session_kept: false,
            takes_max: None,
            lenient: false,
            end_ms: END_MS,
        }
    }

    /// Adds a handler.
    #[must_use]
    pub fn script(mut self, operation: &'static str, script: Script) -> Self {
        self.scripts.insert(operation, script);
        self
    }

    /// The operator creates a job for `operation` at `at_ms`.
    #[must_use]
    pub fn job(self, at_ms: u64, id: &str, operation: &str) -> Self {
        self.job_with(at_ms, id, operation, json!({}))
    }

    /// As `job`, with more parameters of CreateJob.
    #[must_use]
    pub fn job_with(self, at_ms: u64, id: &str, operation: &str, extra: Value) -> Self {
        let document = json!({ "operation": operation });
        self.at(
            at_ms,
            Action::CreateJob {
                id: id.into(),
                document,
                extra,
            },
        )
    }

    /// Something happens at `at_ms`.
    #[must_use]
    pub fn at(mut self, at_ms: u64, action: Action) -> Self {
        self.actions.push((at_ms, action));
        self.actions.sort_by_key(|(at, _)| *at);
        self
    }

    /// Leave unclaimed jobs alone.
    #[must_use]
    pub fn leaving_unclaimed(mut self) -> Self {
        self.leave_unclaimed = true;
        self
    }

    /// The broker keeps the session.
    #[must_use]
    pub fn keeping_session(mut self) -> Self {
        self.session_kept = true;
        self
    }

    /// The device has a small receive buffer, and the broker keeps to it.
    #[must_use]
    pub fn taking_at_most(mut self, bytes: usize) -> Self {
        self.takes_max = Some(bytes);
        self
    }

    /// Storage takes its time.
    #[must_use]
    pub fn slow_storage(mut self, storage_ms: u64) -> Self {
        self.storage_ms = storage_ms;
        self
    }
}
