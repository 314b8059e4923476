//! Control-plane operations on jobs that exist.

use serde_json::{Map, Value, json};

use super::config_parse::{
    abort, abort_json, in_progress_timeout, retry, retry_json, rollout, rollout_json,
};
use super::control::{epoch, page, put};
use super::control_create::{PROSE_MAX, no_job, presigned};
use super::errors::ApiError;
use super::queue::Changes;
use super::service::Service;
use super::state::{ExecutionStatus, Job, JobStatus, Target};
use super::validate::{Invalid, Members};

/// Longest reason code, in characters.
const REASON_CODE_MAX: usize = 128;
/// Most jobs in deletion at once (AWS IoT quotas).
const DELETIONS_MAX: usize = 10;

impl Service {
    pub(crate) fn api_describe_job(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let job_id = members.job_id()?;
        let job = self.jobs.get(job_id).ok_or_else(|| no_job(job_id))?;
        Ok(json!({ "job": self.job_json(job_id, job) }))
    }

    fn job_json(&self, job_id: &str, job: &Job) -> Value {
        let mut body = self.job_summary(job_id, job);
        let targets: Vec<String> = job.targets.iter().map(|t| self.target_arn(t)).collect();
        body.insert("targets".into(), json!(targets));
        body.insert("jobProcessDetails".into(), self.process_details(job_id));
        put(&mut body, "description", job.description.clone());
        put(&mut body, "reasonCode", job.reason_code.clone());
        put(&mut body, "comment", job.comment.clone());
        if job.status == JobStatus::Canceled {
            body.insert("forceCanceled".into(), json!(job.force_canceled));
        }
        if let Some(minutes) = job.in_progress_timeout_minutes {
            body.insert(
                "timeoutConfig".into(),
                json!({ "inProgressTimeoutInMinutes": minutes }),
            );
        }
        if let Some(role) = &job.presigned_role_arn {
            body.insert(
                "presignedUrlConfig".into(),
                json!({ "roleArn": role, "expiresInSec": job.presigned_expires_sec }),
            );
        }
        put(
            &mut body,
            "jobExecutionsRolloutConfig",
            job.rollout.as_ref().map(rollout_json),
        );
        if !job.abort.is_empty() {
            body.insert("abortConfig".into(), abort_json(&job.abort));
        }
        if !job.retry.is_empty() {
            body.insert("jobExecutionsRetryConfig".into(), retry_json(&job.retry));
        }
        Value::Object(body)
    }

