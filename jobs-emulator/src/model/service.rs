//! The service record and its entries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::errors::ApiError;
use super::faults::{Fault, Faults};
use super::ops::{ControlOp, DataOp, Message};
use super::settings::Settings;
use super::state::{Execution, ExecutionView, Group, Job, JobStatus, Thing};

/// Executions of one thing: job id, then execution number.
pub(crate) type ThingExecutions = BTreeMap<String, BTreeMap<u64, Execution>>;

/// The Jobs service of one account and region.
///
/// Times are milliseconds since the epoch and should not go backwards between calls. Every entry
/// first fires the timers that are due at its time; what they send comes first in its answer.
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
    /// not a Jobs topic it is empty.
    pub fn publish(&mut self, now_ms: u64, topic: &str, payload: &[u8]) -> Vec<Message> {
        let _ = (now_ms, topic, payload);
        Vec::new()
    }

    /// When [`advance`](Self::advance) has something to do next, in ms since the epoch.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        None
    }

    /// Fires every timer due at `now_ms`, in order: time-outs, retries, roll-out, deletions.
    pub fn advance(&mut self, now_ms: u64) -> Vec<Message> {
        let _ = now_ms;
        Vec::new()
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
        let _ = (now_ms, params);
        Err(ApiError::invalid_request(op.name()))
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
        let _ = (now_ms, params);
        Err(ApiError::invalid_request(op.name()))
    }

    /// Registers a thing.
    ///
    /// # Errors
    /// As `CreateThing`.
    pub fn create_thing(&mut self, now_ms: u64, thing: &str) -> Result<(), ApiError> {
        let _ = (now_ms, thing);
        Ok(())
    }

    /// Creates a snapshot job for some things, without further configuration.
    ///
    /// # Errors
    /// As `CreateJob`.
    pub fn create_job(
        &mut self,
        now_ms: u64,
        job_id: &str,
        things: &[&str],
        document: &Value,
    ) -> Result<Vec<Message>, ApiError> {
        let _ = (now_ms, job_id, things, document);
        Ok(Vec::new())
    }

    /// Cancels a job; with `force` also its executions that are IN_PROGRESS.
    ///
    /// # Errors
    /// As `CancelJob`.
    pub fn cancel_job(
        &mut self,
        now_ms: u64,
        job_id: &str,
        force: bool,
    ) -> Result<Vec<Message>, ApiError> {
        let _ = (now_ms, job_id, force);
        Ok(Vec::new())
    }

    /// Cancels the latest execution of a job on a thing.
    ///
    /// # Errors
    /// As `CancelJobExecution`.
    pub fn cancel_execution(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        force: bool,
    ) -> Result<Vec<Message>, ApiError> {
        let _ = (now_ms, thing, job_id, force);
        Ok(Vec::new())
    }

    /// Deletes a job and its executions.
    ///
    /// # Errors
    /// As `DeleteJob`.
    pub fn delete_job(
        &mut self,
        now_ms: u64,
        job_id: &str,
        force: bool,
    ) -> Result<Vec<Message>, ApiError> {
        let _ = (now_ms, job_id, force);
        Ok(Vec::new())
    }

    /// One execution: that number, or the latest.
    #[must_use]
    pub fn execution(
        &self,
        thing: &str,
        job_id: &str,
        number: Option<u64>,
    ) -> Option<ExecutionView> {
        let _ = (thing, job_id, number);
        None
    }

    /// The status of a job, if it exists.
    #[must_use]
    pub fn job_status(&self, job_id: &str) -> Option<JobStatus> {
        self.jobs.get(job_id).map(|job| job.status)
    }
}
