//! The control plane as the AWS CLI and SDKs meet it.

mod model_support;

use jobs_emulator::model::{
    ControlOp, DataOp, ExecutionStatus, JobStatus, Message, Service, Settings,
};
use model_support::{
    MINUTE, T0, THING, arn, ask, control, create, create_with, map, service, service_with, set,
    status, view,
};
use serde_json::{Value, json};

fn refused(service: &mut Service, op: ControlOp, params: &Value) -> (u16, &'static str) {
    let before = service.clone();
    let error = control(service, T0, op, params).expect_err("a refusal");
    assert_eq!(*service, before, "a refusal changes nothing: {params}");
    assert!(!error.message.is_empty());
    (error.status, error.code)
}

fn describe_job(service: &mut Service, job_id: &str) -> Value {
    let params = json!({"jobId": job_id});
    control(service, T0, ControlOp::DescribeJob, &params)
        .unwrap()
        .0["job"]
        .clone()
}

const INVALID: (u16, &str) = (400, "InvalidRequestException");
const ABSENT: (u16, &str) = (404, "ResourceNotFoundException");

#[test]
fn create_job_answers_id_arn_and_description() {
    let mut service = service();
    let params = json!({"jobId": "j", "targets": [arn("thing", THING)], "document": "{}",
        "description": "text", "tags": [{"Key": "k", "Value": "v"}]});
    let (body, sent) = control(&mut service, T0, ControlOp::CreateJob, &params).unwrap();
    let expected = json!({"jobArn": arn("job", "j"), "jobId": "j", "description": "text"});
    assert_eq!(body, expected);
    assert_eq!(sent.len(), 2);
}

#[test]
fn create_job_refuses_what_the_service_model_forbids() {
    let retry = |kind: &str, n: i64| json!({"failureType": kind, "numberOfRetries": n});
    let abort = |threshold: Value| {
        json!({"abortConfig": {"criteriaList": [{"failureType": "ALL", "action": "CANCEL",
            "thresholdPercentage": threshold, "minNumberOfExecutedThings": 1}]}})
    };
    let rate = |factor: f64| {
        json!({"jobExecutionsRolloutConfig": {"exponentialRate": {"baseRatePerMinute": 1,
            "incrementFactor": factor, "rateIncreaseCriteria": {"numberOfNotifiedThings": 1}}}})
    };
    let cases = [
        json!({"jobId": ""}),
        json!({"jobId": "a b"}),
        json!({"jobId": "x".repeat(65)}),
        json!({"jobId": null}),
        json!({"targets": []}),
        json!({"targets": null}),
        json!({"targets": [5]}),
        json!({"targets": ["MyThing"]}),
        json!({"document": null}),
        json!({"document": "no json"}),
        json!({"document": "[]"}),
        json!({"document": format!("{{\"blob\":\"{}\"}}", "A".repeat(32_758))}),
        json!({"description": "line\nline"}),
        json!({"description": "x".repeat(2029)}),
        json!({"targetSelection": "EVERYTHING"}),
        json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 0}}),
        json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 10_081}}),
        json!({"timeoutConfig": 5}),
        json!({"jobExecutionsRetryConfig": {"criteriaList": []}}),
        json!({"jobExecutionsRetryConfig": {"criteriaList": [retry("REJECTED", 1)]}}),
        json!({"jobExecutionsRetryConfig": {"criteriaList": [retry("FAILED", 11)]}}),
        json!({"jobExecutionsRetryConfig": {"criteriaList": [retry("FAILED", -1)]}}),
        json!({"jobExecutionsRetryConfig":
            {"criteriaList": [retry("FAILED", 6), retry("TIMED_OUT", 5)]}}),
        abort(json!(100.01)),
        abort(json!(10.999)),
        abort(json!("many")),
        rate(1.0),
        rate(5.1),
        rate(1.55),
        json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 1001}}),
        json!({"presignedUrlConfig": {"roleArn": "short"}}),
        json!({"presignedUrlConfig": {"expiresInSec": 59}}),
        json!({"schedulingConfig": {"startTime": "2026-12-01T10:00"}}),
        json!({"documentSource": "https://s3.us-east-1.amazonaws.com/bucket/doc.json"}),
        json!({"namespaceId": "ns"}),
    ];
    let mut service = service();
    for case in cases {
        let mut params = json!({"jobId": "j", "targets": [arn("thing", THING)], "document": "{}"});
        params.as_object_mut().unwrap().extend(map(&case));
        assert_eq!(
            refused(&mut service, ControlOp::CreateJob, &params),
            INVALID,
            "{case}"
        );
    }
}

