//! Every switch of the settings does what it says.

mod model_support;

use jobs_emulator::model::{
    CheckOrder, EmptyPayload, Service, Settings, UnknownThing, UnknownTopic,
};
use model_support::{T0, THING, ask, ask_raw, create, create_with, service_with, set};
use serde_json::{Value, json};

fn with(change: impl FnOnce(&mut Settings)) -> Service {
    let mut settings = Settings::default();
    change(&mut settings);
    service_with(settings, &[THING])
}

#[test]
fn an_empty_payload_is_an_empty_object_or_invalid_json() {
    let mut service = with(|_| ());
    let reply = ask_raw(&mut service, T0, "get", b"").accepted();
    assert_eq!(
        reply,
        json!({"timestamp": T0 / 1000, "inProgressJobs": [], "queuedJobs": []})
    );
    let mut service = with(|s| s.empty_payload = EmptyPayload::InvalidJson);
    assert_eq!(ask_raw(&mut service, T0, "get", b"").code(), "InvalidJson");
}

#[test]
fn an_unknown_topic_is_rejected_with_its_token_or_met_with_silence() {
    let mut service = with(|_| ());
    let answer = ask(
        &mut service,
        T0,
        "$next/update",
        &json!({"clientToken": "t"}),
    );
    assert_eq!(
        answer.reply.topic,
        "$aws/things/MyThing/jobs/$next/update/rejected"
    );
    assert_eq!(answer.code(), "InvalidTopic");
    assert_eq!(answer.rejected()["clientToken"], "t");
    let mut service = with(|s| s.unknown_topic = UnknownTopic::Silent);
    assert!(
        service
            .publish(T0, "$aws/things/MyThing/jobs/unknown", b"{}")
            .is_empty()
    );
}

#[test]
fn a_thing_nobody_registered_is_not_found_or_idle() {
    let topic = "$aws/things/Stranger/jobs/start-next";
    let mut service = with(|_| ());
    let reply = service.publish(T0, topic, b"{}").remove(0);
    assert_eq!(model_support::body(&reply)["code"], "ResourceNotFound");
    let mut service = with(|s| s.unknown_thing = UnknownThing::NoWork);
    let reply = service.publish(T0, topic, b"{}").remove(0);
    assert_eq!(model_support::body(&reply), json!({"timestamp": T0 / 1000}));
}

#[test]
fn the_order_of_checks_decides_which_error_a_doubly_wrong_update_gets() {
    for (order, code) in [
        (CheckOrder::VersionFirst, "VersionMismatch"),
        (CheckOrder::TerminalFirst, "InvalidStateTransition"),
    ] {
        let mut service = with(|s| s.check_order = order);
        create(&mut service, T0, "j");
        set(&mut service, T0, "j", "SUCCEEDED").accepted();
        let request = json!({"status": "FAILED", "expectedVersion": 99});
        let answer = ask(&mut service, T0, "j/update", &request);
        assert_eq!(answer.code(), code);
        assert_eq!(answer.rejected()["executionState"]["status"], "SUCCEEDED");
    }
}

#[test]
fn a_start_is_notified_only_when_switched_on() {
    for on in [false, true] {
        let mut service = with(|s| s.notify_on_start = on);
        create(&mut service, T0, "j");
        let answer = set(&mut service, T0, "j", "IN_PROGRESS");
        assert_eq!(answer.notify().is_some(), on);
        assert_eq!(answer.notify_next(), None);
        assert_eq!(
            set(&mut service, T0, "j", "IN_PROGRESS").notify(),
            None,
            "progress is silent"
        );
    }
}

#[test]
fn the_thing_name_shows_over_mqtt_only_when_switched_on() {
    for (on, expected) in [(false, Value::Null), (true, json!(THING))] {
        let mut service = with(|s| s.thing_name_over_mqtt = on);
        let sent = create(&mut service, T0, "j");
        let next = model_support::notify_next(&sent).unwrap();
        assert_eq!(next["execution"]["thingName"], expected);
        let read = ask(&mut service, T0, "$next/get", &json!({})).accepted();
        assert_eq!(read["execution"]["thingName"], expected);
    }
}

#[test]
fn lists_can_grow_to_fifteen_and_no_further() {
    let mut service = with(|s| s.list_limit = 1000);
    for n in 0..20 {
        create(&mut service, T0, &format!("j{n}"));
    }
    let reply = ask(&mut service, T0, "get", &json!({})).accepted();
    assert_eq!(reply["queuedJobs"].as_array().unwrap().len(), 15);
}

#[test]
fn documents_that_are_no_objects_pass_when_allowed() {
    let mut service = with(|s| s.document_objects_only = false);
    create_with(&mut service, T0, "j", &json!({"document": " [1.50, 2e3] "}));
    let answer = ask(&mut service, T0, "j/get", &json!({}));
    let text = String::from_utf8(answer.reply.payload).unwrap();
    assert!(
        text.ends_with(r#""jobDocument": [1.50, 2e3] }}"#),
        "byte for byte: {text}"
    );
}

#[test]
fn presigned_urls_can_point_to_a_local_server() {
    let mut service = with(|s| s.presigned_base = Some("http://localhost:9000/".into()));
    let document =
        json!({"url": "${aws:iot:s3-presigned-url-v2:https://s3.us-east-1.amazonaws.com/b/k%2F1}"});
    service.create_job(T0, "j", &[THING], &document).unwrap();
    let read = ask(&mut service, T0, "j/get", &json!({})).accepted();
    let url = read["execution"]["jobDocument"]["url"].as_str().unwrap();
    assert!(
        url.starts_with("http://localhost:9000/b/k%2F1?X-Amz-"),
        "{url}"
    );
}
