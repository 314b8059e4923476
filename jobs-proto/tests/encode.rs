//! Requests, against the fixtures, serde_json and their own limits.

mod support;

use jobs_proto::details::{Details, DetailsError, PackedDetails, scrub};
use jobs_proto::encode::{
    self, Describe, EncodeError, GetPending, StartNext, StepMinutes, StepTimeout, Update,
};
use jobs_proto::{ClientToken, UpdateStatus, limits};
use proptest::prelude::*;
use serde_json::{Value, json};

const ROOM: usize = 1 << 16;

fn update_status(value: &Value) -> Option<UpdateStatus> {
    UpdateStatus::ALL
        .into_iter()
        .find(|status| Some(status.as_str()) == value.as_str())
}

fn int(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The pairs of a `statusDetails` in a fixture.
fn pairs(value: &Value) -> Option<Vec<(&str, &str)>> {
    let map = value.as_object()?;
    Some(
        map.iter()
            .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
            .collect(),
    )
}

fn token(value: &Value) -> Option<ClientToken<'_>> {
    value.as_str().map(|token| ClientToken::new(token).unwrap())
}

fn minutes(value: &Value) -> Option<StepMinutes> {
    value
        .as_u64()
        .map(|minutes| StepMinutes::new(u16::try_from(minutes).unwrap()).unwrap())
}

/// Encodes a fixture's update; `None` if the types cannot say it.
fn encode_update(value: &Value) -> Option<Result<Value, EncodeError>> {
    let pairs = pairs(&value["statusDetails"]);
    let mut update = Update::new(update_status(&value["status"])?);
    update.status_details = pairs.as_deref().map_or(Details::Unchanged, Details::Pairs);
    update.expected_version = int(&value["expectedVersion"]);
    if update.expected_version.is_none() && !value["expectedVersion"].is_null() {
        return None;
    }
    update.execution_number = int(&value["executionNumber"]);
    update.include_job_execution_state = value["includeJobExecutionState"] == true;
    update.include_job_document = value["includeJobDocument"] == true;
    update.step_timeout_minutes = match int(&value["stepTimeoutInMinutes"]) {
        None => None,
        Some(-1) => Some(StepTimeout::Cancel),
        Some(minutes) => Some(StepTimeout::Minutes(StepMinutes::new(
            u16::try_from(minutes).ok()?,
        )?)),
    };
    update.client_token = match value["clientToken"].as_str() {
        None => None,
        Some(token) => Some(ClientToken::new(token).ok()?),
    };
    Some(
        update
            .encode(&mut vec![0; ROOM])
            .map(|bytes| serde_json::from_slice(bytes).unwrap()),
    )
}

#[test]
fn every_update_of_the_fixtures_can_be_said() {
    for example in support::examples("update.request") {
        let mut expected = example.value.clone();
        // We send numbers where one example has text.
        if let Some(version) = int(&expected["expectedVersion"]) {
            expected["expectedVersion"] = json!(version);
        }
        assert_eq!(
            encode_update(&example.value),
            Some(Ok(expected)),
            "{}",
            example.name
        );
    }
}

#[test]
fn what_the_service_refuses_cannot_be_said_or_is_repaired() {
    let mut repaired = Vec::new();
    let fixture = support::json("update.request");
    for case in fixture["invalid"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if case.get("payloadRaw").is_some() {
            continue; // no request of ours starts from bytes
        }
        match (name, encode_update(&case["payload"])) {
            // Legal in form; the service decides.
            ("wrong version", Some(Ok(_))) | (_, None | Some(Err(EncodeError::Details(_)))) => {}
            ("value 1025 chars" | "newline in value", Some(Ok(sent))) => {
                for (_, value) in sent["statusDetails"].as_object().unwrap() {
                    let value = value.as_str().unwrap();
                    assert!(value.chars().count() <= 1024 && !value.contains(char::is_control));
                }
                repaired.push(name);
            }
            (name, sent) => panic!("{name} was sent as {sent:?}"),
        }
    }
    assert_eq!(repaired, ["value 1025 chars", "newline in value"]);
}

