//! Every message of the fixtures is read to the last member, compared with serde_json.

mod support;

use jobs_proto::decode::{
    self, ExecutionMessage, ExecutionState, JobExecution, JobExecutionSummary, StatusDetails,
};
use jobs_proto::{EpochSeconds, ErrorCode, EscapedStr, JobStatus, WireStatus};
use serde_json::{Value, json};
use support::Example;

/// What the oracle says about a time: whole seconds, milliseconds divided.
fn seconds(value: &Value) -> Option<EpochSeconds> {
    let time = value.as_u64()?;
    Some(EpochSeconds(if time > 100_000_000_000 {
        time / 1000
    } else {
        time
    }))
}

fn same_text(ours: Option<EscapedStr<'_>>, theirs: &Value) -> bool {
    ours.map(|text| text.to_string()).as_deref() == theirs.as_str()
}

fn same_status(ours: WireStatus, theirs: &Value) {
    match theirs.as_str() {
        None => assert_eq!(ours, WireStatus::Absent),
        Some(text) => assert_eq!(ours.known().map(JobStatus::as_str), Some(text)),
    }
}

fn same_details(ours: Option<StatusDetails<'_>>, theirs: &Value) {
    let ours = ours.map(|details| {
        let pairs = details
            .iter()
            .map(|(key, value)| (key.to_string(), json!(value.to_string())));
        Value::Object(pairs.collect())
    });
    assert_eq!(ours.unwrap_or(Value::Null), *theirs);
}

fn same_summaries<'a>(
    ours: impl Iterator<Item = JobExecutionSummary<'a>>,
    theirs: &Value,
    status: JobStatus,
) {
    let ours: Vec<_> = ours.collect();
    let theirs = theirs.as_array().cloned().unwrap_or_default();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(Some(ours.job_id.as_str()), theirs["jobId"].as_str());
        assert!(ours.status.is(status));
        assert_eq!(ours.execution_number, theirs["executionNumber"].as_i64());
        assert_eq!(ours.version_number, theirs["versionNumber"].as_i64());
        assert_eq!(ours.queued_at, seconds(&theirs["queuedAt"]));
        assert_eq!(ours.started_at, seconds(&theirs["startedAt"]));
        assert_eq!(ours.last_updated_at, seconds(&theirs["lastUpdatedAt"]));
    }
}

fn same_execution(ours: &JobExecution<'_>, theirs: &Value) {
    assert_eq!(Some(ours.job_id.as_str()), theirs["jobId"].as_str());
    assert_eq!(
        ours.thing_name.map(|name| name.as_str()),
        theirs["thingName"].as_str()
    );
    same_status(ours.status, &theirs["status"]);
    same_details(ours.status_details, &theirs["statusDetails"]);
    assert_eq!(ours.queued_at, seconds(&theirs["queuedAt"]));
    assert_eq!(ours.started_at, seconds(&theirs["startedAt"]));
    assert_eq!(ours.last_updated_at, seconds(&theirs["lastUpdatedAt"]));
    let left = theirs["approximateSecondsBeforeTimedOut"].as_u64();
    assert_eq!(
        ours.approximate_seconds_before_timed_out.map(u64::from),
        left
    );
    assert_eq!(ours.version_number, theirs["versionNumber"].as_i64());
    assert_eq!(ours.execution_number, theirs["executionNumber"].as_i64());
    same_document(ours.job_document, &theirs["jobDocument"]);
}

fn same_document(ours: Option<&[u8]>, theirs: &Value) {
    let ours = ours.map(|raw| serde_json::from_slice(raw).expect("document is JSON"));
    assert_eq!(ours.unwrap_or(Value::Null), *theirs);
}

fn same_message(ours: &ExecutionMessage<'_>, theirs: &Value) {
    assert!(same_text(ours.client_token, &theirs["clientToken"]));
    assert_eq!(ours.timestamp, seconds(&theirs["timestamp"]));
    match &ours.execution {
        Some(execution) => same_execution(execution, &theirs["execution"]),
        None => {
            let theirs = &theirs["execution"];
            assert!(theirs.is_null() || *theirs == json!({}), "{theirs}");
        }
    }
}

fn same_state(ours: Option<ExecutionState<'_>>, theirs: &Value) {
    assert_eq!(ours.is_some(), theirs.is_object());
    if let Some(ours) = ours {
        same_status(ours.status, &theirs["status"]);
        same_details(ours.status_details, &theirs["statusDetails"]);
        assert_eq!(ours.version_number, theirs["versionNumber"].as_i64());
    }
}

#[test]
fn notify_next_fixtures_are_read() {
    for Example {
        name,
        payload,
        value,
        ..
    } in support::all("notify-next")
    {
        let message = decode::notify_next(&payload).expect(&name);
        same_message(&message, &value);
    }
}

#[test]
fn describe_fixtures_are_read() {
    for Example {
        name,
        payload,
        value,
        ..
    } in support::all("describe.accepted")
    {
        let message = decode::describe_accepted(&payload).expect(&name);
        same_message(&message, &value);
    }
}

