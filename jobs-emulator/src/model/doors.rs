//! The two doors of the data plane: MQTT topics and HTTPS.

use serde_json::{Map, Value};

use super::errors::{ApiError, DeviceErrorCode, Rejection};
use super::ops::{Audience, DataOp, Message};
use super::queue::Changes;
use super::request::{DescribeRequest, StartRequest, UpdateRequest, client_token, parse_payload};
use super::service::Service;
use super::settings::UnknownTopic;
use super::topic::{Api, JobRef, parse};
use super::validate::{Members, check_name};
use super::wire::{Form, Object, Reply, seconds, state_json};

impl Service {
    pub(crate) fn answer_publish(
        &mut self,
        now_ms: u64,
        topic: &str,
        payload: &[u8],
    ) -> Vec<Message> {
        let Some((thing, api)) = parse(topic) else {
            return Vec::new();
        };
        if api == Api::Unknown && self.settings.unknown_topic == UnknownTopic::Silent {
            return Vec::new();
        }
        let mut changes = Changes::default();
        let mut token = None;
        let result = self.perform(now_ms, thing, api, payload, &mut token, &mut changes);
        let head = Object::new()
            .text_if("clientToken", token.as_deref())
            .number("timestamp", seconds(now_ms));
        let (suffix, body) = match result {
            Ok(mut reply) => {
                if !self.settings.thing_name_over_mqtt {
                    reply.forget_thing();
                }
                ("accepted", reply.write(head, Form::Mqtt))
            }
            Err(rejection) => ("rejected", rejected(now_ms, token.as_deref(), &rejection)),
        };
        let reply = Message {
            audience: Audience::Requester,
            topic: format!("{topic}/{suffix}"),
            payload: body.finish().into_bytes(),
        };
        let mut messages = vec![reply];
        messages.extend(changes.finish(self, now_ms));
        messages
    }

    fn perform(
        &mut self,
        now_ms: u64,
        thing: &str,
        api: Api<'_>,
        payload: &[u8],
        token: &mut Option<String>,
        changes: &mut Changes,
    ) -> Result<Reply, Rejection> {
        let object = parse_payload(&self.settings, payload);
        if api == Api::Unknown {
            // The topic is at fault before the payload is; the token helps if there is one.
            *token = object.ok().and_then(|object| {
                client_token(&self.settings, Members(&object))
                    .ok()
                    .flatten()
            });
            return Err(Rejection::new(
                DeviceErrorCode::InvalidTopic,
                "No operation of AWS IoT Jobs has this topic",
            ));
        }
        let object = object?;
        let members = Members(&object);
        *token = client_token(&self.settings, members)?;
        check_name("thingName", thing)?;
        self.injected_fault()?;
        match api {
            Api::GetPending => self.get_pending(thing),
            Api::StartNext => {
                let request = StartRequest::parse(&self.settings, members)?;
                self.start_next(now_ms, thing, request, changes)
            }
            Api::Describe(job) => {
                self.describe(now_ms, thing, job, &DescribeRequest::parse(members)?)
            }
            Api::Update(job_id) => {
                let request = UpdateRequest::parse(&self.settings, members)?;
                self.update(now_ms, thing, job_id, request, changes)
            }
            Api::Unknown => Err(Rejection::new(
                DeviceErrorCode::InvalidTopic,
                "Unknown topic",
            )),
        }
    }

    pub(crate) fn answer_http(
        &mut self,
        now_ms: u64,
        op: DataOp,
        params: &Map<String, Value>,
    ) -> Result<(Value, Vec<Message>), ApiError> {
        let mut changes = Changes::default();
        let reply = self
            .perform_http(now_ms, op, Members(params), &mut changes)
            .map_err(Rejection::into_api_error)?;
        let text = reply.write(Object::new(), Form::Http).finish();
        // The text is our own; only a failing allocation could make this fail.
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok((body, changes.finish(self, now_ms)))
    }

    fn perform_http(
        &mut self,
        now_ms: u64,
        op: DataOp,
        members: Members<'_>,
        changes: &mut Changes,
    ) -> Result<Reply, Rejection> {
        let thing = members.thing_name()?;
        self.injected_fault()?;
        match op {
            DataOp::GetPendingJobExecutions => self.get_pending(thing),
            DataOp::StartNextPendingJobExecution => {
                let request = StartRequest::parse(&self.settings, members)?;
                self.start_next(now_ms, thing, request, changes)
            }
            DataOp::DescribeJobExecution => {
                let job = Members::required("jobId", members.text("jobId")?)?;
                let request = DescribeRequest::parse(members)?;
                self.describe(now_ms, thing, JobRef::parse(job), &request)
            }
            DataOp::UpdateJobExecution => {
                let job_id = members.job_id()?;
                let request = UpdateRequest::parse(&self.settings, members)?;
                self.update(now_ms, thing, job_id, request, changes)
            }
        }
    }
}

/// Body of a refusal.
///
/// Source: AWS IoT developer guide, jobs-api, "ErrorResponse".
fn rejected(now_ms: u64, token: Option<&str>, rejection: &Rejection) -> Object {
    Object::new()
        .text("code", rejection.code.as_str())
        .text("message", &rejection.message)
        .text_if("clientToken", token)
        .number("timestamp", seconds(now_ms))
        .json_if(
            "executionState",
            rejection.state.as_ref().map(|s| state_json(s)).as_deref(),
        )
}

impl Reply {
    fn forget_thing(&mut self) {
        match self {
            Self::Execution(Some(detail)) => detail.thing = None,
            Self::Execution(None) | Self::Pending { .. } | Self::Updated { .. } => {}
        }
    }
}