#[test]
fn every_start_next_of_the_fixtures_can_be_said() {
    for example in support::examples("start-next.request") {
        let value = &example.value;
        let pairs = pairs(&value["statusDetails"]);
        let request = StartNext {
            status_details: pairs.as_deref().map_or(Details::Unchanged, Details::Pairs),
            step_timeout_minutes: minutes(&value["stepTimeoutInMinutes"]),
            client_token: token(&value["clientToken"]),
        };
        let mut buf = vec![0; ROOM];
        let sent: Value = serde_json::from_slice(request.encode(&mut buf).unwrap()).unwrap();
        assert_eq!(sent, *value, "{}", example.name);
    }
}

#[test]
fn every_describe_and_get_pending_of_the_fixtures_can_be_said() {
    for example in support::examples("describe.request") {
        let value = &example.value;
        let request = Describe {
            execution_number: value["executionNumber"].as_i64(),
            include_job_document: value["includeJobDocument"].as_bool(),
            client_token: token(&value["clientToken"]),
        };
        let mut buf = [0; encode::DESCRIBE_LEN_MAX];
        let sent: Value = serde_json::from_slice(request.encode(&mut buf).unwrap()).unwrap();
        assert_eq!(sent, *value, "{}", example.name);
    }
    for example in support::examples("get-pending.request") {
        let request = GetPending {
            client_token: token(&example.value["clientToken"]),
        };
        let mut buf = [0; encode::GET_PENDING_LEN_MAX];
        let sent: Value = serde_json::from_slice(request.encode(&mut buf).unwrap()).unwrap();
        assert_eq!(sent, example.value, "{}", example.name);
    }
}

