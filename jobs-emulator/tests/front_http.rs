//! What the AWS CLI and SDKs see over HTTP.

mod front_support;

use front_support::{Client, control, create_job, emulator, http, topic};
use serde_json::{Value, json};

const ARN: &str = "arn:aws:iot:us-east-1:123456789012:thing/t1";

#[tokio::test]
async fn a_job_created_by_http_arrives_over_mqtt() {
    let emulator = emulator(&[]).await;
    let made = control(emulator.http_addr(), "POST", "/things/t1", json!({})).await;
    assert_eq!((made.status, &made.body["thingArn"]), (200, &json!(ARN)));
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.subscribe(&[&topic("t1", "notify-next")], 1).await;

    let job = json!({"targets": [ARN], "document": r#"{"operation":"reboot"}"#});
    let made = control(emulator.http_addr(), "PUT", "/jobs/j1", job).await;
    assert_eq!((made.status, &made.body["jobId"]), (200, &json!("j1")));
    let told = device.message().await;
    assert_eq!(told.topic, topic("t1", "notify-next"));
    assert_eq!(
        told.json()["execution"]["jobDocument"],
        json!({"operation": "reboot"})
    );

    device
        .request(&topic("t1", "j1/update"), json!({"status": "SUCCEEDED"}))
        .await;
    let path = "/things/t1/jobs/j1";
    let seen = control(emulator.http_addr(), "GET", path, Value::Null).await;
    assert_eq!(seen.body["execution"]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn the_data_plane_is_chosen_by_the_signing_name() {
    let emulator = emulator(&["t1"]).await;
    create_job(&emulator, "j1", &["t1"]);
    let address = emulator.http_addr();
    let list = http(address, "GET", "/things/t1/jobs", "iot", "", "").await;
    assert!(list.body["executionSummaries"].is_array(), "{list:?}");
    let pending = http(address, "GET", "/things/t1/jobs", "iot-jobs-data", "", "").await;
    assert_eq!(pending.body["queuedJobs"][0]["jobId"], "j1");

    let next = "/things/t1/jobs/%24next";
    let described = http(address, "GET", next, "iot-jobs-data", "", "").await;
    assert_eq!(
        described.body["execution"]["jobDocument"],
        r#"{"operation":"reboot"}"#
    );
    let started = http(
        address,
        "PUT",
        "/things/t1/jobs/$next",
        "iot-jobs-data",
        "",
        "{}",
    )
    .await;
    assert_eq!(started.body["execution"]["status"], "IN_PROGRESS");
    let body = json!({"status": "SUCCEEDED"}).to_string();
    let done = http(
        address,
        "POST",
        "/things/t1/jobs/j1",
        "iot-jobs-data",
        "",
        &body,
    )
    .await;
    assert_eq!(done.status, 200, "{done:?}");
}

#[tokio::test]
async fn errors_name_the_exception_in_the_header_and_the_reason_in_the_body() {
    let emulator = emulator(&[]).await;
    let address = emulator.http_addr();
    let missing = control(address, "GET", "/jobs/none", Value::Null).await;
    assert_eq!(missing.status, 404);
    assert_eq!(
        missing.header("x-amzn-errortype"),
        Some("ResourceNotFoundException")
    );
    assert!(missing.body["message"].is_string());

    for (method, path, body) in [
        ("PUT", "/jobs/j1", "{"),
        ("PUT", "/jobs/j1", "[]"),
        ("GET", "/jobs/%zz", ""),
    ] {
        let refused = http(address, method, path, "iot", "", body).await;
        assert_eq!(refused.status, 400, "{method} {path} {body}");
        assert_eq!(
            refused.header("x-amzn-errortype"),
            Some("InvalidRequestException")
        );
    }
}

#[tokio::test]
async fn an_unknown_operation_is_a_4xx_with_words() {
    let emulator = emulator(&[]).await;
    for (service, path) in [("iot", "/policies/p"), ("iot", "/"), ("s3", "/jobs")] {
        let refused = http(emulator.http_addr(), "GET", path, service, "", "").await;
        assert!((400..500).contains(&refused.status), "{refused:?}");
        let words = refused.body["message"].as_str().unwrap_or_default();
        assert!(words.contains("this emulator"), "{words}");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let emulator = emulator(&[]).await;
    let body = "x".repeat(1024 * 1024 + 1);
    let refused = http(emulator.http_addr(), "PUT", "/jobs/j1", "iot", "", &body).await;
    assert_eq!(refused.status, 413);
}

#[tokio::test]
async fn the_endpoint_is_a_bare_host_name() {
    let emulator = emulator(&[]).await;
    let path = "/endpoint?endpointType=iot%3AData-ATS";
    let answer = control(emulator.http_addr(), "GET", path, Value::Null).await;
    assert_eq!(answer.body["endpointAddress"], "localhost");
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let emulator = emulator(&[]).await;
    let one = control(emulator.http_addr(), "GET", "/things", Value::Null).await;
    let two = control(emulator.http_addr(), "GET", "/things", Value::Null).await;
    let (one, two) = (
        one.header("x-amzn-requestid"),
        two.header("x-amzn-requestid"),
    );
    assert!(one.is_some() && one != two, "{one:?} {two:?}");
}

#[tokio::test]
async fn query_parameters_reach_the_operation() {
    let emulator = emulator(&["t1"]).await;
    create_job(&emulator, "j1", &["t1"]);
    let mut device = Client::connect(emulator.mqtt_addr(), "d1").await;
    device.request(&topic("t1", "start-next"), json!({})).await;
    let address = emulator.http_addr();
    let refused = control(address, "DELETE", "/jobs/j1", Value::Null).await;
    assert_eq!(
        refused.header("x-amzn-errortype"),
        Some("InvalidStateTransitionException")
    );
    let list = control(
        address,
        "GET",
        "/things/t1/jobs?status=IN_PROGRESS",
        Value::Null,
    )
    .await;
    assert_eq!(
        list.body["executionSummaries"].as_array().map(Vec::len),
        Some(1)
    );
    let list = control(address, "GET", "/things/t1/jobs?status=QUEUED", Value::Null).await;
    assert_eq!(
        list.body["executionSummaries"].as_array().map(Vec::len),
        Some(0)
    );
    let canceled = control(address, "PUT", "/jobs/j1/cancel?force=true", json!({})).await;
    assert_eq!(canceled.status, 200, "{canceled:?}");
    let seen = control(address, "GET", "/things/t1/jobs/j1", Value::Null).await;
    assert_eq!(seen.body["execution"]["status"], "CANCELED");
}

#[tokio::test]
async fn certificates_need_the_tls_front() {
    let emulator = emulator(&[]).await;
    let path = "/keys-and-certificate?setAsActive=true";
    let refused = control(emulator.http_addr(), "POST", path, json!({})).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.body["message"]
            .as_str()
            .is_some_and(|text| text.contains("--mqtts"))
    );
}
