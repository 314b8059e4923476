//! `CreateJob` and `AssociateTargetsWithJob`: checking a job and handing it out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::config_parse::{abort, in_progress_timeout, retry, rollout};
use super::control::put;
use super::errors::ApiError;
use super::queue::Changes;
use super::service::Service;
use super::state::{ExecutionStatus, Job, JobStatus, RetriesUsed, Target, TargetSelection};
use super::validate::{Invalid, Members};

/// Largest job document as stored, in bytes.
const DOCUMENT_MAX: usize = 32_768;
/// Longest description or comment, in characters.
pub(crate) const PROSE_MAX: usize = 2028;
/// Most targets of one request (AWS IoT quotas).
const TARGETS_MAX: usize = 100;
/// Longest target ARN, in characters.
const TARGET_MAX: usize = 2048;
/// Life of presigned URLs, in seconds.
const EXPIRES_DEFAULT_SEC: u64 = 3600;

/// Members of the service model that need services the emulator does not have. Refused, because
/// ignoring them would run another job than the one described.
const NOT_SUPPORTED: [&str; 6] = [
    "documentSource",
    "jobTemplateArn",
    "documentParameters",
    "schedulingConfig",
    "destinationPackageVersions",
    "namespaceId",
];

impl Service {
    pub(crate) fn api_create_job(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let job_id = members.job_id()?;
        if let Some(name) = NOT_SUPPORTED
            .into_iter()
            .find(|name| members.value(name).is_some_and(|value| !is_empty(value)))
        {
            return Err(ApiError::invalid_request(format!(
                "'{name}' is not supported by this emulator; leave it out"
            )));
        }
        let job = self.parse_job(now_ms, members)?;
        if self.jobs.contains_key(job_id) {
            return Err(ApiError::already_exists(format!(
                "Job {job_id} exists already; choose another id or delete it first"
            )));
        }
        let mut body = json!({ "jobArn": self.job_arn(job_id), "jobId": job_id });
        if let Some(body) = body.as_object_mut() {
            put(body, "description", job.description.clone());
        }
        self.jobs.insert(job_id.to_owned(), job);
        self.roll_out(now_ms, job_id, changes);
        Ok(body)
    }

    fn parse_job(&self, now_ms: u64, members: Members<'_>) -> Result<Job, ApiError> {
        let document = self.parse_document(members)?;
        let targets = self.parse_targets(members)?;
        let selection = match members.text("targetSelection")? {
            None | Some("SNAPSHOT") => TargetSelection::Snapshot,
            Some("CONTINUOUS") => TargetSelection::Continuous,
            Some(_) => {
                return Err(ApiError::invalid_request(
                    "'targetSelection' must be SNAPSHOT or CONTINUOUS",
                ));
            }
        };
        let (presigned_role_arn, presigned_expires_sec) = presigned(members)?;
        Ok(Job {
            status: JobStatus::InProgress,
            document,
            description: members.prose("description", PROSE_MAX)?,
            selection,
            waiting: self.things_of(&targets),
            targets,
            in_progress_timeout_minutes: in_progress_timeout(members)?,
            presigned_expires_sec: presigned_expires_sec.unwrap_or(EXPIRES_DEFAULT_SEC),
            presigned_role_arn,
            retry: retry(members)?.unwrap_or_default(),
            abort: abort(members)?.unwrap_or_default(),
            rollout: rollout(members)?,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            completed_at_ms: None,
            reason_code: None,
            comment: None,
            force_canceled: false,
            members: BTreeSet::new(),
            open: 0,
            notified: 0,
            next_rollout_ms: None,
            due_retries: Vec::new(),
            gone_at_ms: None,
        })
    }

    fn parse_document(&self, members: Members<'_>) -> Result<String, ApiError> {
        let document = members.text("document")?.ok_or_else(|| {
            ApiError::invalid_request("'document' is missing; give the job document as text")
        })?;
        if document.len() > DOCUMENT_MAX {
            return Err(ApiError::invalid_request(format!(
                "'document' has {} bytes; at most {DOCUMENT_MAX} are allowed",
                document.len()
            )));
        }
        let value: Value = serde_json::from_str(document).map_err(|error| {
            ApiError::invalid_request(format!("'document' is no JSON: {error}"))
        })?;
        if self.settings.document_objects_only && !value.is_object() {
            return Err(ApiError::invalid_request(
                "'document' must be a JSON object",
            ));
        }
        Ok(document.to_owned())
    }

