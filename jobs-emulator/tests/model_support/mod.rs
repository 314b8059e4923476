//! What the model tests share: a device and a back end that speak plain JSON.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use jobs_emulator::model::{
    ApiError, Audience, ControlOp, DataOp, ExecutionStatus, ExecutionView, Message, Service,
    Settings,
};
use serde_json::{Map, Value, json};

/// The thing of most tests.
pub(crate) const THING: &str = "MyThing";
/// A time with a fraction of a second, in ms.
pub(crate) const T0: u64 = 1_700_000_000_250;
/// Milliseconds.
pub(crate) const MINUTE: u64 = 60_000;

/// A service with the given things.
pub(crate) fn service_with(settings: Settings, things: &[&str]) -> Service {
    let mut service = Service::new(settings);
    for thing in things {
        service.create_thing(T0, thing).expect("a fresh thing");
    }
    service
}

/// A service with [`THING`].
pub(crate) fn service() -> Service {
    service_with(Settings::default(), &[THING])
}

/// The members of an object.
pub(crate) fn map(value: &Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

/// A fixture of this crate.
pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).expect("fixtures are JSON")
}

/// The payload of a message.
pub(crate) fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).expect("messages are JSON")
}

/// What one request of a device caused.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Message,
    pub(crate) rest: Vec<Message>,
}

impl Answer {
    pub(crate) fn accepted(&self) -> Value {
        assert!(self.reply.topic.ends_with("/accepted"), "{self:?}");
        body(&self.reply)
    }

    pub(crate) fn rejected(&self) -> Value {
        assert!(self.reply.topic.ends_with("/rejected"), "{self:?}");
        body(&self.reply)
    }

    pub(crate) fn code(&self) -> String {
        self.rejected()["code"].as_str().expect("a code").to_owned()
    }

    pub(crate) fn notify(&self) -> Option<Value> {
        notify(&self.rest)
    }

    pub(crate) fn notify_next(&self) -> Option<Value> {
        notify_next(&self.rest)
    }
}

/// Publishes for [`THING`]; `api` is what follows `jobs/`.
pub(crate) fn ask(service: &mut Service, now_ms: u64, api: &str, payload: &Value) -> Answer {
    ask_raw(service, now_ms, api, payload.to_string().as_bytes())
}

pub(crate) fn ask_raw(service: &mut Service, now_ms: u64, api: &str, payload: &[u8]) -> Answer {
    let topic = format!("$aws/things/{THING}/jobs/{api}");
    let mut messages = service.publish(now_ms, &topic, payload);
    assert_eq!(messages[0].audience, Audience::Requester);
    let reply = messages.remove(0);
    assert!(
        reply.topic.starts_with(&topic),
        "{} answers {topic}",
        reply.topic
    );
    assert!(
        messages
            .iter()
            .all(|message| message.audience == Audience::Subscribers)
    );
    Answer {
        reply,
        rest: messages,
    }
}

fn only(messages: &[Message], suffix: &str) -> Option<Value> {
    let found: Vec<&Message> = messages
        .iter()
        .filter(|m| m.topic.ends_with(suffix))
        .collect();
    assert!(found.len() <= 1, "{suffix} twice: {messages:?}");
    found.first().map(|message| body(message))
}

pub(crate) fn notify(messages: &[Message]) -> Option<Value> {
    only(messages, "/jobs/notify")
}

pub(crate) fn notify_next(messages: &[Message]) -> Option<Value> {
    only(messages, "/jobs/notify-next")
}

pub(crate) fn create(service: &mut Service, now_ms: u64, job_id: &str) -> Vec<Message> {
    service
        .create_job(now_ms, job_id, &[THING], &json!({"operation": "test"}))
        .expect("a job")
}

/// Creates a job for [`THING`] with more members.
pub(crate) fn create_with(
    service: &mut Service,
    now_ms: u64,
    job_id: &str,
    more: &Value,
) -> Vec<Message> {
    let mut params = map(&json!({
        "jobId": job_id,
        "targets": [arn("thing", THING)],
        "document": "{\"operation\":\"test\"}",
    }));
    params.extend(map(more));
    service
        .control(now_ms, ControlOp::CreateJob, &params)
        .expect("a job")
        .1
}

pub(crate) fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:iot:us-east-1:123456789012:{kind}/{name}")
}

pub(crate) fn control(
    service: &mut Service,
    now_ms: u64,
    op: ControlOp,
    params: &Value,
) -> Result<(Value, Vec<Message>), ApiError> {
    service.control(now_ms, op, &map(params))
}

pub(crate) fn http(
    service: &mut Service,
    now_ms: u64,
    op: DataOp,
    params: &Value,
) -> Result<Value, ApiError> {
    service
        .data_http(now_ms, op, &map(params))
        .map(|(body, _)| body)
}

pub(crate) fn view(service: &Service, job_id: &str) -> ExecutionView {
    service
        .execution(THING, job_id, None)
        .expect("an execution")
}

pub(crate) fn status(service: &Service, job_id: &str) -> ExecutionStatus {
    view(service, job_id).status
}

pub(crate) fn set(service: &mut Service, now_ms: u64, job_id: &str, status: &str) -> Answer {
    ask(
        service,
        now_ms,
        &format!("{job_id}/update"),
        &json!({"status": status}),
    )
}
