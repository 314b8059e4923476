//! Control-plane operations on single executions.

use serde_json::{Map, Value, json};

use super::control::{epoch, page, put};
use super::control_create::no_job;
use super::errors::ApiError;
use super::queue::Changes;
use super::service::Service;
use super::state::{Execution, ExecutionStatus};
use super::validate::{Invalid, Members};

impl Service {
    pub(crate) fn api_describe_execution(
        &self,
        now_ms: u64,
        members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let (thing, job_id) = (members.thing_name()?, members.job_id()?);
        let (number, execution) = self.required_execution(thing, job_id, members)?;
        let mut body = execution_times(execution);
        body.insert("jobId".into(), json!(job_id));
        body.insert("thingArn".into(), json!(self.thing_arn(thing)));
        body.insert("executionNumber".into(), json!(number));
        body.insert("versionNumber".into(), json!(execution.version));
        if execution.status == ExecutionStatus::Canceled {
            body.insert("forceCanceled".into(), json!(execution.force_canceled));
        }
        if let Some(details) = &execution.details {
            // Nested here, flat on the device plane.
            body.insert("statusDetails".into(), json!({ "detailsMap": details }));
        }
        let remaining = execution
            .deadline_ms()
            .map(|at| at.saturating_sub(now_ms) / 1000);
        put(&mut body, "approximateSecondsBeforeTimedOut", remaining);
        Ok(json!({ "execution": body }))
    }

    /// The execution that `executionNumber` names, or the latest.
    fn required_execution(
        &self,
        thing: &str,
        job_id: &str,
        members: Members<'_>,
    ) -> Result<(u64, &Execution), ApiError> {
        let absent = || {
            ApiError::not_found(format!(
                "Job {job_id} has no such execution on thing {thing}"
            ))
        };
        let number = match members.integer("executionNumber")? {
            None => None,
            Some(number) => Some(u64::try_from(number).map_err(|_| absent())?),
        };
        self.find(thing, job_id, number).ok_or_else(absent)
    }

    pub(crate) fn api_executions_of_job(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let job_id = members.job_id()?;
        let status = status_filter(members)?;
        let job = self.jobs.get(job_id).ok_or_else(|| no_job(job_id))?;
        let list = job
            .members
            .iter()
            .flat_map(|thing| self.numbers(thing, job_id).map(move |found| (thing, found)))
            .filter(|(_, (_, execution))| status.is_none_or(|s| s == execution.status))
            .map(|(thing, (number, execution))| {
                json!({
                    "thingArn": self.thing_arn(thing),
                    "jobExecutionSummary": summary(number, execution),
                })
            })
            .collect();
        page(members, "executionSummaries", list)
    }

    pub(crate) fn api_executions_of_thing(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let thing = members.thing_name()?;
        let status = status_filter(members)?;
        let wanted_job = members.text("jobId")?;
        let jobs = self.executions.get(thing);
        if jobs.is_none() && !self.things.contains_key(thing) {
            return Err(ApiError::not_found(format!("Thing {thing} does not exist")));
        }
        let list = jobs
            .into_iter()
            .flat_map(|jobs| jobs.keys())
            .filter(|job_id| wanted_job.is_none_or(|wanted| wanted == job_id.as_str()))
            .flat_map(|job_id| self.numbers(thing, job_id).map(move |found| (job_id, found)))
            .filter(|(_, (_, execution))| status.is_none_or(|s| s == execution.status))
            .map(|(job_id, (number, execution))| {
                json!({ "jobId": job_id, "jobExecutionSummary": summary(number, execution) })
            })
            .collect();
        page(members, "executionSummaries", list)
    }

    /// All executions of a job on a thing, latest first.
    fn numbers(&self, thing: &str, job_id: &str) -> impl Iterator<Item = (u64, &Execution)> {
        self.executions
            .get(thing)
            .and_then(|jobs| jobs.get(job_id))
            .into_iter()
            .flat_map(|numbers| numbers.iter().rev())
            .map(|(number, execution)| (*number, execution))
    }

    pub(crate) fn api_cancel_execution(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let (thing, job_id) = (members.thing_name()?, members.job_id()?);
        let force = members.boolean("force")?.unwrap_or(false);
        let expected = members.integer("expectedVersion")?;
        let details = members.status_details(self.settings.status_details_max_pairs)?;
        let (number, execution) = self.required_execution(thing, job_id, Members(&Map::new()))?;
        if let Some(expected) = expected.filter(|e| u64::try_from(*e) != Ok(execution.version)) {
            return Err(ApiError::version_conflict(format!(
                "Expected version {expected} but found version {}",
                execution.version
            )));
        }
        let allowed = match execution.status {
            ExecutionStatus::Queued => true,
            ExecutionStatus::InProgress => force,
            ExecutionStatus::Succeeded
            | ExecutionStatus::Failed
            | ExecutionStatus::TimedOut
            | ExecutionStatus::Rejected
            | ExecutionStatus::Removed
            | ExecutionStatus::Canceled => false,
        };
        if !allowed {
            return Err(ApiError::invalid_state(format!(
                "The execution is {}; {}",
                execution.status.as_str(),
                if execution.status.is_terminal() {
                    "it is over"
                } else {
                    "cancel with force"
                }
            )));
        }
        changes.touch(self, thing);
        if let Some(execution) = self
            .find_mut(thing, job_id, number)
            .filter(|_| details.is_some())
        {
            execution.details = details;
        }
        let id = (job_id, number);
        self.end_execution(now_ms, thing, id, ExecutionStatus::Canceled, force, changes);
        Ok(json!({}))
    }

    pub(crate) fn api_delete_execution(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let (thing, job_id) = (members.thing_name()?, members.job_id()?);
        let force = members.boolean("force")?.unwrap_or(false);
        Members::required("executionNumber", members.value("executionNumber"))?;
        let (number, execution) = self.required_execution(thing, job_id, members)?;
        if !execution.status.is_terminal() && !force {
            return Err(ApiError::invalid_state(format!(
                "The execution is {}; delete with force",
                execution.status.as_str()
            )));
        }
        let open = !execution.status.is_terminal();
        changes.touch(self, thing);
        let mut last = false;
        if let Some(numbers) = self
            .executions
            .get_mut(thing)
            .and_then(|jobs| jobs.get_mut(job_id))
        {
            numbers.remove(&number);
            last = numbers.is_empty();
        }
        if last {
            self.drop_executions(thing, job_id);
        }
        if let Some(job) = self.jobs.get_mut(job_id) {
            if last {
                job.members.remove(thing);
            }
            if open {
                job.open = job.open.saturating_sub(1);
            }
        }
        self.check_completed(now_ms, job_id, changes);
        Ok(json!({}))
    }
}

fn status_filter(members: Members<'_>) -> Result<Option<ExecutionStatus>, Invalid> {
    match members.text("status")? {
        None => Ok(None),
        Some(name) => ExecutionStatus::from_name(name)
            .map(Some)
            .ok_or_else(|| Invalid(format!("'{name}' is no status of a job execution"))),
    }
}

fn execution_times(execution: &Execution) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("status".into(), json!(execution.status.as_str()));
    body.insert("queuedAt".into(), epoch(execution.queued_at_ms));
    put(&mut body, "startedAt", execution.started_at_ms.map(epoch));
    body.insert("lastUpdatedAt".into(), epoch(execution.updated_at_ms));
    body
}

fn summary(number: u64, execution: &Execution) -> Value {
    let mut body = execution_times(execution);
    body.insert("executionNumber".into(), json!(number));
    body.insert("retryAttempt".into(), json!(execution.retries_used.total()));
    Value::Object(body)
}