#[test]
fn create_job_takes_every_maximum() {
    let mut service = service();
    let job_id = "x".repeat(64);
    let more = json!({
        "document": format!("{{\"blob\":\"{}\"}}", "A".repeat(32_757)),
        "description": "x".repeat(2028),
        "targetSelection": "CONTINUOUS",
        "presignedUrlConfig":
            {"roleArn": "arn:aws:iam::123456789012:role/S3Download", "expiresInSec": 3600},
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 1000, "exponentialRate": {
            "baseRatePerMinute": 50, "incrementFactor": 1.1,
            "rateIncreaseCriteria": {"numberOfSucceededThings": 1000}}},
        "abortConfig": {"criteriaList": [{"failureType": "ALL", "action": "CANCEL",
            "thresholdPercentage": 10.99, "minNumberOfExecutedThings": 10}]},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 10_080},
        "jobExecutionsRetryConfig": {"criteriaList": [
            {"failureType": "FAILED", "numberOfRetries": 7},
            {"failureType": "TIMED_OUT", "numberOfRetries": 3}]},
    });
    create_with(&mut service, T0, &job_id, &more);
    let job = describe_job(&mut service, &job_id);
    for key in [
        "description",
        "targetSelection",
        "presignedUrlConfig",
        "jobExecutionsRolloutConfig",
        "abortConfig",
        "timeoutConfig",
        "jobExecutionsRetryConfig",
    ] {
        assert_eq!(job[key], more[key], "{key} comes back as it was given");
    }
}

#[test]
fn unknown_and_foreign_targets_are_not_found() {
    let mut service = service();
    for target in [
        arn("thing", "Nobody"),
        arn("thinggroup", "Nothing"),
        "arn:aws:iot:eu-west-1:123456789012:thing/MyThing".to_owned(),
        "arn:aws:iot:us-east-1:999999999999:thing/MyThing".to_owned(),
    ] {
        let params = json!({"jobId": "j", "targets": [target], "document": "{}"});
        assert_eq!(
            refused(&mut service, ControlOp::CreateJob, &params),
            ABSENT,
            "{target}"
        );
    }
}

#[test]
fn a_job_id_in_use_is_refused() {
    let mut service = service();
    create(&mut service, T0, "j");
    let params = json!({"jobId": "j", "targets": [arn("thing", THING)], "document": "{}"});
    let refusal = refused(&mut service, ControlOp::CreateJob, &params);
    assert_eq!(refusal, (409, "ResourceAlreadyExistsException"));
}

#[test]
fn describe_job_counts_things_and_shows_fractional_times() {
    let mut service = service_with(Settings::default(), &[THING, "Other"]);
    service
        .create_job(T0, "j", &[THING, "Other"], &json!({}))
        .unwrap();
    set(&mut service, T0 + 1, "j", "IN_PROGRESS").accepted();
    let job = describe_job(&mut service, "j");
    assert_eq!(job["status"], "IN_PROGRESS");
    assert_eq!(job["createdAt"], json!(1_700_000_000.25));
    assert_eq!(
        job["targets"],
        json!([arn("thing", THING), arn("thing", "Other")])
    );
    assert_eq!(job["jobProcessDetails"]["numberOfInProgressThings"], 1);
    assert_eq!(job["jobProcessDetails"]["numberOfQueuedThings"], 1);
    assert_eq!(job.get("completedAt"), None);
    set(&mut service, T0 + 2, "j", "SUCCEEDED").accepted();
    service
        .cancel_execution(T0 + 3, "Other", "j", false)
        .unwrap();
    let job = describe_job(&mut service, "j");
    assert_eq!(job["status"], "COMPLETED");
    assert_eq!(job["jobProcessDetails"]["numberOfSucceededThings"], 1);
    assert_eq!(job["jobProcessDetails"]["numberOfCanceledThings"], 1);
    assert_eq!(job["completedAt"], json!(1_700_000_000.253));
}

#[test]
fn a_described_execution_nests_its_details() {
    let mut service = service();
    create(&mut service, T0, "j");
    let request = json!({"status": "FAILED", "statusDetails": {"reason": "x"}});
    ask(&mut service, T0, "j/update", &request).accepted();
    let params = json!({"thingName": THING, "jobId": "j"});
    let (body, _) = control(&mut service, T0, ControlOp::DescribeJobExecution, &params).unwrap();
    let execution = &body["execution"];
    assert_eq!(
        execution["statusDetails"],
        json!({"detailsMap": {"reason": "x"}})
    );
    assert_eq!(execution["thingArn"], json!(arn("thing", THING)));
    assert_eq!(execution["queuedAt"], json!(1_700_000_000.25));
    assert_eq!(execution["versionNumber"], 2);
    let params = json!({"thingName": THING, "jobId": "j", "executionNumber": "7"});
    let op = ControlOp::DescribeJobExecution;
    assert_eq!(refused(&mut service, op, &params), ABSENT);
}