#[test]
fn members_stand_in_a_fixed_order_and_absent_ones_are_left_out() {
    let mut buf = [0; 64];
    assert_eq!(GetPending::default().encode(&mut buf).unwrap(), b"{}");
    assert_eq!(StartNext::default().encode(&mut buf).unwrap(), b"{}");
    assert_eq!(Describe::default().encode(&mut buf).unwrap(), b"{}");
    let mut update = Update::new(UpdateStatus::Failed);
    assert_eq!(update.encode(&mut buf).unwrap(), br#"{"status":"FAILED"}"#);
    update.execution_number = Some(0);
    assert_eq!(
        update.encode(&mut buf).unwrap(),
        br#"{"status":"FAILED","executionNumber":0}"#
    );
    update.execution_number = None;
    update.status_details = Details::Pairs(&[]);
    assert_eq!(
        update.encode(&mut buf).unwrap(),
        br#"{"status":"FAILED","statusDetails":{}}"#
    );
    update.status_details = Details::Pairs(&[("a", "\"\\\u{e4}\t")]);
    let expected = "{\"status\":\"FAILED\",\"statusDetails\":{\"a\":\"\\\"\\\\\u{e4} \"}}";
    assert_eq!(update.encode(&mut buf).unwrap(), expected.as_bytes());
}

/// An update with every member at its longest.
fn longest<'a>(pairs: &'a [(&'a str, &'a str)], token: &'a str) -> Update<'a> {
    Update {
        status: UpdateStatus::InProgress,
        status_details: Details::Pairs(pairs),
        expected_version: Some(i64::MIN),
        execution_number: Some(i64::MIN),
        include_job_execution_state: true,
        include_job_document: true,
        step_timeout_minutes: Some(StepTimeout::Minutes(StepMinutes::MAX)),
        client_token: ClientToken::new(token).ok(),
    }
}

#[test]
fn the_longest_requests_reach_the_constants_to_the_byte() {
    let keys: Vec<String> = (0..10).map(|n| format!("{n}{}", "k".repeat(127))).collect();
    let value = "\u{1F600}".repeat(1024);
    let pairs: Vec<_> = keys
        .iter()
        .map(|key| (key.as_str(), value.as_str()))
        .collect();
    let token = "t".repeat(64);
    let update = longest(&pairs, &token);
    let mut buf = vec![0; encode::UPDATE_LEN_MAX];
    assert_eq!(
        update.encode(&mut buf).unwrap().len(),
        encode::UPDATE_LEN_MAX
    );
    buf.pop();
    let needed = encode::UPDATE_LEN_MAX;
    assert_eq!(
        update.encode(&mut buf),
        Err(EncodeError::TooSmall { needed })
    );

    let start = StartNext {
        status_details: Details::Pairs(&pairs),
        step_timeout_minutes: Some(StepMinutes::MAX),
        client_token: ClientToken::new(&token).ok(),
    };
    let needed = encode::START_NEXT_LEN_MAX;
    assert_eq!(start.encode(&mut []), Err(EncodeError::TooSmall { needed }));

    let describe = Describe {
        execution_number: Some(i64::MIN),
        include_job_document: Some(false),
        client_token: ClientToken::new(&token).ok(),
    };
    let needed = encode::DESCRIBE_LEN_MAX;
    assert_eq!(
        describe.encode(&mut []),
        Err(EncodeError::TooSmall { needed })
    );

    let get = GetPending {
        client_token: ClientToken::new(&token).ok(),
    };
    let needed = encode::GET_PENDING_LEN_MAX;
    assert_eq!(get.encode(&mut []), Err(EncodeError::TooSmall { needed }));
}

#[test]
fn illegal_details_are_named() {
    let encoded = |pairs: &[(&str, &str)]| {
        let mut update = Update::new(UpdateStatus::Failed);
        update.status_details = Details::Pairs(pairs);
        update.encode(&mut [0; 4096]).map(|_| ()).unwrap_err()
    };
    let long = "k".repeat(129);
    for key in ["", "a b", "ä", "a.b", "a\"", long.as_str()] {
        assert_eq!(
            encoded(&[(key, "v")]),
            EncodeError::Details(DetailsError::BadKey),
            "{key}"
        );
    }
    for value in ["", "\0", "\u{1b}\u{200b}\u{feff}"] {
        assert_eq!(
            encoded(&[("k", value)]),
            EncodeError::Details(DetailsError::EmptyValue)
        );
    }
    let twice = [("k", "v"), ("k", "w")];
    assert_eq!(
        encoded(&twice),
        EncodeError::Details(DetailsError::DuplicateKey)
    );
    let keys: Vec<String> = (0..11).map(|n| format!("k{n}")).collect();
    let eleven: Vec<_> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    assert_eq!(
        encoded(&eleven),
        EncodeError::Details(DetailsError::TooManyPairs)
    );
    let broken = PackedDetails(&[1, b'k', 9, 0, b'v']);
    assert!(!broken.is_valid());
}

#[test]
fn packed_details_are_sent_like_pairs() {
    let (mut buf, mut len) = ([0; 128], 0);
    PackedDetails::push(&mut buf, &mut len, "a", "1\r\n2").unwrap();
    PackedDetails::push(&mut buf, &mut len, "b:c", "\"x\"").unwrap();
    let packed = PackedDetails(&buf[..len]);
    assert!(packed.is_valid() && !packed.is_empty());
    let mut update = Update::new(UpdateStatus::Succeeded);
    update.status_details = Details::Packed(packed);
    let from_packed = update.encode(&mut [0; 256]).unwrap().to_vec();
    update.status_details = Details::Pairs(&[("a", "1\r\n2"), ("b:c", "\"x\"")]);
    assert_eq!(update.encode(&mut [0; 256]).unwrap(), from_packed);
}

#[test]
fn packing_refuses_what_does_not_fit_and_leaves_the_rest_alone() {
    let (mut buf, mut len) = ([0; 16], 0);
    PackedDetails::push(&mut buf, &mut len, "a", "1").unwrap();
    let before = (buf, len);
    for (key, value, error) in [
        ("a", "2", DetailsError::DuplicateKey),
        ("b", "", DetailsError::EmptyValue),
        ("", "2", DetailsError::BadKey),
        ("b", "0123456789", DetailsError::BufferFull),
        ("bbbbbbbbb", "0", DetailsError::BufferFull),
    ] {
        assert_eq!(
            PackedDetails::push(&mut buf, &mut len, key, value),
            Err(error)
        );
        assert!(
            PackedDetails(&buf[..len])
                .iter()
                .eq(PackedDetails(&before.0[..before.1]).iter())
        );
        assert_eq!(len, before.1);
    }
    PackedDetails::push_cut(&mut buf, &mut len, "b", "01234\u{e4}\u{e4}").unwrap();
    assert!(
        PackedDetails(&buf[..len])
            .iter()
            .eq([("a", "1"), ("b", "01234\u{e4}")])
    );
    assert_eq!(
        PackedDetails::push_cut(&mut buf, &mut len, "c", "0"),
        Err(DetailsError::BufferFull)
    );

    let (mut buf, mut len) = ([0; 5], 0);
    let wide = PackedDetails::push_cut(&mut buf, &mut len, "c", "\u{e4}");
    assert_eq!((wide, len), (Err(DetailsError::BufferFull), 0));

    let (mut buf, mut len) = ([0; 128], 0);
    for n in 0..10 {
        PackedDetails::push(&mut buf, &mut len, &format!("k{n}"), "v").unwrap();
    }
    let eleventh = PackedDetails::push(&mut buf, &mut len, "k10", "v");
    assert_eq!(eleventh, Err(DetailsError::TooManyPairs));
}

#[test]
fn packed_bytes_that_were_damaged_are_noticed() {
    for bytes in [
        &[1][..],
        &[1, b'k', 1, 0],
        &[1, b'k', 2, 0, 0xC3, 0x28],
        &[0, 1, 0, b'v'],
        &[1, b'k', 0, 0],
        &[1, b'k', 1, 0, b'\n'],
        &[1, b'k', 1, 0, b'v', 1, b'k', 1, 0, b'w'],
        &[1, b'k', 1, 0, b'v', 7],
    ] {
        assert!(!PackedDetails(bytes).is_valid(), "{bytes:?}");
    }
    assert!(PackedDetails(&[]).is_valid());
}

#[test]
fn scrubbing_drops_what_the_pattern_forbids_and_keeps_the_rest() {
    let kept = "aZ09 ~\u{a0}\u{e4}\u{4e2d}\u{2028}\u{fffd}\u{1f600}";
    assert!(scrub(kept).eq(kept.chars()));
    let dropped = "\0\u{7f}\u{80}\u{9f}\u{ad}\u{200b}\u{200e}\u{202e}\u{2066}\u{feff}\u{e000}\u{fdd0}\u{fffe}\u{1d173}\u{1ffff}\u{e0000}\u{e0041}\u{f0000}\u{10ffff}";
    assert_eq!(scrub(dropped).count(), 0);
    assert!(scrub("a\tb\nc\rd\u{85}e").eq("a b c d e".chars()));
    assert_eq!(
        scrub(&"\u{1f600}".repeat(2000)).count(),
        limits::STATUS_DETAILS_VALUE_CHARS_MAX
    );
}

fn details() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof!["\\PC{1,40}", "[\\x00-\\x7f]{1,30}", any::<String>()];
    proptest::collection::btree_map("[a-zA-Z0-9:_-]{1,128}", value, 0..=10)
        .prop_map(|map| map.into_iter().collect())
}

