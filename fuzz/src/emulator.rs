//! The emulator's model: whatever is asked of it, it answers without a panic, the same twice; it keeps
//! its state over serialisation; and what it sends, the agent's decoders read.

use jobs_emulator::model::{ControlOp, DataOp, Fault, Message, Service, Settings};
use jobs_proto::{
    ThingName, decode,
    topic::{InboundTopic, Reply},
};
use serde_json::{Map, Value, json};

use crate::input::Input;

const THINGS: [&str; 2] = ["a", "b"];
const JOB_IDS: [&str; 3] = ["j", "k", "get"];

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut service, mut twin) = (prepared(), prepared());
    let mut now_ms = 1_700_000_000_000;
    while !input.is_empty() {
        now_ms += 1 << input.below(24);
        let mut again = input.clone();
        let said = operate(&mut service, now_ms, &mut input);
        let said_again = operate(&mut twin, now_ms, &mut again);
        assert_eq!(said, said_again, "the same question, two answers");
        said.iter().for_each(read_by_the_agent);
    }
    assert_eq!(service, twin);
    let kept = serde_json::to_string(&service).expect("a service is plain data");
    let restored: Service = serde_json::from_str(&kept).expect("what was kept is read");
    assert_eq!(restored, service);
}

fn prepared() -> Service {
    let mut service = Service::new(Settings::default());
    for thing in THINGS {
        service.create_thing(0, thing).expect("a new thing");
    }
    service
        .create_job(0, JOB_IDS[0], &THINGS, &json!({"operation": "x"}))
        .expect("a new job");
    service
}

fn operate(service: &mut Service, now_ms: u64, input: &mut Input<'_>) -> Vec<Message> {
    match input.below(8) {
        0 | 1 => {
            let (thing, job) = (input.pick(&THINGS), input.pick(&JOB_IDS));
            let tail = match input.below(5) {
                0 => "get".into(),
                1 => "start-next".into(),
                2 => format!("{job}/get"),
                3 => format!("{job}/update"),
                _ => "$next/get".into(),
            };
            let payload = if input.bool() {
                likely(input).into_bytes()
            } else {
                input.long().to_vec()
            };
            service.publish(
                now_ms,
                &format!("$aws/things/{thing}/jobs/{tail}"),
                &payload,
            )
        }
        2 => {
            let topic = input.text();
            service.publish(now_ms, &topic, input.long())
        }
        3 => service.advance(now_ms),
        4 => {
            let count = u32::from(input.byte() % 4);
            service.set_fault(match input.below(3) {
                0 => Fault::Throttle { requests: count },
                1 => Fault::InternalError { requests: count },
                _ => Fault::ReadLag { reads: count },
            });
            Vec::new()
        }
        5 => {
            let op = input.pick(DataOp::ALL);
            let params = params(input);
            service
                .data_http(now_ms, op, &params)
                .map_or_else(|error| refused(error.status), |(_, sent)| sent)
        }
        _ => {
            let op = input.pick(ControlOp::ALL);
            let params = params(input);
            service
                .control(now_ms, op, &params)
                .map_or_else(|error| refused(error.status), |(_, sent)| sent)
        }
    }
}

fn refused(status: u16) -> Vec<Message> {
    // 503 is what the fault `InternalError` asks for.
    assert!(
        matches!(status, 400..500 | 503),
        "the service failed with {status}"
    );
    Vec::new()
}

/// An update that could be right.
fn likely(input: &mut Input<'_>) -> String {
    let status = input.pick(&["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "QUEUED"]);
    let version = input.int();
    let minutes = input.int();
    match input.below(4) {
        0 => format!("{{\"status\":\"{status}\"}}"),
        1 => format!("{{\"status\":\"{status}\",\"expectedVersion\":{version}}}"),
        2 => format!(
            "{{\"status\":\"{status}\",\"stepTimeoutInMinutes\":{minutes},\"includeJobExecutionState\":true}}"
        ),
        _ => format!(
            "{{\"status\":\"{status}\",\"includeJobDocument\":true,\"clientToken\":\"t\",\"statusDetails\":{{\"k\":\"v\"}}}}"
        ),
    }
}

/// Parameters: a JSON object out of the input, or likely ones.
fn params(input: &mut Input<'_>) -> Map<String, Value> {
    if input.bool()
        && let Ok(Value::Object(params)) = serde_json::from_slice(input.long())
    {
        return params;
    }
    let thing = input.pick(&THINGS);
    let job = input.pick(&JOB_IDS);
    let number = input.int();
    let mut params = json!({
        "thingName": thing, "jobId": job, "executionNumber": number, "expectedVersion": number,
        "force": input.bool(), "status": input.pick(&["IN_PROGRESS", "SUCCEEDED", "CANCELED"]),
        "targets": [format!("arn:aws:iot:eu-west-1:123456789012:thing/{thing}")],
        "document": "{\"operation\":\"x\"}", "stepTimeoutInMinutes": number,
        "maxResults": number, "thingGroupName": "g", "targetSelection": input.pick(&["SNAPSHOT", "CONTINUOUS"]),
        "timeoutConfig": {"inProgressTimeoutInMinutes": number},
        "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": number}]},
    });
    // Members that are left out, by one choice each.
    if let Value::Object(params) = &mut params {
        let kept = input.u16();
        let mut index = 0;
        params.retain(|_, _| {
            index += 1;
            kept >> (index % 16) & 1 == 0
        });
        return params.clone();
    }
    Map::new()
}

/// What the service says, the agent's own decoders understand.
fn read_by_the_agent(message: &Message) {
    let shown = || format!("{}: {}", message.topic, message.payload.escape_ascii());
    let Some(thing) = message
        .topic
        .split('/')
        .nth(2)
        .and_then(|thing| ThingName::new(thing).ok())
    else {
        return;
    };
    let Ok(topic) = InboundTopic::parse(&message.topic, thing) else {
        // Events for rules, and rejections of requests to no API.
        assert!(
            serde_json::from_slice::<Value>(&message.payload).is_ok(),
            "{}",
            shown()
        );
        return;
    };
    let payload = &message.payload;
    let error = match topic {
        InboundTopic::Notify => decode::notify(payload).err(),
        InboundTopic::NotifyNext => decode::notify_next(payload).err(),
        InboundTopic::GetPending(Reply::Accepted) => decode::get_pending_accepted(payload).err(),
        InboundTopic::StartNext(Reply::Accepted) => decode::start_next_accepted(payload).err(),
        InboundTopic::DescribeNext(Reply::Accepted)
        | InboundTopic::Describe(_, Reply::Accepted) => decode::describe_accepted(payload).err(),
        InboundTopic::Update(_, Reply::Accepted) => decode::update_accepted(payload).err(),
        InboundTopic::GetPending(Reply::Rejected)
        | InboundTopic::StartNext(Reply::Rejected)
        | InboundTopic::DescribeNext(Reply::Rejected)
        | InboundTopic::Describe(_, Reply::Rejected)
        | InboundTopic::Update(_, Reply::Rejected) => decode::rejected(payload).err(),
    };
    // A document that is nested deeper than we read is an error on purpose.
    let accepted = error.is_none_or(|error| error.kind == decode::ErrorKind::TooDeep);
    assert!(accepted, "{error:?} {}", shown());
}
