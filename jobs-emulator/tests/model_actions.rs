//! What the service does to executions, and what the device gets to see of it.

mod model_support;

use jobs_emulator::model::{
    ControlOp, ExecutionStatus, Fault, JobStatus, Message, Service, Settings, TerminalUpdate,
};
use model_support::{
    MINUTE, T0, THING, arn, ask, body, control, create, create_with, fixture, notify, notify_next,
    service, service_with, set, status, view,
};
use serde_json::{Value, json};

/// One job per state, so that an action can be tried on each.
fn queued_running_done() -> Service {
    let mut service = service_with(Settings::default(), &[THING, "Other"]);
    for job in ["queued", "running", "done"] {
        service
            .create_job(T0, job, &[THING, "Other"], &json!({}))
            .unwrap();
    }
    set(&mut service, T0, "running", "IN_PROGRESS").accepted();
    set(&mut service, T0, "done", "SUCCEEDED").accepted();
    service
}

fn assert_invalid_state(result: Result<Vec<Message>, jobs_emulator::model::ApiError>) {
    let error = result.unwrap_err();
    assert_eq!(
        (error.status, error.code),
        (409, "InvalidStateTransitionException")
    );
}

#[test]
fn canceling_a_job_leaves_running_executions_alone() {
    let mut service = queued_running_done();
    for job in ["queued", "running"] {
        service.cancel_job(T0, job, false).unwrap();
        assert_eq!(service.job_status(job), Some(JobStatus::Canceled));
    }
    assert_eq!(status(&service, "queued"), ExecutionStatus::Canceled);
    assert_eq!(view(&service, "queued").version_number, 2);
    assert_eq!(status(&service, "running"), ExecutionStatus::InProgress);
    set(&mut service, T0, "running", "SUCCEEDED").accepted();
    assert_eq!(service.job_status("running"), Some(JobStatus::Canceled));
}

#[test]
fn canceling_a_job_with_force_reaches_running_executions_too() {
    let mut service = queued_running_done();
    let version = view(&service, "running").version_number;
    let sent = service.cancel_job(T0, "running", true).unwrap();
    let execution = view(&service, "running");
    assert_eq!(execution.status, ExecutionStatus::Canceled);
    assert_eq!(execution.version_number, version + 1);
    assert!(execution.force_canceled);
    // Both things hear of it; for this one the queued job becomes the head.
    let own: Vec<Message> = sent
        .into_iter()
        .filter(|m| m.topic.contains(THING))
        .collect();
    assert_eq!(notify(&own).unwrap()["jobs"]["IN_PROGRESS"], Value::Null);
    assert_eq!(notify_next(&own).unwrap()["execution"]["jobId"], "queued");
    assert_eq!(
        set(&mut service, T0, "running", "SUCCEEDED").code(),
        "InvalidStateTransition"
    );
}

#[test]
fn a_second_cancel_is_refused_unless_it_adds_force() {
    let mut service = queued_running_done();
    service.cancel_job(T0, "running", false).unwrap();
    let error = service.cancel_job(T0, "running", false).unwrap_err();
    assert_eq!(error.code, "InvalidRequestException");
    service.cancel_job(T0, "running", true).unwrap();
    assert_eq!(status(&service, "running"), ExecutionStatus::Canceled);
}

