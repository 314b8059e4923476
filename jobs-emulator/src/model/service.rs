//! The service record and its entries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::errors::ApiError;
use super::faults::{Fault, Faults};
use super::ops::{ControlOp, DataOp, Message};
use super::settings::Settings;
use super::state::{Execution, Group, Job, Thing};

/// Executions of one thing: job id, then execution number.
pub(crate) type ThingExecutions = BTreeMap<String, BTreeMap<u64, Execution>>;

/// The Jobs service of one account and region.
///
/// Times are milliseconds since the epoch and should not go backwards between calls. Every entry
/// first fires the timers that are due at its time; what they send comes first in its answer, or,
/// if the call fails, in the answer of the next call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Service {
    pub(crate) settings: Settings,
    pub(crate) things: BTreeMap<String, Thing>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) executions: BTreeMap<String, ThingExecutions>,
    /// Source of every id and order number: grows, never repeats.
    pub(crate) serial: u64,
    /// Makes every presigned URL fresh.
    pub(crate) url_serial: u64,
    pub(crate) faults: Faults,
    /// What fired timers said during a call that then failed: goes out with the next one.
    pub(crate) unsent: Vec<Message>,
}

impl Service {
    /// An empty service.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            things: BTreeMap::new(),
            groups: BTreeMap::new(),
            jobs: BTreeMap::new(),
            executions: BTreeMap::new(),
            serial: 0,
            url_serial: 0,
            faults: Faults::default(),
            unsent: Vec::new(),
        }
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Switches a fault on (or off, with a count of 0).
    pub fn set_fault(&mut self, fault: Fault) {
        self.faults.set(fault);
    }

    /// Whether a PUBLISH on this topic is for [`publish`](Self::publish) and not for the broker:
    /// everything below `$aws/things/{thing}/jobs/`.
    #[must_use]
    pub fn is_jobs_topic(topic: &str) -> bool {
        let mut segments = topic.split('/');
        segments.next() == Some("$aws")
            && segments.next() == Some("things")
            && segments.next().is_some_and(|thing| !thing.is_empty())
            && segments.next() == Some("jobs")
            && segments.next().is_some()
    }

    /// Answers a PUBLISH of a device on a topic below `$aws/things/{thing}/jobs/`.
    ///
    /// The caller has checked that the device may publish there. The answer holds the reply to
    /// the requester, then `notify`, then `notify-next`, each only if due; for a topic that is
    /// not a Jobs topic there is no reply. What timers had to say by then comes before it.
    pub fn publish(&mut self, now_ms: u64, topic: &str, payload: &[u8]) -> Vec<Message> {
        let mut messages = self.fire_timers(now_ms);
        messages.extend(self.answer_publish(now_ms, topic, payload));
        messages
    }

    /// When [`advance`](Self::advance) has something to do next, in ms since the epoch; may lie
    /// in the past.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.next_due_ms()
    }

    /// Fires every timer due at `now_ms`, in order: time-outs, retries, roll-out, deletions.
    pub fn advance(&mut self, now_ms: u64) -> Vec<Message> {
        self.fire_timers(now_ms)
    }

    /// Performs a control-plane operation.
    ///
    /// `params` holds path, query and body members under the names of the AWS service model.
    /// The answer is the response body and the MQTT messages the change causes. Times in the
    /// body are epoch seconds with a fraction.
    ///
    /// # Errors
    /// The AWS error of that operation.
    pub fn control(
        &mut self,
        now_ms: u64,
        op: ControlOp,
        params: &Map<String, Value>,
    ) -> Result<(Value, Vec<Message>), ApiError> {
        self.unsent = self.fire_timers(now_ms);
        let (body, caused) = self.answer_control(now_ms, op, params)?;
        let mut messages = std::mem::take(&mut self.unsent);
        messages.extend(caused);
        Ok((body, messages))
    }

    /// Performs an operation of the HTTPS data plane.
    ///
    /// `params` holds path, query and body members; `jobId` may be `$next` where the API has it.
    /// Differs from MQTT: no client token, no timestamp, and `jobDocument` is a string.
    ///
    /// # Errors
    /// The AWS error of that operation.
    pub fn data_http(
        &mut self,
        now_ms: u64,
        op: DataOp,
        params: &Map<String, Value>,
    ) -> Result<(Value, Vec<Message>), ApiError> {
        self.unsent = self.fire_timers(now_ms);
        let (body, caused) = self.answer_http(now_ms, op, params)?;
        let mut messages = std::mem::take(&mut self.unsent);
        messages.extend(caused);
        Ok((body, messages))
    }
}