    fn job_summary(&self, job_id: &str, job: &Job) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("jobArn".into(), json!(self.job_arn(job_id)));
        body.insert("jobId".into(), json!(job_id));
        body.insert("targetSelection".into(), json!(job.selection.as_str()));
        body.insert("status".into(), json!(job.status.as_str()));
        body.insert("createdAt".into(), epoch(job.created_at_ms));
        body.insert("lastUpdatedAt".into(), epoch(job.updated_at_ms));
        put(&mut body, "completedAt", job.completed_at_ms.map(epoch));
        body.insert("isConcurrent".into(), json!(!job.waiting.is_empty()));
        body
    }

    /// How many things stand where, by their latest execution.
    pub(crate) fn process_details(&self, job_id: &str) -> Value {
        let count = |status| json!(self.count_latest(job_id, &[status]));
        json!({
            "numberOfQueuedThings": count(ExecutionStatus::Queued),
            "numberOfInProgressThings": count(ExecutionStatus::InProgress),
            "numberOfSucceededThings": count(ExecutionStatus::Succeeded),
            "numberOfFailedThings": count(ExecutionStatus::Failed),
            "numberOfTimedOutThings": count(ExecutionStatus::TimedOut),
            "numberOfRejectedThings": count(ExecutionStatus::Rejected),
            "numberOfRemovedThings": count(ExecutionStatus::Removed),
            "numberOfCanceledThings": count(ExecutionStatus::Canceled),
        })
    }

    pub(crate) fn api_job_document(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let job_id = members.job_id()?;
        let job = self.jobs.get(job_id).ok_or_else(|| no_job(job_id))?;
        Ok(json!({ "document": job.document }))
    }

    pub(crate) fn api_list_jobs(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let status = one_of(members, "status", &JobStatus::NAMES)?;
        let selection = one_of(members, "targetSelection", &["CONTINUOUS", "SNAPSHOT"])?;
        let group = self.group_filter(members)?;
        let mut jobs: Vec<(&String, &Job)> = self
            .jobs
            .iter()
            .filter(|(_, job)| status.is_none_or(|status| status == job.status.as_str()))
            .filter(|(_, job)| selection.is_none_or(|s| s == job.selection.as_str()))
            .filter(|(_, job)| group.as_ref().is_none_or(|g| job.targets.contains(g)))
            .collect();
        // Newest first, as the console and the CLI show them.
        jobs.sort_by_key(|(_, job)| std::cmp::Reverse(job.created_at_ms));
        let list = jobs
            .into_iter()
            .map(|(id, job)| Value::Object(self.job_summary(id, job)))
            .collect();
        page(members, "jobs", list)
    }

    /// The group that listed jobs must have as a target, by its name or its id.
    fn group_filter(&self, members: Members<'_>) -> Result<Option<Target>, ApiError> {
        let (name, id) = (
            members.text("thingGroupName")?,
            members.text("thingGroupId")?,
        );
        if name.is_none() && id.is_none() {
            return Ok(None);
        }
        let found = self.groups.iter().find(|(group, kept)| {
            name.is_none_or(|name| name == group.as_str())
                && id.is_none_or(|id| id == kept.group_id)
        });
        match found {
            Some((group, _)) => Ok(Some(Target::Group(group.clone()))),
            None => Err(ApiError::not_found("This thing group does not exist")),
        }
    }

    pub(crate) fn api_update_job(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let job_id = members.job_id()?;
        let description = members.prose("description", PROSE_MAX)?;
        let (role, expires) = presigned(members)?;
        let (timeout, retry) = (in_progress_timeout(members)?, retry(members)?);
        let (abort, rollout) = (abort(members)?, rollout(members)?);
        let job = self.jobs.get_mut(job_id).ok_or_else(|| no_job(job_id))?;
        if job.status != JobStatus::InProgress {
            return Err(ApiError::invalid_request(format!(
                "Job {job_id} is {}; only a job that is IN_PROGRESS can change",
                job.status.as_str()
            )));
        }
        job.description = description.or_else(|| job.description.take());
        job.presigned_role_arn = role.or_else(|| job.presigned_role_arn.take());
        job.presigned_expires_sec = expires.unwrap_or(job.presigned_expires_sec);
        // Counts for executions that become IN_PROGRESS later; running timers stay.
        job.in_progress_timeout_minutes = timeout.or(job.in_progress_timeout_minutes);
        job.rollout = rollout.or(job.rollout);
        if let Some(retry) = retry {
            job.retry = retry;
        }
        if let Some(abort) = abort {
            job.abort = abort;
        }
        job.updated_at_ms = now_ms;
        Ok(json!({}))
    }

    pub(crate) fn api_cancel_job(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let job_id = members.job_id()?;
        let force = members.boolean("force")?.unwrap_or(false);
        let reason_code = reason_code(members)?;
        let comment = members.prose("comment", PROSE_MAX)?;
        let job_arn = self.job_arn(job_id);
        let job = self.jobs.get_mut(job_id).ok_or_else(|| no_job(job_id))?;
        // A second cancel makes sense only to reach the executions that the first one left running.
        let allowed = match job.status {
            JobStatus::InProgress => true,
            JobStatus::Canceled => force && !job.force_canceled,
            JobStatus::Completed | JobStatus::DeletionInProgress => false,
        };
        if !allowed {
            return Err(ApiError::invalid_request(format!(
                "Job {job_id} is {} and cannot be canceled",
                job.status.as_str()
            )));
        }
        job.reason_code = reason_code.or_else(|| job.reason_code.take());
        job.comment = comment.or_else(|| job.comment.take());
        let mut body = json!({ "jobArn": job_arn, "jobId": job_id });
        if let Some(body) = body.as_object_mut() {
            put(body, "description", job.description.clone());
        }
        self.stop_job(now_ms, job_id, force, changes);
        Ok(body)
    }

    pub(crate) fn api_delete_job(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let job_id = members.job_id()?;
        let force = members.boolean("force")?.unwrap_or(false);
        let deleting = self
            .jobs
            .values()
            .filter(|j| j.status == JobStatus::DeletionInProgress)
            .count();
        let deletion_ms = self.settings.deletion_ms;
        let job = self.jobs.get_mut(job_id).ok_or_else(|| no_job(job_id))?;
        match job.status {
            JobStatus::Completed | JobStatus::Canceled => {}
            JobStatus::InProgress if force => {}
            JobStatus::InProgress => {
                return Err(ApiError::invalid_state(format!(
                    "Job {job_id} is IN_PROGRESS; cancel it first or delete with force"
                )));
            }
            JobStatus::DeletionInProgress => {
                return Err(ApiError::invalid_state(format!(
                    "Job {job_id} is being deleted"
                )));
            }
        }
        if deleting >= DELETIONS_MAX {
            return Err(ApiError::limit_exceeded(format!(
                "{DELETIONS_MAX} jobs are being deleted; wait for one to be gone"
            )));
        }
        job.status = JobStatus::DeletionInProgress;
        job.updated_at_ms = now_ms;
        job.waiting.clear();
        job.next_rollout_ms = None;
        job.due_retries.clear();
        let things = std::mem::take(&mut job.members);
        self.job_event(now_ms, job_id, "deletion_in_progress", changes);
        for thing in things {
            changes.touch(self, &thing);
            self.drop_executions(&thing, job_id);
        }
        if deletion_ms == 0 {
            self.job_event(now_ms, job_id, "deleted", changes);
            self.jobs.remove(job_id);
        } else if let Some(job) = self.jobs.get_mut(job_id) {
            job.gone_at_ms = Some(now_ms.saturating_add(deletion_ms));
        }
        Ok(json!({}))
    }

    pub(crate) fn drop_executions(&mut self, thing: &str, job_id: &str) {
        if let Some(jobs) = self.executions.get_mut(thing) {
            jobs.remove(job_id);
            if jobs.is_empty() {
                self.executions.remove(thing);
            }
        }
    }
}

/// A filter whose values are known: another one would match nothing, and hide a slip of the pen.
fn one_of<'a>(members: Members<'a>, key: &str, names: &[&str]) -> Result<Option<&'a str>, Invalid> {
    match members.text(key)? {
        Some(name) if !names.contains(&name) => {
            let names = names.join(", ");
            Err(Invalid(format!("'{key}' must be one of {names}")))
        }
        name => Ok(name),
    }
}

/// `reasonCode`: upper-case letters, digits and underscores.
fn reason_code(members: Members<'_>) -> Result<Option<String>, Invalid> {
    let code = members.prose("reasonCode", REASON_CODE_MAX)?;
    let valid = |c: char| c.is_uppercase() || c.is_ascii_digit() || c == '_';
    match code {
        Some(code) if code.is_empty() || !code.chars().all(valid) => Err(Invalid(
            "'reasonCode' may hold upper-case letters, digits and _ only".into(),
        )),
        code => Ok(code),
    }
}