#[test]
fn canceling_an_execution_follows_the_table() {
    let rows = fixture("scenarios.json");
    let rows = rows["serviceActions"].as_array().unwrap();
    for (action, force) in [
        ("CancelJobExecution force=false", false),
        ("CancelJobExecution force=true", true),
    ] {
        let row = rows.iter().find(|row| row["action"] == action).unwrap();
        for (state, job) in [
            ("QUEUED", "queued"),
            ("IN_PROGRESS", "running"),
            ("terminal", "done"),
        ] {
            let mut service = queued_running_done();
            let result = service.cancel_execution(T0, THING, job, force);
            match row[state].as_str() {
                Some("CANCELED") => {
                    result.unwrap();
                    assert_eq!(status(&service, job), ExecutionStatus::Canceled);
                }
                Some("InvalidStateTransitionException 409") => assert_invalid_state(result),
                // The row is silent about terminal executions under force: they stay over.
                None => assert_invalid_state(result),
                Some(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn canceling_an_execution_checks_the_version_and_stores_details() {
    let mut service = queued_running_done();
    let params = json!({"thingName": THING, "jobId": "queued", "expectedVersion": 9});
    let op = ControlOp::CancelJobExecution;
    let error = control(&mut service, T0, op, &params).unwrap_err();
    assert_eq!(
        (error.status, error.code),
        (409, "VersionConflictException")
    );

    let params = json!({
        "thingName": THING, "jobId": "queued", "expectedVersion": 1,
        "statusDetails": {"reason": "superseded"},
    });
    control(&mut service, T0, op, &params).unwrap();
    assert_eq!(
        view(&service, "queued").status_details.unwrap()["reason"],
        "superseded"
    );
}

#[test]
fn deleting_a_job_needs_force_while_it_is_in_progress() {
    let mut service = queued_running_done();
    assert_invalid_state(service.delete_job(T0, "running", false));
    let sent = service.delete_job(T0, "running", true).unwrap();
    assert_eq!(
        sent.len(),
        3,
        "both things: notify; this one: also notify-next"
    );
    assert_eq!(service.job_status("running"), None);
    assert_eq!(service.execution(THING, "running", None), None);
    assert_eq!(
        set(&mut service, T0, "running", "SUCCEEDED").code(),
        "ResourceNotFound"
    );
    let answer = ask(&mut service, T0, "running/get", &json!({}));
    assert_eq!(answer.code(), "ResourceNotFound");
}

#[test]
fn a_slow_deletion_shows_until_its_time_and_blocks_the_id() {
    let settings = Settings {
        deletion_ms: 5_000,
        ..Settings::default()
    };
    let mut service = service_with(settings, &[THING]);
    create(&mut service, T0, "j");
    service.delete_job(T0, "j", true).unwrap();
    assert_eq!(service.job_status("j"), Some(JobStatus::DeletionInProgress));
    assert_eq!(
        service.execution(THING, "j", None),
        None,
        "executions go first"
    );
    let error = service
        .create_job(T0, "j", &[THING], &json!({}))
        .unwrap_err();
    assert_eq!(error.code, "ResourceAlreadyExistsException");
    assert_invalid_state(service.delete_job(T0, "j", true));
    assert_eq!(service.next_deadline_ms(), Some(T0 + 5_000));
    service.advance(T0 + 4_999);
    assert!(service.job_status("j").is_some());
    service.advance(T0 + 5_000);
    assert_eq!(service.job_status("j"), None);
    create(&mut service, T0 + 5_000, "j");
    assert_eq!(
        view(&service, "j").execution_number,
        1,
        "a reused id starts over"
    );
}

#[test]
fn the_eleventh_deletion_at_once_is_too_many() {
    let settings = Settings {
        deletion_ms: 5_000,
        ..Settings::default()
    };
    let mut service = service_with(settings, &[THING]);
    for n in 0..11 {
        create(&mut service, T0, &format!("j{n}"));
    }
    for n in 0..10 {
        service.delete_job(T0, &format!("j{n}"), true).unwrap();
    }
    let error = service.delete_job(T0, "j10", true).unwrap_err();
    assert_eq!((error.status, error.code), (410, "LimitExceededException"));
}

#[test]
fn deleting_an_execution_needs_force_while_it_is_open() {
    let op = ControlOp::DeleteJobExecution;
    let params = |job: &str, force: &str| json!({"thingName": THING, "jobId": job, "executionNumber": "1", "force": force});
    let mut service = queued_running_done();
    for job in ["queued", "running"] {
        let error = control(&mut service, T0, op, &params(job, "false")).unwrap_err();
        assert_eq!(
            (error.status, error.code),
            (409, "InvalidStateTransitionException")
        );
        control(&mut service, T0, op, &params(job, "true")).unwrap();
        assert_eq!(service.execution(THING, job, None), None);
    }
    control(&mut service, T0, op, &params("done", "false")).unwrap();
    let error = control(&mut service, T0, op, &params("done", "true")).unwrap_err();
    assert_eq!(error.code, "ResourceNotFoundException");
}

#[test]
fn a_deleted_thing_has_its_open_executions_removed() {
    let mut service = queued_running_done();
    let sent = service.delete_thing(T0, THING).unwrap();
    assert_eq!(status(&service, "queued"), ExecutionStatus::Removed);
    assert_eq!(status(&service, "running"), ExecutionStatus::Removed);
    assert_eq!(status(&service, "done"), ExecutionStatus::Succeeded);
    assert_eq!(notify(&sent).unwrap()["jobs"], json!({}));
    assert_eq!(notify_next(&sent).unwrap().get("execution"), None);
}

#[test]
fn deleting_the_last_open_thing_completes_a_snapshot_job() {
    let mut service = service_with(Settings::default(), &["a", "b"]);
    service
        .create_job(T0, "j", &["a", "b"], &json!({}))
        .unwrap();
    let topic = "$aws/things/a/jobs/j/update";
    service.publish(T0, topic, br#"{"status":"SUCCEEDED"}"#);
    assert_eq!(service.job_status("j"), Some(JobStatus::InProgress));
    service.delete_thing(T0, "b").unwrap();
    assert_eq!(service.job_status("j"), Some(JobStatus::Completed));
}

#[test]
fn a_canceled_job_completes_nothing_and_queues_no_retry() {
    let mut service = service();
    let retry = json!({"jobExecutionsRetryConfig": {
        "criteriaList": [{"failureType": "ALL", "numberOfRetries": 3}],
    }});
    create_with(&mut service, T0, "j", &retry);
    set(&mut service, T0, "j", "IN_PROGRESS").accepted();
    service.cancel_job(T0, "j", false).unwrap();
    set(&mut service, T0, "j", "FAILED").accepted();
    assert_eq!(view(&service, "j").execution_number, 1);
    assert_eq!(service.job_status("j"), Some(JobStatus::Canceled));
}

#[test]
fn a_failed_execution_is_retried_until_its_retries_are_used_up() {
    let mut service = service();
    let retry = json!({"jobExecutionsRetryConfig": {
        "criteriaList": [{"failureType": "FAILED", "numberOfRetries": 2}],
    }});
    create_with(&mut service, T0, "j", &retry);
    for attempt in 1..=2 {
        let answer = set(&mut service, T0, "j", "FAILED");
        answer.accepted();
        assert_eq!(
            answer.notify_next().unwrap()["execution"]["executionNumber"],
            attempt + 1
        );
        assert_eq!(
            answer.notify().unwrap()["jobs"]["QUEUED"][0]["executionNumber"],
            attempt + 1
        );
        let execution = view(&service, "j");
        assert_eq!(execution.execution_number, attempt + 1);
        assert_eq!(u64::from(execution.retry_attempt), attempt);
        assert_eq!(service.job_status("j"), Some(JobStatus::InProgress));
    }
    let answer = set(&mut service, T0, "j", "FAILED");
    assert_eq!(answer.notify().unwrap()["jobs"], json!({}));
    assert_eq!(view(&service, "j").execution_number, 3);
    assert_eq!(service.job_status("j"), Some(JobStatus::Completed));
}

#[test]
fn retries_count_per_failure_type_and_rejection_is_never_retried() {
    let mut service = service();
    let retry = json!({
        "timeoutConfig": {"inProgressTimeoutInMinutes": 1},
        "jobExecutionsRetryConfig": {"criteriaList": [
            {"failureType": "FAILED", "numberOfRetries": 1},
            {"failureType": "TIMED_OUT", "numberOfRetries": 1},
        ]},
    });
    create_with(&mut service, T0, "j", &retry);
    set(&mut service, T0, "j", "FAILED").accepted();
    set(&mut service, T0, "j", "IN_PROGRESS").accepted();
    let sent = service.advance(T0 + MINUTE);
    assert_eq!(
        notify_next(&sent).unwrap()["execution"]["executionNumber"],
        3
    );
    set(&mut service, T0 + MINUTE, "j", "REJECTED").accepted();
    assert_eq!(view(&service, "j").execution_number, 3);
    assert_eq!(service.job_status("j"), Some(JobStatus::Completed));
}

#[test]
fn a_delayed_retry_comes_at_its_time_and_holds_the_job_open() {
    let settings = Settings {
        retry_delay_ms: 30_000,
        ..Settings::default()
    };
    let mut service = service_with(settings, &[THING]);
    let retry = json!({"jobExecutionsRetryConfig": {
        "criteriaList": [{"failureType": "ALL", "numberOfRetries": 1}],
    }});
    create_with(&mut service, T0, "j", &retry);
    set(&mut service, T0, "j", "FAILED").accepted();
    assert_eq!(service.job_status("j"), Some(JobStatus::InProgress));
    assert!(service.advance(T0 + 29_999).is_empty());
    let sent = service.advance(T0 + 30_000);
    assert_eq!(
        notify_next(&sent).unwrap()["execution"]["executionNumber"],
        2
    );
}

#[test]
fn abort_criteria_cancel_what_is_queued_and_spare_what_runs() {
    let things = ["a", "b", "c", "d"];
    let mut service = service_with(Settings::default(), &things);
    let targets: Vec<String> = things.iter().map(|thing| arn("thing", thing)).collect();
    let abort = json!({"failureType": "FAILED", "action": "CANCEL",
        "thresholdPercentage": 50.0, "minNumberOfExecutedThings": 2});
    let params = json!({"jobId": "j", "targets": targets, "document": "{}",
        "abortConfig": {"criteriaList": [abort]}});
    control(&mut service, T0, ControlOp::CreateJob, &params).unwrap();
    let update = |service: &mut Service, thing: &str, status: &str| {
        let topic = format!("$aws/things/{thing}/jobs/j/update");
        service.publish(T0, &topic, json!({"status": status}).to_string().as_bytes());
        let status = service.job_status("j").unwrap();
        (status, service.execution("d", "j", None).unwrap().status)
    };
    let untouched = (JobStatus::InProgress, ExecutionStatus::Queued);
    assert_eq!(update(&mut service, "c", "IN_PROGRESS"), untouched);
    assert_eq!(
        update(&mut service, "a", "FAILED"),
        untouched,
        "one of two is not enough yet"
    );
    let aborted = (JobStatus::Canceled, ExecutionStatus::Canceled);
    assert_eq!(
        update(&mut service, "b", "SUCCEEDED"),
        aborted,
        "1 of 2 is 50 %"
    );
    let running = service.execution("c", "j", None).unwrap();
    assert_eq!(running.status, ExecutionStatus::InProgress);

    let described = control(
        &mut service,
        T0,
        ControlOp::DescribeJob,
        &json!({"jobId": "j"}),
    );
    let job = described.unwrap().0["job"].clone();
    assert_eq!(job["reasonCode"], "ABORT_CANCEL");
    assert_eq!(
        job["comment"],
        "Abort criteria for failure type FAILED with threshold 50% met. \
         Total completed executions: 2"
    );
}

#[test]
fn a_time_out_is_published_at_its_time_and_the_late_report_refused() {
    let mut service = service();
    create(&mut service, T0, "j");
    let request = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": 7});
    ask(&mut service, T0, "j/update", &request).accepted();
    let described = ask(&mut service, T0 + MINUTE, "j/get", &json!({})).accepted();
    assert_eq!(
        described["execution"]["approximateSecondsBeforeTimedOut"],
        360
    );

    assert!(service.advance(T0 + 7 * MINUTE - 1).is_empty());
    let late = T0 + 9 * MINUTE;
    let sent = service.publish(
        late,
        "$aws/things/MyThing/jobs/j/update",
        b"{\"status\":\"FAILED\"}",
    );
    // The publish first fired the timer, with the timer's own time.
    let topics: Vec<&str> = sent.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(
        topics,
        [
            "$aws/things/MyThing/jobs/notify",
            "$aws/things/MyThing/jobs/notify-next",
            "$aws/things/MyThing/jobs/j/update/rejected",
        ]
    );
    assert_eq!(
        body(&sent[1]),
        json!({"timestamp": (T0 + 7 * MINUTE) / 1000})
    );
    assert_eq!(body(&sent[2])["executionState"]["status"], "TIMED_OUT");
    let execution = view(&service, "j");
    assert_eq!(execution.status, ExecutionStatus::TimedOut);
    assert_eq!(execution.last_updated_at_ms, T0 + 7 * MINUTE);
    assert_eq!(execution.version_number, 3);
}

#[test]
fn a_time_out_may_lag_behind_its_deadline() {
    let settings = Settings {
        timeout_lag_ms: 60_000,
        ..Settings::default()
    };
    let mut service = service_with(settings, &[THING]);
    create(&mut service, T0, "j");
    ask(
        &mut service,
        T0,
        "start-next",
        &json!({"stepTimeoutInMinutes": 1}),
    )
    .accepted();
    assert_eq!(service.next_deadline_ms(), Some(T0 + 2 * MINUTE));
    let described = ask(&mut service, T0 + 90_000, "j/get", &json!({})).accepted();
    assert_eq!(
        described["execution"]["approximateSecondsBeforeTimedOut"],
        0
    );
    set(&mut service, T0 + 90_000, "j", "SUCCEEDED").accepted();
}

#[test]
fn minus_one_removes_the_step_timer_and_a_queued_execution_never_times_out() {
    let mut service = service();
    let config = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 5}});
    create_with(&mut service, T0, "j", &config);
    assert_eq!(service.next_deadline_ms(), None);
    let request = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": 1});
    ask(&mut service, T0, "j/update", &request).accepted();
    assert_eq!(service.next_deadline_ms(), Some(T0 + MINUTE));
    set(&mut service, T0, "j", "IN_PROGRESS").accepted();
    assert_eq!(
        service.next_deadline_ms(),
        Some(T0 + MINUTE),
        "left alone when not sent"
    );
    let request = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": -1});
    ask(&mut service, T0, "j/update", &request).accepted();
    assert_eq!(service.next_deadline_ms(), Some(T0 + 5 * MINUTE));
}

#[test]
fn what_a_timer_said_during_a_failing_call_goes_out_with_the_next() {
    let mut service = service();
    create(&mut service, T0, "j");
    ask(
        &mut service,
        T0,
        "start-next",
        &json!({"stepTimeoutInMinutes": 1}),
    )
    .accepted();
    let later = T0 + 2 * MINUTE;
    service.cancel_job(later, "no-such-job", false).unwrap_err();
    assert!(service.next_deadline_ms().is_some_and(|at| at <= later));
    let sent = service.advance(later);
    assert_eq!(notify(&sent).unwrap()["jobs"], json!({}));
    assert_eq!(service.next_deadline_ms(), None);
}

#[test]
fn a_slow_rollout_reaches_its_targets_minute_by_minute() {
    let things: Vec<String> = (0..5).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = things.iter().map(String::as_str).collect();
    let mut service = service_with(Settings::default(), &names);
    let targets: Vec<String> = things.iter().map(|thing| arn("thing", thing)).collect();
    let params = json!({"jobId": "j", "targets": targets, "document": "{}",
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 2}});
    control(&mut service, T0, ControlOp::CreateJob, &params).unwrap();
    let mut reached = vec![service.executions().count()];
    while let Some(at) = service.next_deadline_ms() {
        service.advance(at);
        reached.push(service.executions().count());
    }
    assert_eq!(reached, [2, 4, 5]);
    assert_eq!(
        service.execution("t4", "j", None).unwrap().queued_at_ms,
        T0 + 2 * MINUTE
    );
}

#[test]
fn a_finished_execution_answers_the_other_code_when_told_so() {
    let settings = Settings {
        terminal_update: TerminalUpdate::TerminalStateReached,
        ..Settings::default()
    };
    let mut service = service_with(settings, &[THING]);
    create(&mut service, T0, "j");
    set(&mut service, T0, "j", "SUCCEEDED").accepted();
    let answer = set(&mut service, T0, "j", "FAILED");
    assert_eq!(answer.code(), "TerminalStateReached");
}

#[test]
fn details_are_replaced_as_a_whole_and_kept_when_not_sent() {
    let mut service = service();
    create(&mut service, T0, "j");
    let mut send = |request: Value| {
        ask(&mut service, T0, "j/update", &request).accepted()["executionState"].clone()
    };
    let state = send(json!({"status": "IN_PROGRESS", "includeJobExecutionState": true}));
    assert_eq!(state, json!({"status": "IN_PROGRESS", "versionNumber": 2}));
    let first = json!({"a": "1", "b": "2"});
    let with = |details: Option<Value>| {
        let mut request = json!({"status": "IN_PROGRESS", "includeJobExecutionState": true});
        if let Some(details) = details {
            request["statusDetails"] = details;
        }
        request
    };
    assert_eq!(send(with(Some(first.clone())))["statusDetails"], first);
    assert_eq!(send(with(None))["statusDetails"], first);
    assert_eq!(
        send(with(Some(json!({"c": "3"}))))["statusDetails"],
        json!({"c": "3"})
    );
    assert_eq!(send(with(Some(json!({}))))["statusDetails"], json!({}));
}

#[test]
fn start_next_on_running_work_hands_it_out_unchanged() {
    let mut service = service();
    create(&mut service, T0, "j");
    ask(
        &mut service,
        T0,
        "start-next",
        &json!({"statusDetails": {"a": "1"}}),
    )
    .accepted();
    let request = json!({"statusDetails": {"b": "2"}, "stepTimeoutInMinutes": 3});
    let answer = ask(&mut service, T0 + 5_000, "start-next", &request);
    let execution = &answer.accepted()["execution"];
    assert_eq!(execution["statusDetails"], json!({"a": "1"}));
    assert_eq!(execution["versionNumber"], 2);
    assert_eq!(execution.get("approximateSecondsBeforeTimedOut"), None);
    assert!(answer.rest.is_empty());
}

#[test]
fn injected_faults_hit_as_many_requests_as_asked_and_change_nothing() {
    let mut service = service();
    create(&mut service, T0, "j");
    service.set_fault(Fault::Throttle { requests: 2 });
    service.set_fault(Fault::InternalError { requests: 1 });
    let codes: Vec<String> = (0..3)
        .map(|_| {
            let request = json!({"status": "SUCCEEDED", "clientToken": "t"});
            let answer = ask(&mut service, T0, "j/update", &request);
            assert_eq!(answer.rejected()["clientToken"], "t");
            answer.code()
        })
        .collect();
    assert_eq!(
        codes,
        ["RequestThrottled", "RequestThrottled", "InternalError"]
    );
    set(&mut service, T0, "j", "SUCCEEDED").accepted();
}

#[test]
fn a_lagging_read_does_not_see_what_was_just_notified() {
    let mut service = service();
    service.set_fault(Fault::ReadLag { reads: 2 });
    let sent = create(&mut service, T0, "j");
    assert_eq!(notify_next(&sent).unwrap()["execution"]["jobId"], "j");
    let next = ask(&mut service, T0, "$next/get", &json!({})).accepted();
    assert_eq!(next.get("execution"), None);
    assert_eq!(
        ask(&mut service, T0, "j/get", &json!({})).code(),
        "ResourceNotFound"
    );
    let next = ask(&mut service, T0, "$next/get", &json!({})).accepted();
    assert_eq!(next["execution"]["jobId"], "j");
}

#[test]
fn lists_stop_at_ten_and_show_more_as_they_drain() {
    let mut service = service();
    for n in 0..12 {
        create(&mut service, T0 + n, &format!("j{n:02}"));
    }
    let listed = ask(&mut service, T0 + 20, "get", &json!({})).accepted();
    assert_eq!(listed["queuedJobs"].as_array().unwrap().len(), 10);
    let answer = set(&mut service, T0 + 20, "j00", "SUCCEEDED");
    let queued = answer.notify().unwrap()["jobs"]["QUEUED"].clone();
    // The same second for all of them: the order inside it is that of creation.
    let ids: Vec<&str> = queued
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["jobId"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "j01", "j02", "j03", "j04", "j05", "j06", "j07", "j08", "j09", "j10"
        ]
    );
}

#[test]
fn presigned_urls_are_fresh_on_every_read_and_unresolved_for_the_back_end() {
    let mut service = service();
    let document = json!({
        "url": "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/bucket/key}",
        "up": "${aws:iot:s3-presigned-url-upload:https://s3.us-east-1.amazonaws.com/b/${jobId}}",
    });
    service.create_job(T0, "j", &[THING], &document).unwrap();
    let mut read = || ask(&mut service, T0, "j/get", &json!({})).accepted()["execution"].clone();
    let (first, second) = (read(), read());
    let url = first["jobDocument"]["url"].as_str().unwrap();
    assert!(url.starts_with("https://s3.us-east-1.amazonaws.com/bucket/key?X-Amz-Algorithm="));
    let up = first["jobDocument"]["up"].as_str().unwrap();
    assert!(up.starts_with("https://s3.us-east-1.amazonaws.com/b/j?"));
    assert_ne!(first["jobDocument"], second["jobDocument"]);
    let params = json!({"jobId": "j"});
    let stored = control(&mut service, T0, ControlOp::GetJobDocument, &params)
        .unwrap()
        .0;
    let stored: Value = serde_json::from_str(stored["document"].as_str().unwrap()).unwrap();
    assert_eq!(stored, document);
}

#[test]
fn a_placeholder_that_spans_json_strings_stays_and_the_document_stays_json() {
    let mut service = service();
    let text =
        r#"{"a":"${aws:iot:s3-presigned-url:https://x","b":"}","c":"${aws:iot:s3-presigned-url:"}"#;
    let params = json!({"document": text});
    create_with(&mut service, T0, "j", &params);
    let read = ask(&mut service, T0, "j/get", &json!({})).accepted();
    let expected: Value = serde_json::from_str(text).unwrap();
    assert_eq!(read["execution"]["jobDocument"], expected);
}

#[test]
fn lifecycle_events_are_published_when_switched_on() {
    let settings = Settings {
        lifecycle_events: true,
        ..Settings::default()
    };
    let mut service = service_with(settings, &[THING]);
    create(&mut service, T0, "j");
    let sent = set(&mut service, T0, "j", "SUCCEEDED").rest;
    let topics: Vec<&str> = sent.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(
        topics,
        [
            "$aws/things/MyThing/jobs/notify",
            "$aws/things/MyThing/jobs/notify-next",
            "$aws/events/jobExecution/j/succeeded",
            "$aws/events/job/j/completed",
        ]
    );
    assert_eq!(body(&sent[2])["thingArn"], json!(arn("thing", THING)));
    assert_eq!(body(&sent[3])["completedAt"], json!(T0));
}

fn with_delayed_retry() -> Service {
    let settings = Settings {
        retry_delay_ms: 30_000,
        ..Settings::default()
    };
    let mut service = service_with(settings, &[THING]);
    let retry = json!({"jobExecutionsRetryConfig": {
        "criteriaList": [{"failureType": "ALL", "numberOfRetries": 1}],
    }});
    create_with(&mut service, T0, "j", &retry);
    set(&mut service, T0, "j", "FAILED").accepted();
    assert_eq!(service.next_deadline_ms(), Some(T0 + 30_000));
    service
}

#[test]
fn a_waiting_retry_is_dropped_with_its_thing_and_with_its_job() {
    let mut service = with_delayed_retry();
    service.delete_thing(T0, THING).unwrap();
    assert_eq!(service.next_deadline_ms(), None);
    assert_eq!(
        service.job_status("j"),
        Some(JobStatus::Completed),
        "nothing is left to do"
    );

    let mut service = with_delayed_retry();
    service.cancel_job(T0, "j", false).unwrap();
    assert_eq!(service.next_deadline_ms(), None);
    assert_eq!(view(&service, "j").execution_number, 1);
}

#[test]
fn failures_of_both_kinds_share_the_retries_of_an_all_criterion() {
    let mut service = service();
    let retry = json!({
        "timeoutConfig": {"inProgressTimeoutInMinutes": 1},
        "jobExecutionsRetryConfig": {
            "criteriaList": [{"failureType": "ALL", "numberOfRetries": 1}],
        },
    });
    create_with(&mut service, T0, "j", &retry);
    set(&mut service, T0, "j", "FAILED").accepted();
    set(&mut service, T0, "j", "IN_PROGRESS").accepted();
    service.advance(T0 + MINUTE);
    assert_eq!(view(&service, "j").execution_number, 2);
    assert_eq!(service.job_status("j"), Some(JobStatus::Completed));
}

#[test]
fn details_with_invisible_characters_are_refused_and_other_scripts_taken() {
    let mut service = service();
    create(&mut service, T0, "j");
    let mut code = |value: &str| {
        let request = json!({"status": "IN_PROGRESS", "statusDetails": {"k": value}});
        body(&ask(&mut service, T0, "j/update", &request).reply)["code"].clone()
    };
    for bad in [
        "\t",
        "\u{7f}",
        "\u{85}",
        "\u{200b}",
        "\u{feff}",
        "\u{e000}",
        "\u{2fffe}",
    ] {
        assert_eq!(code(bad), "InvalidRequest", "{bad:?}");
    }
    for good in ["é 字 😀", "\u{2028}", &"字".repeat(1024)] {
        assert_eq!(code(good), Value::Null, "{good:?}");
    }
}

#[test]
fn the_client_token_is_limited_in_bytes_and_never_echoed_when_refused() {
    let mut service = service();
    let longest = "é".repeat(32);
    let reply = ask(&mut service, T0, "get", &json!({"clientToken": longest})).accepted();
    assert_eq!(reply["clientToken"], json!(longest));
    for bad in [json!("é".repeat(33)), json!(5), json!({})] {
        let answer = ask(&mut service, T0, "get", &json!({"clientToken": bad}));
        assert_eq!(answer.code(), "InvalidRequest", "{bad}");
        assert_eq!(answer.rejected().get("clientToken"), None);
    }
}

#[test]
fn faults_reach_the_https_door_with_its_own_errors() {
    let mut service = service();
    service.set_fault(Fault::Throttle { requests: 1 });
    service.set_fault(Fault::InternalError { requests: 1 });
    let params = json!({"thingName": THING});
    let mut error = || {
        let op = jobs_emulator::model::DataOp::GetPendingJobExecutions;
        let error = model_support::http(&mut service, T0, op, &params).unwrap_err();
        (error.status, error.code)
    };
    assert_eq!(error(), (429, "ThrottlingException"));
    assert_eq!(error(), (503, "ServiceUnavailableException"));
}

#[test]
fn deleting_the_last_open_execution_completes_its_job() {
    let mut service = service_with(Settings::default(), &["a", "b"]);
    service
        .create_job(T0, "j", &["a", "b"], &json!({}))
        .unwrap();
    service.publish(
        T0,
        "$aws/things/a/jobs/j/update",
        br#"{"status":"SUCCEEDED"}"#,
    );
    let params = json!({"thingName": "b", "jobId": "j", "executionNumber": 1, "force": true});
    control(&mut service, T0, ControlOp::DeleteJobExecution, &params).unwrap();
    assert_eq!(service.job_status("j"), Some(JobStatus::Completed));
}
