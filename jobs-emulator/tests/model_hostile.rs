//! Whatever arrives, the model answers; it never panics, and its promises hold.

mod model_support;

use std::collections::{BTreeMap, BTreeSet};

use jobs_emulator::model::{
    Audience, ControlOp, DataOp, ExecutionView, Fault, JobStatus, Message, Service, Settings,
    UnknownThing,
};
use model_support::{T0, arn, map};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const THINGS: [&str; 2] = ["a", "b"];
const JOBS: [&str; 3] = ["j", "k", "get"];

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2_i64..4).prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("IN_PROGRESS")),
        Just(json!("SUCCEEDED")),
        Just(json!("true")),
        Just(json!("j")),
        Just(json!("a")),
        Just(json!("{}")),
        Just(json!(arn("thing", "a"))),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((member(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn member() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "status",
            "statusDetails",
            "expectedVersion",
            "executionNumber",
            "clientToken",
            "stepTimeoutInMinutes",
            "includeJobDocument",
            "includeJobExecutionState",
            "thingName",
            "jobId",
            "targets",
            "document",
            "force",
            "maxResults",
            "nextToken",
            "timeoutConfig",
            "abortConfig",
            "criteriaList",
            "jobExecutionsRetryConfig",
            "numberOfRetries",
            "failureType",
            "thingGroupName",
            "attributePayload",
            "attributes",
            "targetSelection",
            "jobExecutionsRolloutConfig",
            "exponentialRate",
            "presignedUrlConfig",
            "comment",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z]{0,8}",
    ]
}