fn update<'a>(
    status: usize,
    pairs: &'a [(&'a str, &'a str)],
    numbers: (Option<i64>, Option<i64>),
    flags: (bool, bool),
    minutes: Option<u16>,
    token: Option<&'a str>,
) -> Update<'a> {
    let mut update = Update::new(UpdateStatus::ALL[status]);
    update.status_details = Details::Pairs(pairs);
    (update.expected_version, update.execution_number) = numbers;
    (
        update.include_job_execution_state,
        update.include_job_document,
    ) = flags;
    update.step_timeout_minutes =
        minutes.map(|n| StepMinutes::new(n).map_or(StepTimeout::Cancel, StepTimeout::Minutes));
    update.client_token = token.map(|token| ClientToken::new(token).unwrap());
    update
}

#[test]
fn what_is_not_printed_is_dropped_from_a_reported_value_in_every_place_of_it() {
    for dropped in ['\0', '\u{1B}', '\u{7F}', '\u{80}', '\u{AD}'] {
        for place in 0..=20 {
            let mut value = "one and twenty bytes.".to_owned();
            value.insert(place, dropped);
            let mut update = Update::new(UpdateStatus::Failed);
            let pairs = [("step", value.as_str())];
            update.status_details = Details::Pairs(&pairs);
            let mut buf = [0; 128];
            let bytes = update.encode(&mut buf).unwrap();
            let read: Value = serde_json::from_slice(bytes).unwrap();
            let told = &read["statusDetails"]["step"];
            assert_eq!(told, "one and twenty bytes.", "{dropped:?} at {place}");
        }
    }
}

