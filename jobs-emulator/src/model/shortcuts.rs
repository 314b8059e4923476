//! Typed short cuts for tests and for users in the same process.

use serde_json::{Map, Value, json};

use super::errors::ApiError;
use super::ops::{ControlOp, Message};
use super::service::Service;
use super::state::{ExecutionView, JobStatus};

impl Service {
    /// Registers a thing. Timers that are due do not fire: nothing but the registry changes.
    ///
    /// # Errors
    /// As `CreateThing`.
    pub fn create_thing(&mut self, now_ms: u64, thing: &str) -> Result<(), ApiError> {
        let params = members([("thingName", json!(thing))]);
        self.answer_control(now_ms, ControlOp::CreateThing, &params)
            .map(|_| ())
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
        let targets: Vec<String> = things.iter().map(|thing| self.thing_arn(thing)).collect();
        let params = members([
            ("jobId", json!(job_id)),
            ("targets", json!(targets)),
            ("document", json!(document.to_string())),
        ]);
        self.messages(now_ms, ControlOp::CreateJob, &params)
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
        let params = members([("jobId", json!(job_id)), ("force", json!(force))]);
        self.messages(now_ms, ControlOp::CancelJob, &params)
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
        let params = members([
            ("thingName", json!(thing)),
            ("jobId", json!(job_id)),
            ("force", json!(force)),
        ]);
        self.messages(now_ms, ControlOp::CancelJobExecution, &params)
    }

    /// Deletes a job and its executions; with `force` also one that is IN_PROGRESS.
    ///
    /// # Errors
    /// As `DeleteJob`.
    pub fn delete_job(
        &mut self,
        now_ms: u64,
        job_id: &str,
        force: bool,
    ) -> Result<Vec<Message>, ApiError> {
        let params = members([("jobId", json!(job_id)), ("force", json!(force))]);
        self.messages(now_ms, ControlOp::DeleteJob, &params)
    }

    /// Deletes a thing; its open executions become REMOVED.
    ///
    /// # Errors
    /// As `DeleteThing`.
    pub fn delete_thing(&mut self, now_ms: u64, thing: &str) -> Result<Vec<Message>, ApiError> {
        let params = members([("thingName", json!(thing))]);
        self.messages(now_ms, ControlOp::DeleteThing, &params)
    }

    /// One execution: that number, or the latest.
    #[must_use]
    pub fn execution(
        &self,
        thing: &str,
        job_id: &str,
        number: Option<u64>,
    ) -> Option<ExecutionView> {
        let (execution_number, execution) = self.find(thing, job_id, number)?;
        Some(ExecutionView {
            thing_name: thing.to_owned(),
            job_id: job_id.to_owned(),
            execution_number,
            status: execution.status,
            status_details: execution.details.clone(),
            version_number: execution.version,
            queued_at_ms: execution.queued_at_ms,
            started_at_ms: execution.started_at_ms,
            last_updated_at_ms: execution.updated_at_ms,
            deadline_ms: execution.deadline_ms(),
            force_canceled: execution.force_canceled,
            retry_attempt: execution.retries_used.total(),
        })
    }

    /// Every execution, by thing, job and number.
    pub fn executions(&self) -> impl Iterator<Item = ExecutionView> + '_ {
        self.executions.iter().flat_map(move |(thing, jobs)| {
            jobs.iter().flat_map(move |(job_id, numbers)| {
                numbers
                    .keys()
                    .filter_map(move |n| self.execution(thing, job_id, Some(*n)))
            })
        })
    }

    /// The status of a job, if it exists.
    #[must_use]
    pub fn job_status(&self, job_id: &str) -> Option<JobStatus> {
        self.jobs.get(job_id).map(|job| job.status)
    }

    fn messages(
        &mut self,
        now_ms: u64,
        op: ControlOp,
        params: &Map<String, Value>,
    ) -> Result<Vec<Message>, ApiError> {
        self.control(now_ms, op, params)
            .map(|(_, messages)| messages)
    }
}

fn members<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