fn object() -> impl Strategy<Value = Value> {
    vec((member(), json_value()), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

/// One thing somebody does.
#[derive(Clone, Debug)]
enum Step {
    Publish(String, Vec<u8>),
    Control(ControlOp, Value),
    Data(DataOp, Value),
    Fault(Fault),
    Wait(u64),
}

fn topic() -> impl Strategy<Value = String> {
    let api = prop_oneof![
        Just("get".to_owned()),
        Just("start-next".to_owned()),
        Just("$next/get".to_owned()),
        proptest::sample::select(&JOBS[..]).prop_map(|job| format!("{job}/get")),
        proptest::sample::select(&JOBS[..]).prop_map(|job| format!("{job}/update")),
        "[a-z$/+#-]{0,12}",
    ];
    prop_oneof![
        9 => (proptest::sample::select(&THINGS[..]), api)
            .prop_map(|(thing, api)| format!("$aws/things/{thing}/jobs/{api}")),
        1 => any::<String>(),
    ]
}

fn sensible_update() -> impl Strategy<Value = Value> {
    let status = proptest::sample::select(vec!["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"]);
    (status, proptest::option::of(-1_i64..4), proptest::option::of(0_u64..4)).prop_map(
        |(status, step, version)| {
            json!({"status": status, "stepTimeoutInMinutes": step, "expectedVersion": version})
        },
    )
}

fn sensible_job() -> impl Strategy<Value = Value> {
    (proptest::sample::select(&JOBS[..]), 0_u64..3, 0_u64..3).prop_map(|(job, retries, rate)| {
        let mut params = json!({
            "jobId": job, "document": "{}", "targets": [arn("thing", "a"), arn("thing", "b")],
            "jobExecutionsRetryConfig":
                {"criteriaList": [{"failureType": "ALL", "numberOfRetries": retries}]},
            "timeoutConfig": {"inProgressTimeoutInMinutes": 3},
        });
        if rate > 0 {
            params["jobExecutionsRolloutConfig"] = json!({"maximumPerMinute": rate});
        }
        params
    })
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![
        object().prop_map(|value| value.to_string().into_bytes()),
        sensible_update().prop_map(|value| value.to_string().into_bytes()),
        vec(any::<u8>(), 0..24),
    ];
    let named = (proptest::sample::select(&JOBS[..]), any::<bool>(), object()).prop_map(
        |(job, force, mut params)| {
            let members = params.as_object_mut().expect("an object");
            members.insert("jobId".into(), json!(job));
            members.insert("thingName".into(), json!("a"));
            members.insert("executionNumber".into(), json!(1));
            members.insert("force".into(), json!(force));
            params
        },
    );
    prop_oneof![
        6 => (topic(), bytes).prop_map(|(topic, payload)| Step::Publish(topic, payload)),
        3 => sensible_job().prop_map(|params| Step::Control(ControlOp::CreateJob, params)),
        2 => (proptest::sample::select(ControlOp::ALL), prop_oneof![named, object()])
            .prop_map(|(op, params)| Step::Control(op, params)),
        1 => (proptest::sample::select(DataOp::ALL), object())
            .prop_map(|(op, params)| Step::Data(op, params)),
        1 => (0_u32..3).prop_map(|reads| Step::Fault(Fault::ReadLag { reads })),
        2 => (0_u64..200_000).prop_map(Step::Wait),
    ]
}

fn perform(service: &mut Service, now_ms: &mut u64, step: Step) -> Vec<Message> {
    match step {
        Step::Publish(topic, payload) => service.publish(*now_ms, &topic, &payload),
        Step::Control(op, params) => service
            .control(*now_ms, op, &map(&params))
            .map(|(_, sent)| sent)
            .unwrap_or_default(),
        Step::Data(op, params) => service
            .data_http(*now_ms, op, &map(&params))
            .map(|(_, sent)| sent)
            .unwrap_or_default(),
        Step::Fault(fault) => {
            service.set_fault(fault);
            Vec::new()
        }
        Step::Wait(ms) => {
            *now_ms += ms;
            service.advance(*now_ms)
        }
    }
}

type Executions = BTreeMap<(String, String, u64), ExecutionView>;

fn executions(service: &Service) -> Executions {
    service
        .executions()
        .map(|e| {
            (
                (e.thing_name.clone(), e.job_id.clone(), e.execution_number),
                e,
            )
        })
        .collect()
}

fn id(value: &Value) -> (String, u64) {
    let job_id = value["jobId"].as_str().expect("a job id").to_owned();
    (job_id, value["executionNumber"].as_u64().expect("a number"))
}

/// What a subscriber learns from a message.
fn hear(
    message: &Message,
    pending: &mut BTreeMap<String, BTreeSet<(String, u64)>>,
    head: &mut BTreeMap<String, Option<(String, u64)>>,
) {
    let value = model_support::body(message);
    for thing in THINGS.map(str::to_owned) {
        if message.topic == format!("$aws/things/{thing}/jobs/notify") {
            let lists = value["jobs"].as_object().expect("lists").values();
            let ids = lists
                .flat_map(|list| list.as_array().expect("a list"))
                .map(id)
                .collect();
            pending.insert(thing, ids);
        } else if message.topic == format!("$aws/things/{thing}/jobs/notify-next") {
            head.insert(thing, value.get("execution").map(id));
        }
    }
}

fn pending(service: &Service, thing: &str) -> BTreeSet<(String, u64)> {
    service
        .executions()
        .filter(|e| e.thing_name == thing && !e.status.is_terminal())
        .map(|e| (e.job_id, e.execution_number))
        .collect()
}

/// The head as a device reads it, once reads have caught up.
fn head(service: &Service, now_ms: u64, thing: &str) -> Option<(String, u64)> {
    let mut settings = service.settings().clone();
    settings.unknown_thing = UnknownThing::NoWork;
    let mut service = service.clone();
    service.set_settings(settings);
    let topic = format!("$aws/things/{thing}/jobs/$next/get");
    let replies = (0..3).map(|_| service.publish(now_ms, &topic, b"{}").remove(0));
    model_support::body(&replies.last()?)
        .get("execution")
        .map(id)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_promises(steps in vec(step(), 1..40)) {
        let settings = Settings { lifecycle_events: true, ..Settings::default() };
        let mut service = model_support::service_with(settings, &THINGS);
        let mut now_ms = T0;
        let mut told_pending: BTreeMap<String, BTreeSet<(String, u64)>> = BTreeMap::new();
        let mut told_head: BTreeMap<String, Option<(String, u64)>> = BTreeMap::new();
        for step in steps {
            let before = executions(&service);
            let told = step.clone();
            let sent = perform(&mut service, &mut now_ms, step);
            for message in &sent {
                let value: Value = serde_json::from_slice(&message.payload).expect("JSON");
                prop_assert!(value["timestamp"].is_u64());
            }
            let replies = sent.iter().filter(|m| m.audience == Audience::Requester).count();
            prop_assert!(replies <= 1, "one request, one reply: {told:?}");
            if let Step::Publish(topic, _) = &told {
                prop_assert_eq!(replies == 1, Service::is_jobs_topic(topic), "{}", topic);
            }
            for (key, now) in executions(&service) {
                let Some(then) = before.get(&key) else {
                    continue;
                };
                // A job deleted and created again within one step is a new execution; steps do
                // one thing, so the same key is the same execution here.
                if then.status.is_terminal() {
                    prop_assert_eq!(then, &now, "what is over stays as it is");
                }
                prop_assert!(now.version_number >= then.version_number);
            }
            // A call that failed keeps what timers said; ask for it as an adapter would.
            let mut heard = sent;
            heard.extend(service.advance(now_ms));
            prop_assert!(service.next_deadline_ms().is_none_or(|at_ms| at_ms > now_ms));
            for message in &heard {
                hear(message, &mut told_pending, &mut told_head);
            }
            for job in JOBS {
                let Some(status) = service.job_status(job) else { continue };
                let open = service.executions().any(|e| e.job_id == job && !e.status.is_terminal());
                let params = map(&json!({"jobId": job}));
                let (shown, _) =
                    service.control(now_ms, ControlOp::DescribeJob, &params).expect("a job");
                let rolling = shown["job"]["isConcurrent"] == json!(true);
                match status {
                    JobStatus::Completed => prop_assert!(!open && !rolling),
                    JobStatus::InProgress => prop_assert!(open || rolling, "{job} hangs"),
                    JobStatus::Canceled | JobStatus::DeletionInProgress => {}
                }
            }
            for thing in THINGS {
                let pending = pending(&service, thing);
                let told = told_pending.get(thing).cloned().unwrap_or_default();
                prop_assert_eq!(told, pending, "whoever listens to notify knows the queue");
                let told = told_head.get(thing).cloned().flatten();
                prop_assert_eq!(told, head(&service, now_ms, thing), "and its head");
            }
        }
    }

    #[test]
    fn any_topic_and_any_bytes_get_an_answer_or_silence(
        topic in any::<String>(), tail in "[ -~]{0,40}", payload in vec(any::<u8>(), 0..64),
        now_ms in any::<u64>(),
    ) {
        let mut service = model_support::service();
        service.publish(now_ms, &topic, &payload);
        let topic = format!("$aws/things/MyThing/jobs/{tail}");
        prop_assert_eq!(service.publish(now_ms, &topic, &payload).len(), 1);
    }

    #[test]
    fn the_same_calls_make_the_same_service(steps in vec(step(), 1..20)) {
        let mut services = [(); 2].map(|()| model_support::service_with(Settings::default(), &THINGS));
        let mut times = [T0; 2];
        for step in steps {
            let first = perform(&mut services[0], &mut times[0], step.clone());
            let second = perform(&mut services[1], &mut times[1], step);
            prop_assert_eq!(first, second);
        }
        prop_assert_eq!(&services[0], &services[1]);
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let mut service = model_support::service();
    let payload = "[".repeat(100_000);
    let sent = service.publish(T0, "$aws/things/MyThing/jobs/get", payload.as_bytes());
    assert_eq!(model_support::body(&sent[0])["code"], "InvalidJson");
}

#[test]
fn the_end_of_time_does_not_overflow() {
    let mut service = model_support::service();
    model_support::create(&mut service, u64::MAX, "j");
    let start = json!({"stepTimeoutInMinutes": 10_080});
    model_support::ask(&mut service, u64::MAX, "start-next", &start).accepted();
    service.advance(u64::MAX);
    assert_eq!(service.next_deadline_ms(), None);
}