    fn parse_targets(&self, members: Members<'_>) -> Result<Vec<Target>, ApiError> {
        let list = Members::required("targets", members.list("targets")?)?;
        if list.is_empty() || list.len() > TARGETS_MAX {
            return Err(ApiError::invalid_request(format!(
                "'targets' must have 1 to {TARGETS_MAX} entries"
            )));
        }
        list.iter()
            .map(|target| match target {
                Value::String(arn) if arn.chars().count() <= TARGET_MAX => self.resolve_target(arn),
                _ => Err(ApiError::invalid_request(format!(
                    "every entry of 'targets' must be an ARN of at most {TARGET_MAX} characters"
                ))),
            })
            .collect()
    }

    /// The things of some targets, each once, in order.
    pub(crate) fn things_of(&self, targets: &[Target]) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut things = Vec::new();
        for target in targets {
            let members: Vec<String> = match target {
                Target::Thing(thing) => vec![thing.clone()],
                Target::Group(group) => self
                    .groups
                    .get(group)
                    .into_iter()
                    .flat_map(|g| g.things.clone())
                    .collect(),
            };
            things.extend(
                members
                    .into_iter()
                    .filter(|thing| seen.insert(thing.clone())),
            );
        }
        things
    }

    pub(crate) fn api_associate_targets(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let job_id = members.job_id()?;
        let targets = self.parse_targets(members)?;
        let comment = members.prose("comment", PROSE_MAX)?;
        let things = self.things_of(&targets);
        let job_arn = self.job_arn(job_id);
        let job = self.jobs.get_mut(job_id).ok_or_else(|| no_job(job_id))?;
        if job.selection != TargetSelection::Continuous || job.status != JobStatus::InProgress {
            return Err(ApiError::invalid_request(
                "Targets can be added only to a CONTINUOUS job that is IN_PROGRESS",
            ));
        }
        job.comment = comment.or_else(|| job.comment.take());
        job.updated_at_ms = now_ms;
        for target in targets {
            if !job.targets.contains(&target) {
                job.targets.push(target);
            }
        }
        let mut body = json!({ "jobArn": job_arn, "jobId": job_id });
        if let Some(body) = body.as_object_mut() {
            put(body, "description", job.description.clone());
        }
        for thing in things {
            self.join_job(now_ms, &thing, job_id, changes);
        }
        Ok(body)
    }

    /// Hands a continuous job to a thing that became a target: at once, the roll-out rate is for
    /// the first targets only. A thing that came back starts over with its retries.
    pub(crate) fn join_job(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        changes: &mut Changes,
    ) {
        let waits = self
            .jobs
            .get(job_id)
            .is_some_and(|job| job.waiting.iter().any(|t| t == thing));
        let has_one = self
            .find(thing, job_id, None)
            .is_some_and(|(_, execution)| execution.status != ExecutionStatus::Removed);
        if !waits && !has_one {
            self.queue_execution(now_ms, thing, job_id, RetriesUsed::default(), changes);
        }
    }
}

/// Infrastructure tools send members that they have no value for as `{}` or `[]`; that asks for
/// nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// `presignedUrlConfig`: role and life of the URLs in seconds.
pub(crate) fn presigned(members: Members<'_>) -> Result<(Option<String>, Option<u64>), Invalid> {
    let Some(config) = members.object("presignedUrlConfig")? else {
        return Ok((None, None));
    };
    let role = config.prose("roleArn", 2048)?;
    if role.as_ref().is_some_and(|role| role.len() < 20) {
        return Err(Invalid("'roleArn' must have 20 to 2048 characters".into()));
    }
    Ok((role, config.bounded("expiresInSec", 60, 3600)?))
}

pub(crate) fn no_job(job_id: &str) -> ApiError {
    ApiError::not_found(format!("Job {job_id} does not exist"))
}
