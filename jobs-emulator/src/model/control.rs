//! The door of the control plane: which function answers which operation, and what they share.

use serde_json::{Map, Value, json};

use super::errors::ApiError;
use super::ops::{ControlOp, Message};
use super::queue::Changes;
use super::service::Service;
use super::state::Target;
use super::validate::{Members, check_name};

/// Most entries of one page (service model `iot`, `LaserMaxResults`, `RegistryMaxResults`).
const PAGE_MAX: u64 = 250;

impl Service {
    pub(crate) fn answer_control(
        &mut self,
        now_ms: u64,
        op: ControlOp,
        params: &Map<String, Value>,
    ) -> Result<(Value, Vec<Message>), ApiError> {
        let members = Members(params);
        let mut changes = Changes::default();
        let body = self.perform_control(now_ms, op, members, &mut changes)?;
        Ok((body, changes.finish(self, now_ms)))
    }

    fn perform_control(
        &mut self,
        now_ms: u64,
        op: ControlOp,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        match op {
            ControlOp::CreateThing => self.api_create_thing(members),
            ControlOp::DescribeThing => self.api_describe_thing(members),
            ControlOp::ListThings => self.api_list_things(members),
            ControlOp::UpdateThing => self.api_update_thing(members),
            ControlOp::DeleteThing => self.api_delete_thing(now_ms, members, changes),
            ControlOp::CreateThingGroup => self.api_create_group(now_ms, members),
            ControlOp::DescribeThingGroup => self.api_describe_group(members),
            ControlOp::ListThingGroups => self.api_list_groups(members),
            ControlOp::DeleteThingGroup => self.api_delete_group(now_ms, members, changes),
            ControlOp::AddThingToThingGroup => self.api_add_to_group(now_ms, members, changes),
            ControlOp::RemoveThingFromThingGroup => {
                self.api_remove_from_group(now_ms, members, changes)
            }
            ControlOp::ListThingsInThingGroup => self.api_list_group_things(members),
            ControlOp::ListThingGroupsForThing => self.api_list_thing_groups(members),
            ControlOp::CreateJob => self.api_create_job(now_ms, members, changes),
            ControlOp::DescribeJob => self.api_describe_job(members),
            ControlOp::GetJobDocument => self.api_job_document(members),
            ControlOp::ListJobs => self.api_list_jobs(members),
            ControlOp::UpdateJob => self.api_update_job(now_ms, members),
            ControlOp::CancelJob => self.api_cancel_job(now_ms, members, changes),
            ControlOp::DeleteJob => self.api_delete_job(now_ms, members, changes),
            ControlOp::AssociateTargetsWithJob => {
                self.api_associate_targets(now_ms, members, changes)
            }
            ControlOp::DescribeJobExecution => self.api_describe_execution(now_ms, members),
            ControlOp::ListJobExecutionsForJob => self.api_executions_of_job(members),
            ControlOp::ListJobExecutionsForThing => self.api_executions_of_thing(members),
            ControlOp::CancelJobExecution => self.api_cancel_execution(now_ms, members, changes),
            ControlOp::DeleteJobExecution => self.api_delete_execution(now_ms, members, changes),
            ControlOp::DescribeEndpoint => self.api_describe_endpoint(members),
        }
    }

    fn api_describe_endpoint(&self, members: Members<'_>) -> Result<Value, ApiError> {
        match members.text("endpointType")? {
            None | Some("iot:Data" | "iot:Data-ATS" | "iot:CredentialProvider" | "iot:Jobs") => {
                Ok(json!({ "endpointAddress": self.settings.endpoint }))
            }
            Some(other) => Err(ApiError::invalid_request(format!(
                "Endpoint type {other} is not known; use iot:Data-ATS"
            ))),
        }
    }

    pub(crate) fn thing_arn(&self, thing: &str) -> String {
        self.arn("thing", thing)
    }

    pub(crate) fn group_arn(&self, group: &str) -> String {
        self.arn("thinggroup", group)
    }

    pub(crate) fn job_arn(&self, job_id: &str) -> String {
        self.arn("job", job_id)
    }

    pub(crate) fn target_arn(&self, target: &Target) -> String {
        match target {
            Target::Thing(thing) => self.thing_arn(thing),
            Target::Group(group) => self.group_arn(group),
        }
    }

    fn arn(&self, kind: &str, name: &str) -> String {
        let (region, account) = (&self.settings.region, &self.settings.account);
        format!("arn:aws:iot:{region}:{account}:{kind}/{name}")
    }

    /// The thing or group that an ARN names, if it exists here.
    pub(crate) fn resolve_target(&self, arn: &str) -> Result<Target, ApiError> {
        let unknown = || {
            ApiError::not_found(format!(
                "Target {arn} does not exist in this account and region; create it first"
            ))
        };
        if !arn.starts_with("arn:") {
            return Err(ApiError::invalid_request(format!("Target {arn} is no ARN")));
        }
        let resource = arn
            .strip_prefix(&format!(
                "arn:aws:iot:{}:{}:",
                self.settings.region, self.settings.account
            ))
            .ok_or_else(unknown)?;
        match resource.split_once('/') {
            Some(("thing", name)) => {
                check_name("thing", name)?;
                if self.things.contains_key(name) {
                    Ok(Target::Thing(name.to_owned()))
                } else {
                    Err(unknown())
                }
            }
            Some(("thinggroup", name)) => {
                check_name("thinggroup", name)?;
                if self.groups.contains_key(name) {
                    Ok(Target::Group(name.to_owned()))
                } else {
                    Err(unknown())
                }
            }
            _ => Err(ApiError::invalid_request(format!(
                "Target {arn} is neither a thing nor a thing group"
            ))),
        }
    }

    /// An identifier in the form of a UUID, unique within this service.
    pub(crate) fn next_uuid(&mut self) -> String {
        let serial = self.next_serial();
        format!("00000000-0000-4000-8000-{serial:012x}")
    }
}

/// Cuts the page asked for out of a list and wraps it as `{key: [...], "nextToken"?}`.
pub(crate) fn page(members: Members<'_>, key: &str, list: Vec<Value>) -> Result<Value, ApiError> {
    let size = members
        .bounded("maxResults", 1, PAGE_MAX)?
        .unwrap_or(PAGE_MAX);
    let start: usize = match members.text("nextToken")? {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| ApiError::invalid_request("'nextToken' is not of this service"))?,
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let end = start.saturating_add(size);
    let more = end < list.len();
    let items: Vec<Value> = list.into_iter().skip(start).take(size).collect();
    let mut body = json!({ key: items });
    if more {
        body["nextToken"] = json!(end.to_string());
    }
    Ok(body)
}

/// A time of the control plane: epoch seconds with a fraction.
pub(crate) fn epoch(ms: u64) -> Value {
    json!(ms as f64 / 1000.0)
}

/// Adds a member if there is a value.
pub(crate) fn put(body: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(key.to_owned(), value.into());
    }
}