#[test]
fn start_next_fixtures_are_read() {
    for Example {
        name,
        payload,
        value,
        ..
    } in support::all("start-next.accepted")
    {
        let message = decode::start_next_accepted(&payload).expect(&name);
        same_message(&message, &value);
    }
}

#[test]
fn the_document_is_the_bytes_of_the_message() {
    let examples = support::examples("describe.accepted");
    let max = examples.last().expect("max");
    let execution = decode::describe_accepted(&max.payload)
        .unwrap()
        .execution
        .unwrap();
    let document = execution.job_document.unwrap();
    assert_eq!(document.len(), 32_768);
    assert!(max.payload.as_ptr_range().contains(&document.as_ptr()));
}

fn same_notify(payload: &[u8], value: &Value) {
    let notify = decode::notify(payload).unwrap();
    assert_eq!(notify.timestamp, seconds(&value["timestamp"]));
    let jobs = &value["jobs"];
    same_summaries(
        notify.in_progress(),
        &jobs["IN_PROGRESS"],
        JobStatus::InProgress,
    );
    same_summaries(notify.queued(), &jobs["QUEUED"], JobStatus::Queued);
    assert_eq!(
        notify.all().count(),
        notify.in_progress().count() + notify.queued().count()
    );
}

#[test]
fn notify_fixtures_are_read() {
    for Example { payload, value, .. } in support::all("notify") {
        same_notify(&payload, &value);
    }
}

#[test]
fn get_pending_fixtures_are_read() {
    for Example {
        name,
        payload,
        value,
        ..
    } in support::all("get-pending.accepted")
    {
        let pending = decode::get_pending_accepted(&payload).expect(&name);
        assert!(same_text(pending.client_token, &value["clientToken"]));
        assert_eq!(pending.timestamp, seconds(&value["timestamp"]));
        same_summaries(
            pending.in_progress(),
            &value["inProgressJobs"],
            JobStatus::InProgress,
        );
        same_summaries(pending.queued(), &value["queuedJobs"], JobStatus::Queued);
    }
}

#[test]
fn update_accepted_fixtures_are_read() {
    for Example {
        name,
        payload,
        value,
        ..
    } in support::all("update.accepted")
    {
        let update = decode::update_accepted(&payload).expect(&name);
        assert!(same_text(update.client_token, &value["clientToken"]));
        assert_eq!(update.timestamp, seconds(&value["timestamp"]));
        same_state(update.execution_state, &value["executionState"]);
        same_document(update.job_document, &value["jobDocument"]);
    }
}

fn same_rejected(payload: &[u8], value: &Value) {
    let rejected = decode::rejected(payload).unwrap();
    assert_eq!(
        rejected.code,
        ErrorCode::parse(value["code"].as_str().unwrap())
    );
    assert!(same_text(rejected.message, &value["message"]));
    assert!(same_text(rejected.client_token, &value["clientToken"]));
    assert_eq!(rejected.timestamp, seconds(&value["timestamp"]));
    same_state(rejected.execution_state, &value["executionState"]);
}

#[test]
fn rejected_fixtures_of_every_api_are_read() {
    for file in ["get-pending", "start-next", "describe", "update"] {
        for Example { payload, value, .. } in support::all(&format!("{file}.rejected")) {
            same_rejected(&payload, &value);
        }
    }
    for Example { payload, value, .. } in support::tolerated("rejected") {
        same_rejected(&payload, &value);
    }
}

#[test]
fn every_documented_code_is_known_and_says_whether_to_retry() {
    let codes = support::json("rejected")["codes"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(codes.len(), ErrorCode::ALL.len());
    for code in codes {
        same_rejected(code["example"].to_string().as_bytes(), &code["example"]);
        let ours = ErrorCode::parse(code["code"].as_str().unwrap());
        assert_ne!(ours, ErrorCode::Unknown);
        let retry = matches!(
            ours.retry_class(),
            jobs_proto::Retry::Backoff | jobs_proto::Retry::Throttled
        );
        assert_eq!(Some(retry), code["retryable"].as_bool(), "{ours:?}");
    }
}

/// Every object below `value` that looks like the payload of a notification.
fn notifications<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            if map.contains_key("timestamp") {
                found.push(value);
            }
            map.values().for_each(|value| notifications(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| notifications(value, found)),
        _ => {}
    }
}

#[test]
fn the_recorded_sequences_are_read() {
    let sequences = support::json("notify-sequence");
    let mut found = Vec::new();
    notifications(&sequences, &mut found);
    let (mut lists, mut singles) = (0, 0);
    for value in found {
        let payload = value.to_string();
        if value.get("jobs").is_some() {
            same_notify(payload.as_bytes(), value);
            lists += 1;
        } else if value.get("inProgressJobs").is_none() {
            same_message(&decode::notify_next(payload.as_bytes()).unwrap(), value);
            singles += 1;
        }
    }
    assert!(
        lists > 5 && singles > 5,
        "{lists} lists, {singles} executions"
    );
}
