//! Limits, names and transitions, against the fixtures.

mod support;

use jobs_proto::transition::{Actor, allowed};
use jobs_proto::{
    ClientToken, ErrorCode, IdError, JobId, JobStatus, ThingName, UpdateStatus, limits,
};
use serde_json::Value;

fn names(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect()
}

#[test]
fn the_limits_are_those_of_the_model() {
    let all = support::json("limits");
    let (device, mqtt) = (&all["devicePlane"], &all["mqtt"]);
    assert_eq!(device["jobId"]["max"], limits::JOB_ID_LEN_MAX);
    assert_eq!(device["thingName"]["max"], limits::THING_NAME_LEN_MAX);
    assert_eq!(
        device["clientToken"]["maxBytes"],
        limits::CLIENT_TOKEN_LEN_MAX
    );
    let details = &device["statusDetails"];
    assert_eq!(details["maxPairs"], limits::STATUS_DETAILS_PAIRS_MAX);
    assert_eq!(details["key"]["max"], limits::STATUS_DETAILS_KEY_LEN_MAX);
    assert_eq!(
        details["value"]["max"],
        limits::STATUS_DETAILS_VALUE_CHARS_MAX
    );
    assert_eq!(device["jobDocument"]["maxBytes"], limits::DOCUMENT_LEN_MAX);
    assert_eq!(
        device["stepTimeoutInMinutes"]["min"],
        limits::STEP_TIMEOUT_MIN_MINUTES
    );
    assert_eq!(
        device["stepTimeoutInMinutes"]["max"],
        limits::STEP_TIMEOUT_MAX_MINUTES
    );
    assert_eq!(
        device["timeoutLatenessSeconds"],
        limits::TIMEOUT_LATENESS_MAX_SECONDS
    );
    assert_eq!(
        device["notifyMaxExecutions"]["current"],
        limits::LIST_ENTRIES_MAX
    );
    assert_eq!(mqtt["payloadMaxBytes"], limits::MQTT_PAYLOAD_LEN_MAX);
    assert_eq!(
        mqtt["subscriptionsPerSubscribe"],
        limits::FILTERS_PER_SUBSCRIBE_MAX
    );
}

#[test]
fn the_names_are_those_of_the_model() {
    let device = support::json("limits")["devicePlane"].clone();
    let ours: Vec<_> = JobStatus::ALL.map(JobStatus::as_str).into();
    assert_eq!(ours, names(&device["status"]));
    let ours: Vec<_> = UpdateStatus::ALL.map(UpdateStatus::as_str).into();
    assert_eq!(ours, names(&device["deviceSettable"]));
    let ours: Vec<_> = ErrorCode::ALL.map(ErrorCode::as_str).into();
    assert_eq!(ours, names(&device["errorCodes"]));
    for status in JobStatus::ALL {
        assert_eq!(JobStatus::parse(status.as_str()), Some(status));
        assert_eq!(
            status.is_terminal(),
            names(&device["terminal"]).contains(&status.as_str())
        );
    }
    for text in ["", "queued", "SUCCESS", "QUEUED ", "CANCELLED"] {
        assert_eq!(JobStatus::parse(text), None);
    }
}

#[test]
fn a_device_may_change_what_the_scenarios_allow_and_nothing_else() {
    let scenarios = support::json("scenarios");
    let mut told = std::collections::HashMap::new();
    for row in scenarios["transitionsByDevice"].as_array().unwrap() {
        let from = row["from"].as_str().unwrap();
        let to = row["to"].as_str().unwrap();
        for origin in JobStatus::ALL {
            let origin_fits =
                origin.as_str() == from || (from == "any non-terminal" && !origin.is_terminal());
            for target in JobStatus::ALL {
                if origin_fits && (target.as_str() == to || to == "any") {
                    told.insert((origin, target), row["result"] == "ok");
                }
            }
        }
    }
    for from in JobStatus::ALL {
        for to in JobStatus::ALL {
            let expected = told.get(&(from, to));
            assert_eq!(
                Some(&allowed(from, to, Actor::Device)),
                expected,
                "{from:?} {to:?}"
            );
        }
    }
}

#[test]
fn the_service_ends_what_is_not_over_and_starts_nothing() {
    use JobStatus::{Canceled, InProgress, Queued, Removed, TimedOut};
    let expected = [
        (Queued, Canceled),
        (Queued, Removed),
        (InProgress, Canceled),
        (InProgress, Removed),
        (InProgress, TimedOut),
    ];
    for from in JobStatus::ALL {
        for to in JobStatus::ALL {
            assert_eq!(
                allowed(from, to, Actor::Service),
                expected.contains(&(from, to))
            );
        }
    }
    // The fixture's actions lead to no other state.
    for action in support::json("scenarios")["serviceActions"]
        .as_array()
        .unwrap()
    {
        for from in [Queued, InProgress] {
            let result = action[from.as_str()].as_str().unwrap_or("");
            let to = JobStatus::ALL
                .into_iter()
                .find(|to| result.starts_with(to.as_str()));
            assert!(
                to.is_none_or(|to| allowed(from, to, Actor::Service)),
                "{action}"
            );
        }
    }
}

#[test]
fn identifiers_keep_to_their_alphabet_and_length() {
    let (job, thing) = ("Az09_-".repeat(10) + "abcd", "Az09_-:".repeat(18) + "ab");
    assert_eq!(JobId::new(&job).map(|id| id.as_str().len()), Ok(64));
    assert_eq!(
        ThingName::new(&thing).map(|name| name.as_str().len()),
        Ok(128)
    );
    assert_eq!(JobId::new(""), Err(IdError::Empty));
    assert_eq!(
        JobId::new(&"a".repeat(65)),
        Err(IdError::TooLong { max: 64 })
    );
    assert_eq!(
        ThingName::new(&"a".repeat(129)),
        Err(IdError::TooLong { max: 128 })
    );
    assert_eq!(
        ClientToken::new(&"a".repeat(65)),
        Err(IdError::TooLong { max: 64 })
    );
    assert_eq!(JobId::new("ab:c"), Err(IdError::BadCharacter { at: 2 }));
    for byte in 0_u8..=0x7F {
        let text = String::from(char::from(byte));
        let plain = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        assert_eq!(JobId::new(&text).is_ok(), plain);
        assert_eq!(ThingName::new(&text).is_ok(), plain || byte == b':');
        // A token is its own JSON.
        let json = serde_json::to_string(&text).unwrap();
        let visible = byte > b' ' && byte < 0x7F && json == format!("\"{text}\"");
        assert_eq!(ClientToken::new(&text).is_ok(), visible, "{byte}");
    }
}