proptest! {
    #[test]
    fn serde_json_reads_back_what_an_update_says(
        status in 0_usize..4,
        details in details(),
        numbers: (Option<i64>, Option<i64>),
        flags: (bool, bool),
        minutes: Option<u16>,
        token in proptest::option::of("[!#-\\[\\]-~]{1,64}"),
    ) {
        let pairs: Vec<_> = details.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let update = update(status, &pairs, numbers, flags, minutes, token.as_deref());
        let mut buf = vec![0; encode::UPDATE_LEN_MAX];
        let bytes = match update.encode(&mut buf) {
            Ok(bytes) => bytes,
            Err(error) => {
                let empty = pairs.iter().any(|(_, value)| scrub(value).next().is_none());
                prop_assert!(empty, "{error}");
                return Ok(());
            }
        };
        prop_assert!(bytes.len() <= encode::UPDATE_LEN_MAX);
        let value: Value = serde_json::from_slice(bytes).unwrap();
        prop_assert_eq!(&value["status"], update.status.as_str());
        prop_assert_eq!(value["expectedVersion"].as_i64(), numbers.0);
        prop_assert_eq!(value["executionNumber"].as_i64(), numbers.1);
        prop_assert_eq!(value["includeJobExecutionState"] == true, flags.0);
        prop_assert_eq!(value["includeJobDocument"] == true, flags.1);
        prop_assert_eq!(value["clientToken"].as_str(), token.as_deref());
        let read = value["statusDetails"].as_object().unwrap();
        prop_assert_eq!(read.len(), pairs.len());
        for (key, value) in &pairs {
            let expected: String = scrub(value).collect();
            prop_assert_eq!(read[*key].as_str(), Some(expected.as_str()));
            prop_assert!(!expected.contains(char::is_control));
        }
    }

    #[test]
    fn the_needed_length_is_exact_for_every_buffer(details in details(), room in 0_usize..4000) {
        let pairs: Vec<_> = details.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut update = Update::new(UpdateStatus::Failed);
        update.status_details = Details::Pairs(&pairs);
        let mut buf = vec![0; encode::UPDATE_LEN_MAX];
        let Ok(full) = update.encode(&mut buf).map(<[u8]>::to_vec) else { return Ok(()) };
        let mut short = vec![0; room];
        match update.encode(&mut short) {
            Ok(bytes) => prop_assert_eq!(bytes, &full[..]),
            Err(error) => {
                prop_assert!(room < full.len());
                prop_assert_eq!(error, EncodeError::TooSmall { needed: full.len() });
            }
        }
    }

    #[test]
    fn packed_pairs_come_back_scrubbed(details in details()) {
        let mut buf = vec![0; PackedDetails::LEN_MAX];
        let mut len = 0;
        let mut expected = Vec::new();
        for (key, value) in &details {
            let scrubbed: String = scrub(value).collect();
            let pushed = PackedDetails::push(&mut buf, &mut len, key, value);
            prop_assert_eq!(pushed.is_ok(), !scrubbed.is_empty());
            if pushed.is_ok() {
                expected.push((key.clone(), scrubbed));
            }
        }
        let packed = PackedDetails(&buf[..len]);
        prop_assert!(packed.is_valid());
        let read: Vec<_> = packed.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn strings_are_unescaped_as_by_serde_json(text: String, ascii: bool) {
        let mut json = serde_json::to_string(&text).unwrap();
        if ascii {
            let escape = |unit: u16| format!("\\u{unit:04x}");
            json = text.encode_utf16().map(escape).collect();
            json = format!("\"{json}\"");
        }
        let document = format!("{{\"a\":{json}}}");
        let read = jobs_proto::document::Document(document.as_bytes()).str_field("a").unwrap();
        prop_assert!(read.eq_str(&text));
        prop_assert_eq!(read.to_string(), text.clone());
        let mut buf = vec![0; text.len()];
        prop_assert_eq!(read.unescape(&mut buf), Ok(text.as_str()));
    }
}
