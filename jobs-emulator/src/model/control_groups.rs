//! Static thing groups, and what membership means for jobs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::control::{epoch, page};
use super::control_create::PROSE_MAX;
use super::control_things::no_thing;
use super::errors::ApiError;
use super::queue::Changes;
use super::service::Service;
use super::state::{Group, JobStatus, Target, TargetSelection};
use super::validate::Members;

impl Service {
    pub(crate) fn api_create_group(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let name = members.group_name()?;
        if members.value("parentGroupName").is_some() {
            return Err(ApiError::invalid_request(
                "'parentGroupName' is not supported by this emulator; groups are flat",
            ));
        }
        let description = match members.object("thingGroupProperties")? {
            None => None,
            Some(properties) => properties.prose("thingGroupDescription", PROSE_MAX)?,
        };
        if let Some(group) = self.groups.get(name) {
            if group.description != description {
                return Err(ApiError::already_exists(format!(
                    "Thing group {name} exists already with other properties"
                )));
            }
        } else {
            let group_id = self.next_uuid();
            let things = BTreeSet::new();
            let group = Group {
                group_id,
                created_at_ms: now_ms,
                description,
                version: 1,
                things,
            };
            self.groups.insert(name.to_owned(), group);
        }
        let group_id = self.groups.get(name).map(|group| group.group_id.clone());
        Ok(json!({
            "thingGroupName": name,
            "thingGroupArn": self.group_arn(name),
            "thingGroupId": group_id,
        }))
    }

    pub(crate) fn api_describe_group(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let name = members.group_name()?;
        let group = self.groups.get(name).ok_or_else(|| no_group(name))?;
        let mut properties = json!({});
        if let Some(description) = &group.description {
            properties["thingGroupDescription"] = json!(description);
        }
        Ok(json!({
            "thingGroupName": name,
            "thingGroupId": group.group_id,
            "thingGroupArn": self.group_arn(name),
            "version": group.version,
            "thingGroupProperties": properties,
            "thingGroupMetadata": { "creationDate": epoch(group.created_at_ms) },
        }))
    }

    pub(crate) fn api_list_groups(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let prefix = members.text("namePrefixFilter")?.unwrap_or("");
        let names = self.groups.keys().filter(|name| name.starts_with(prefix));
        page(
            members,
            "thingGroups",
            names.map(|name| self.group_entry(name)).collect(),
        )
    }

    fn group_entry(&self, name: &str) -> Value {
        json!({ "groupName": name, "groupArn": self.group_arn(name) })
    }

    /// Deletes a group; its members leave it first.
    pub(crate) fn api_delete_group(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let name = members.group_name()?;
        let things = self
            .groups
            .remove(name)
            .map(|group| group.things)
            .unwrap_or_default();
        for thing in things {
            self.left_group(now_ms, &thing, name, changes);
        }
        Ok(json!({}))
    }

    pub(crate) fn api_add_to_group(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let (thing, group) = self.membership(members)?;
        if !self.things.contains_key(&thing) {
            return Err(no_thing(&thing));
        }
        let record = self
            .groups
            .get_mut(&group)
            .ok_or_else(|| no_group(&group))?;
        if record.things.insert(thing.clone()) {
            for job_id in self.jobs_of_group(&group, false) {
                self.join_job(now_ms, &thing, &job_id, changes);
            }
        }
        Ok(json!({}))
    }

    pub(crate) fn api_remove_from_group(
        &mut self,
        now_ms: u64,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Value, ApiError> {
        let (thing, group) = self.membership(members)?;
        let record = self
            .groups
            .get_mut(&group)
            .ok_or_else(|| no_group(&group))?;
        if record.things.remove(&thing) {
            self.left_group(now_ms, &thing, &group, changes);
        }
        Ok(json!({}))
    }

    pub(crate) fn api_list_group_things(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let name = members.group_name()?;
        let group = self.groups.get(name).ok_or_else(|| no_group(name))?;
        page(
            members,
            "things",
            group.things.iter().map(|thing| json!(thing)).collect(),
        )
    }

    pub(crate) fn api_list_thing_groups(&self, members: Members<'_>) -> Result<Value, ApiError> {
        let thing = members.thing_name()?;
        if !self.things.contains_key(thing) {
            return Err(no_thing(thing));
        }
        let groups = self
            .groups
            .iter()
            .filter(|(_, group)| group.things.contains(thing));
        page(
            members,
            "thingGroups",
            groups.map(|(name, _)| self.group_entry(name)).collect(),
        )
    }

    /// Thing and group of a membership request, each by name or by ARN.
    fn membership(&self, members: Members<'_>) -> Result<(String, String), ApiError> {
        let thing = match members.text("thingArn")? {
            Some(arn) => self.resolve_target(arn)?,
            None => Target::Thing(members.thing_name()?.to_owned()),
        };
        let group = match members.text("thingGroupArn")? {
            Some(arn) => self.resolve_target(arn)?,
            None => Target::Group(members.group_name()?.to_owned()),
        };
        match (thing, group) {
            (Target::Thing(thing), Target::Group(group)) => Ok((thing, group)),
            _ => Err(ApiError::invalid_request(
                "A thing and a thing group are needed",
            )),
        }
    }

    /// Running jobs that have the group as a target and follow it.
    fn jobs_of_group(&self, group: &str, for_leaving: bool) -> Vec<String> {
        let target = Target::Group(group.to_owned());
        self.jobs
            .iter()
            .filter(|(_, job)| match job.selection {
                TargetSelection::Continuous => true,
                TargetSelection::Snapshot => for_leaving && self.settings.snapshot_follows_groups,
            })
            .filter(|(_, job)| job.status == JobStatus::InProgress && job.targets.contains(&target))
            .map(|(job_id, _)| job_id.clone())
            .collect()
    }

    /// A thing left a group: it stays in jobs that reach it on another way.
    fn left_group(&mut self, now_ms: u64, thing: &str, group: &str, changes: &mut Changes) {
        for job_id in self.jobs_of_group(group, true) {
            let targets = self.jobs.get(&job_id).map(|job| job.targets.clone());
            let still = self
                .things_of(&targets.unwrap_or_default())
                .iter()
                .any(|t| t == thing);
            if !still {
                self.leave_job(now_ms, thing, &job_id, changes);
            }
        }
    }
}

fn no_group(name: &str) -> ApiError {
    ApiError::not_found(format!("Thing group {name} does not exist"))
}