#[test]
fn lists_are_paged_and_filtered() {
    let mut service = service();
    for n in 0..5 {
        create(&mut service, T0 + n, &format!("j{n}"));
    }
    set(&mut service, T0, "j1", "SUCCEEDED").accepted();
    let op = ControlOp::ListJobExecutionsForThing;
    let mut params = json!({"thingName": THING, "maxResults": "2"});
    let mut seen = Vec::new();
    loop {
        let (body, _) = control(&mut service, T0, op, &params).unwrap();
        let page = body["executionSummaries"].as_array().unwrap().clone();
        assert!(page.len() <= 2);
        seen.extend(
            page.iter()
                .map(|entry| entry["jobId"].as_str().unwrap().to_owned()),
        );
        match body.get("nextToken") {
            Some(token) => params["nextToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(seen, ["j0", "j1", "j2", "j3", "j4"]);
    let params = json!({"thingName": THING, "status": "SUCCEEDED"});
    let (body, _) = control(&mut service, T0, op, &params).unwrap();
    assert_eq!(body["executionSummaries"].as_array().unwrap().len(), 1);
    let params = json!({"status": "COMPLETED"});
    let (body, _) = control(&mut service, T0, ControlOp::ListJobs, &params).unwrap();
    assert_eq!(body["jobs"][0]["jobId"], "j1");
    for bad in [
        json!({"maxResults": 0}),
        json!({"maxResults": 251}),
        json!({"nextToken": "?"}),
        json!({"status": "DONE"}),
        json!({"targetSelection": "snapshot"}),
    ] {
        assert_eq!(
            refused(&mut service, ControlOp::ListJobs, &bad),
            INVALID,
            "{bad}"
        );
    }
}

#[test]
fn jobs_are_listed_by_the_group_they_target() {
    let mut service = service();
    group_job(&mut service, "SNAPSHOT");
    create(&mut service, T0 + 1, "other");
    let group = control(
        &mut service,
        T0,
        ControlOp::DescribeThingGroup,
        &json!({"thingGroupName": "g"}),
    );
    let id = group.unwrap().0["thingGroupId"].clone();
    for filter in [json!({"thingGroupName": "g"}), json!({"thingGroupId": id})] {
        let (body, _) = control(&mut service, T0, ControlOp::ListJobs, &filter).unwrap();
        let jobs = body["jobs"].as_array().unwrap();
        let ids: Vec<_> = jobs.iter().map(|job| job["jobId"].clone()).collect();
        assert_eq!(ids, ["j"], "{filter}");
    }
    let params = json!({"thingGroupName": "h"});
    assert_eq!(refused(&mut service, ControlOp::ListJobs, &params), ABSENT);
}

#[test]
fn members_without_a_value_ask_for_nothing() {
    let mut service = service();
    let empty = json!({"schedulingConfig": {}, "documentParameters": {},
        "destinationPackageVersions": []});
    create_with(&mut service, T0, "j", &empty);
    let params = json!({"jobId": "k", "targets": [arn("thing", THING)], "document": "{}",
        "schedulingConfig": {"startTime": "2026-01-01 00:00"}});
    assert_eq!(
        refused(&mut service, ControlOp::CreateJob, &params),
        INVALID
    );
}

#[test]
fn executions_of_a_job_show_every_attempt() {
    let mut service = service();
    let retry = json!({"jobExecutionsRetryConfig": {
        "criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}],
    }});
    create_with(&mut service, T0, "j", &retry);
    set(&mut service, T0, "j", "FAILED").accepted();
    let params = json!({"jobId": "j"});
    let op = ControlOp::ListJobExecutionsForJob;
    let (body, _) = control(&mut service, T0, op, &params).unwrap();
    let attempts: Vec<(&str, u64, u64)> = body["executionSummaries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let summary = &entry["jobExecutionSummary"];
            (
                summary["status"].as_str().unwrap(),
                summary["executionNumber"].as_u64().unwrap(),
                summary["retryAttempt"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(attempts, [("QUEUED", 2, 1), ("FAILED", 1, 0)]);
}

#[test]
fn a_changed_timeout_counts_for_executions_started_later() {
    let mut service = service();
    create(&mut service, T0, "j");
    let params = json!({"jobId": "j", "description": "new",
        "timeoutConfig": {"inProgressTimeoutInMinutes": 3}});
    control(&mut service, T0, ControlOp::UpdateJob, &params).unwrap();
    set(&mut service, T0, "j", "IN_PROGRESS").accepted();
    assert_eq!(view(&service, "j").deadline_ms, Some(T0 + 3 * MINUTE));
    let params = json!({"jobId": "j", "timeoutConfig": {"inProgressTimeoutInMinutes": 9}});
    control(&mut service, T0, ControlOp::UpdateJob, &params).unwrap();
    assert_eq!(view(&service, "j").deadline_ms, Some(T0 + 3 * MINUTE));
    assert_eq!(describe_job(&mut service, "j")["description"], "new");
    set(&mut service, T0, "j", "SUCCEEDED").accepted();
    assert_eq!(
        refused(&mut service, ControlOp::UpdateJob, &params),
        INVALID
    );
}

/// Adds [`THING`] to a group, or takes it out.
fn membership(service: &mut Service, op: ControlOp) -> Vec<Message> {
    let params = json!({"thingName": THING, "thingGroupName": "g"});
    control(service, T0, op, &params).unwrap().1
}

fn group_job(service: &mut Service, selection: &str) {
    let params = json!({"thingGroupName": "g"});
    control(service, T0, ControlOp::CreateThingGroup, &params).unwrap();
    membership(service, ControlOp::AddThingToThingGroup);
    let params = json!({"jobId": "j", "targets": [arn("thinggroup", "g")], "document": "{}",
        "targetSelection": selection, "jobExecutionsRetryConfig": {
            "criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}});
    control(service, T0, ControlOp::CreateJob, &params).unwrap();
}

#[test]
fn a_continuous_job_follows_its_group() {
    let mut service = service();
    group_job(&mut service, "CONTINUOUS");
    set(&mut service, T0, "j", "FAILED").accepted();
    assert_eq!(view(&service, "j").retry_attempt, 1);
    let sent = membership(&mut service, ControlOp::RemoveThingFromThingGroup);
    assert_eq!(status(&service, "j"), ExecutionStatus::Removed);
    assert_eq!(sent.len(), 2);
    assert_eq!(
        service.job_status("j"),
        Some(JobStatus::InProgress),
        "never completed"
    );
    let sent = membership(&mut service, ControlOp::AddThingToThingGroup);
    assert_eq!(sent.len(), 2);
    let again = view(&service, "j");
    assert_eq!(
        (again.execution_number, again.retry_attempt),
        (3, 0),
        "retries start over"
    );
    // Adding it once more changes nothing.
    assert!(membership(&mut service, ControlOp::AddThingToThingGroup).is_empty());
}

#[test]
fn a_snapshot_job_keeps_things_that_leave_unless_told_otherwise() {
    let mut service = service();
    group_job(&mut service, "SNAPSHOT");
    let sent = membership(&mut service, ControlOp::RemoveThingFromThingGroup);
    assert!(sent.is_empty());
    assert_eq!(status(&service, "j"), ExecutionStatus::Queued);

    let settings = Settings {
        snapshot_follows_groups: true,
        ..Settings::default()
    };
    let mut service = service_with(settings, &[THING]);
    group_job(&mut service, "SNAPSHOT");
    membership(&mut service, ControlOp::RemoveThingFromThingGroup);
    assert_eq!(status(&service, "j"), ExecutionStatus::Removed);
    assert_eq!(service.job_status("j"), Some(JobStatus::Completed));
}

#[test]
fn targets_can_join_a_continuous_job_only() {
    let mut service = service_with(Settings::default(), &[THING, "Other"]);
    create_with(
        &mut service,
        T0,
        "j",
        &json!({"targetSelection": "CONTINUOUS"}),
    );
    create(&mut service, T0, "fixed");
    let op = ControlOp::AssociateTargetsWithJob;
    let params = |job: &str| json!({"jobId": job, "targets": [arn("thing", "Other")]});
    control(&mut service, T0, op, &params("j")).unwrap();
    assert!(service.execution("Other", "j", None).is_some());
    assert_eq!(refused(&mut service, op, &params("fixed")), INVALID);
    assert_eq!(refused(&mut service, op, &params("absent")), ABSENT);
}

#[test]
fn things_can_be_created_changed_and_found() {
    let mut service = Service::new(Settings::default());
    let create = json!({"thingName": "t", "attributePayload": {"attributes": {"a": "1"}}});
    let (body, _) = control(&mut service, T0, ControlOp::CreateThing, &create).unwrap();
    assert_eq!(body["thingArn"], json!(arn("thing", "t")));
    let (again, _) = control(&mut service, T0, ControlOp::CreateThing, &create).unwrap();
    assert_eq!(again, body, "the same thing again is no error");
    let other = json!({"thingName": "t"});
    let refusal = refused(&mut service, ControlOp::CreateThing, &other);
    assert_eq!(refusal, (409, "ResourceAlreadyExistsException"));
    let update = json!({"thingName": "t", "expectedVersion": 1,
        "attributePayload": {"merge": true, "attributes": {"a": "", "b": "2"}}});
    control(&mut service, T0, ControlOp::UpdateThing, &update).unwrap();
    let refusal = refused(&mut service, ControlOp::UpdateThing, &update);
    assert_eq!(refusal, (409, "VersionConflictException"));
    let (thing, _) = control(&mut service, T0, ControlOp::DescribeThing, &other).unwrap();
    assert_eq!(thing["attributes"], json!({"b": "2"}));
    let filter = json!({"attributeName": "b", "attributeValue": "2"});
    let (list, _) = control(&mut service, T0, ControlOp::ListThings, &filter).unwrap();
    assert_eq!(list["things"][0]["thingName"], "t");
    control(&mut service, T0, ControlOp::DeleteThing, &other).unwrap();
    control(&mut service, T0, ControlOp::DeleteThing, &other).unwrap();
    assert_eq!(
        refused(&mut service, ControlOp::DescribeThing, &other),
        ABSENT
    );
}

#[test]
fn operations_are_found_by_their_aws_name() {
    for op in ControlOp::ALL {
        assert_eq!(ControlOp::from_name(op.name()), Some(*op));
    }
    assert_eq!(
        DataOp::from_name("UpdateJobExecution"),
        Some(DataOp::UpdateJobExecution)
    );
    assert_eq!(ControlOp::from_name("CreateOTAUpdate"), None);
}

#[test]
fn a_service_survives_being_stored_and_read_again() {
    let mut service = service();
    group_job(&mut service, "CONTINUOUS");
    let timer = json!({"stepTimeoutInMinutes": 1, "statusDetails": {"a": "b"}});
    ask(&mut service, T0, "start-next", &timer).accepted();
    let text = serde_json::to_string(&service).unwrap();
    let mut read: Service = serde_json::from_str(&text).unwrap();
    assert_eq!(read, service);
    assert_eq!(read.advance(T0 + MINUTE), service.advance(T0 + MINUTE));
}

#[test]
fn a_thing_that_leaves_one_of_two_target_groups_keeps_its_job() {
    let mut service = service();
    for group in ["g", "h"] {
        let params = json!({"thingGroupName": group, "thingName": THING});
        control(&mut service, T0, ControlOp::CreateThingGroup, &params).unwrap();
        control(&mut service, T0, ControlOp::AddThingToThingGroup, &params).unwrap();
    }
    let params = json!({"jobId": "j", "targetSelection": "CONTINUOUS", "document": "{}",
        "targets": [arn("thinggroup", "g"), arn("thinggroup", "h")]});
    let (_, sent) = control(&mut service, T0, ControlOp::CreateJob, &params).unwrap();
    assert_eq!(
        sent.len(),
        2,
        "one execution, although two groups name the thing"
    );
    assert!(membership(&mut service, ControlOp::RemoveThingFromThingGroup).is_empty());
    assert_eq!(status(&service, "j"), ExecutionStatus::Queued);
    let params = json!({"thingGroupName": "h"});
    control(&mut service, T0, ControlOp::DeleteThingGroup, &params).unwrap();
    assert_eq!(status(&service, "j"), ExecutionStatus::Removed);
}

#[test]
fn a_thing_the_rollout_has_not_reached_gets_its_job_once() {
    let mut service = service_with(Settings::default(), &["a", "b"]);
    for group in ["g", "h"] {
        let params = json!({"thingGroupName": group});
        control(&mut service, T0, ControlOp::CreateThingGroup, &params).unwrap();
    }
    let params = json!({"jobId": "j", "targetSelection": "CONTINUOUS", "document": "{}",
        "targets": [arn("thing", "a"), arn("thing", "b"), arn("thinggroup", "g")],
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 1}});
    control(&mut service, T0, ControlOp::CreateJob, &params).unwrap();
    let params = json!({"thingName": "b", "thingGroupName": "g"});
    control(&mut service, T0, ControlOp::AddThingToThingGroup, &params).unwrap();
    assert_eq!(service.execution("b", "j", None), None);
    service.advance(T0 + MINUTE);
    assert_eq!(
        service.execution("b", "j", None).unwrap().execution_number,
        1
    );
    assert_eq!(service.executions().count(), 2);
}
