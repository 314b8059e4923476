//! The registry: as much of it as jobs need.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::control::{page, put};
use super::errors::ApiError;
use super::queue::Changes;
use super::service::Service;
use super::state::{ExecutionStatus, JobStatus, Thing};
use super::validate::{Invalid, Members, is_token};

/// Longest attribute name, in bytes.
const ATTRIBUTE_NAME_MAX: usize = 128;
/// Longest attribute value, in bytes.
const ATTRIBUTE_VALUE_MAX: usize = 800;

impl Service {
    pub(crate) fn api_create_thing(&mut self, members: Members<'_>) -> Result<Value, ApiError> {
        let name = members.thing_name()?;
        let attributes = attributes(members)?.map(|(_, map)| map).unwrap_or_default();
        let type_name = members.text("thingTypeName")?.map(str::to_owned);
        if let Some(thing) = self.things.get(name) {
            // Creating the same thing again is no error on AWS; creating another one is.
            if thing.attributes != attributes || thing.type_name != type_name {
                return Err(ApiError::already_exists(format!(
                    "Thing {name} exists already with other attributes; update or delete it"
                )));
            }
        } else {
            let thing_id = self.next_uuid();
            let thing = Thing {
                thing_id,
                attributes,
                type_name,
                version: 1,
            };
            self.things.insert(name.to_owned(), thing);
        }
        let thing_id = self.things.get(name).map(|thing| thing.thing_id.clone());
        Ok(json!({ "thingName": name, "thingArn": self.thing_arn(name), "thingId": thing_id }))
    }

    pub(crate) fn api_describe_thing(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let name = members.thing_name()?;
        let thing = self.things.get(name).ok_or_else(|| no_thing(name))?;
        let mut body = json!({
            "defaultClientId": name,
            "thingName": name,
            "thingId": thing.thing_id,
            "thingArn": self.thing_arn(name),
            "attributes": thing.attributes,
            "version": thing.version,
        });
        if let Some(body) = body.as_object_mut() {
            put(body, "thingTypeName", thing.type_name.clone());
        }
        Ok(body)
    }

    pub(crate) fn api_list_things(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let type_name = members.text("thingTypeName")?;
        let attribute = members.text("attributeName")?;
        let value = members.text("attributeValue")?;
        let list = self
            .things
            .iter()
            .filter(|(_, thing)| type_name.is_none_or(|t| thing.type_name.as_deref() == Some(t)))
            .filter(|(_, thing)| {
                attribute.is_none_or(|name| {
                    let found = thing.attributes.get(name);
                    found.is_some_and(|found| value.is_none_or(|value| value == found))
                })
            })
            .map(|(name, thing)| {
                let mut body = json!({
                    "thingName": name,
                    "thingArn": self.thing_arn(name),
                    "attributes": thing.attributes,
                    "version": thing.version,
                });
                if let Some(body) = body.as_object_mut() {
                    put(body, "thingTypeName", thing.type_name.clone());
                }
                body
            })
            .collect();
        page(members, "things", list)
    }

    pub(crate) fn api_update_thing(&mut self, members: Members<'_>) -> Result<Value, ApiError> {
        let name = members.thing_name()?;
        let new = attributes(members)?;
        let type_name = members.text("thingTypeName")?.map(str::to_owned);
        let remove_type = members.boolean("removeThingType")?.unwrap_or(false);
        self.check_thing_version(name, members)?;
        let thing = self.things.get_mut(name).ok_or_else(|| no_thing(name))?;
        if let Some((merge, map)) = new {
            if !merge {
                thing.attributes.clear();
            }
            thing.attributes.extend(map);
            // An empty value removes the attribute (service model, `AttributePayload`).
            thing.attributes.retain(|_, value| !value.is_empty());
        }
        thing.type_name = if remove_type {
            None
        } else {
            type_name.or_else(|| thing.type_name.take())
        };
        thing.version = thing.version.saturating_add(1);
        Ok(json!({}))
    }

    /// Deletes a thing: it leaves its groups, and its open executions become REMOVED. A thing
    /// that does not exist counts as deleted, as on AWS.
    pub(crate) fn api_delete_thing(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let name = members.thing_name()?;
        self.check_thing_version(name, members)?;
        if self.things.remove(name).is_none() {
            return Ok(json!({}));
        }
        for group in self.groups.values_mut() {
            group.things.remove(name);
        }
        let jobs: Vec<String> = self.jobs.keys().cloned().collect();
        for job_id in jobs {
            self.leave_job(now_ms, name, &job_id, changes);
        }
        Ok(json!({}))
    }

    fn check_thing_version(&self, name: &str, members: Members<'_>) -> Result<(), ApiError> {
        let expected = members.integer("expectedVersion")?;
        match (self.things.get(name), expected) {
            (Some(thing), Some(expected)) if u64::try_from(expected) != Ok(thing.version) => {
                Err(ApiError::version_conflict(format!(
                    "Expected version {expected} but found version {}",
                    thing.version
                )))
            }
            _ => Ok(()),
        }
    }

    /// A thing is no target of a job any more: what is open becomes REMOVED, what waits is dropped.
    pub(crate) fn leave_job(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        changes: &mut Changes,
    ) {
        let Some(job) = self.jobs.get_mut(job_id) else {
            return;
        };
        job.waiting.retain(|waiting| waiting != thing);
        if job.waiting.is_empty() {
            job.next_rollout_ms = None;
        }
        job.due_retries.retain(|retry| retry.thing != thing);
        let running = job.status == JobStatus::InProgress;
        let open = self
            .find(thing, job_id, None)
            .filter(|(_, e)| !e.status.is_terminal());
        if let Some((number, _)) = open {
            let id = (job_id, number);
            self.end_execution(now_ms, thing, id, ExecutionStatus::Removed, false, changes);
        } else if running {
            self.check_completed(now_ms, job_id, changes);
        }
    }
}

/// `attributePayload`: whether to merge, and the attributes.
type Attributes = (bool, BTreeMap<String, String>);

fn attributes(members: Members<'_>) -> Result<Option<Attributes>, Invalid> {
    let Some(payload) = members.object("attributePayload")? else {
        return Ok(None);
    };
    let merge = payload.boolean("merge")?.unwrap_or(false);
    let mut attributes = BTreeMap::new();
    if let Some(map) = payload.object("attributes")? {
        for (name, value) in map.0 {
            let Value::String(value) = value else {
                return Err(Invalid(format!("attribute '{name}' must be a string")));
            };
            let value_fits = value.len() <= ATTRIBUTE_VALUE_MAX
                && value
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.,@/:#-=[]".contains(c));
            if !is_token(name, ATTRIBUTE_NAME_MAX, "_.,@/:#-") || !value_fits {
                return Err(Invalid(format!(
                    "attribute '{name}' has a name or value with characters or a length that is \
                     not allowed"
                )));
            }
            attributes.insert(name.clone(), value.clone());
        }
    }
    Ok(Some((merge, attributes)))
}

pub(crate) fn no_thing(name: &str) -> ApiError {
    ApiError::not_found(format!("Thing {name} does not exist"))
}
