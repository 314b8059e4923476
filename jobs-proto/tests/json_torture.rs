//! JSON at its edges: every short text against `serde_json`, and the places where the standard
//! (RFC 8259) leaves the verdict to the reader, each with ours.
//!
//! The two exhaustive tests are ignored in an ordinary run; `cargo xtask verify` runs them in
//! release, where they take seconds.

use jobs_proto::decode::{self, DecodeError, ErrorKind};
use jobs_proto::document::Document;
use serde::de::IgnoredAny;
use serde_json::Value;

/// All that JSON is made of, one of each kind.
const ALPHABET: &[u8; 16] = b"{}[]\",:\\1-0e.nu ";

/// The stack of a small board's task, bytes; what recursed would not fit into it.
const SMALL_STACK_LEN: usize = 64 * 1024;

/// One member `a` with this value.
fn object(value: &[u8]) -> Vec<u8> {
    [b"{\"a\":".as_slice(), value, b"}"].concat()
}

/// A message whose job document is this.
fn offer(document: &[u8]) -> Vec<u8> {
    let mut message = br#"{"execution":{"jobId":"j","jobDocument":"#.to_vec();
    message.extend_from_slice(document);
    message.extend_from_slice(b"}}");
    message
}

fn is_taken(value: &[u8]) -> bool {
    Document(&object(value)).is_object()
}

fn serde_takes(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

fn fault(message: &[u8]) -> ErrorKind {
    decode::notify_next(message).expect_err("refused").kind
}

/// Calls `judge` with every text of exactly `len` symbols; returns how many there were.
fn every_text(len: u32, symbols: &[u8], mut judge: impl FnMut(&[u8])) -> u64 {
    let base = symbols.len() as u64;
    let mut text = vec![0; len as usize];
    for number in 0..base.pow(len) {
        let mut rest = number;
        for place in &mut text {
            *place = symbols[(rest % base) as usize];
            rest /= base;
        }
        judge(&text);
    }
    base.pow(len)
}

#[test]
#[ignore = "17.9 million texts: seconds in release, minutes in debug"]
fn every_value_of_up_to_six_symbols_is_judged_as_by_serde_json() {
    let (mut judged, mut accepted) = (0, 0_u64);
    for len in 0..=6 {
        judged += every_text(len, ALPHABET, |value| {
            let message = object(value);
            let taken = Document(&message).is_object();
            accepted += u64::from(taken);
            assert_eq!(
                taken,
                serde_takes(&message),
                "{:?}",
                value.escape_ascii().to_string()
            );
        });
    }
    println!("{judged} texts, {accepted} of them JSON");
    assert_eq!(judged, 17_895_697);
    assert_eq!(accepted, 52_059);
}

#[test]
#[ignore = "16.8 million texts: seconds in release, minutes in debug"]
fn every_string_of_up_to_three_bytes_is_judged_as_by_serde_json() {
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let mut judged = 0;
    for len in 0..=3 {
        judged += every_text(len, &bytes, |inside| {
            let value = [b"\"", inside, b"\""].concat();
            // A quote inside ends the string early: then all of the message is what counts.
            let message = object(&value);
            // serde_json steps over a string without a look at its UTF-8 when nobody reads it.
            let theirs = std::str::from_utf8(&message).is_ok() && serde_takes(&message);
            assert_eq!(Document(&message).is_object(), theirs, "{inside:02x?}");
        });
    }
    println!("{judged} strings");
    assert_eq!(judged, 1 + 256 + 65_536 + 16_777_216);
}

#[test]
fn utf8_of_four_bytes_is_judged_as_by_the_standard_library() {
    // Each byte at, just below and just above every limit of the UTF-8 tables.
    let edges = [
        0x00, 0x1F, 0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0,
        0xED, 0xEE, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF,
    ];
    let judged = every_text(4, &edges, |inside| {
        let value = [b"\"", inside, b"\""].concat();
        let legal = std::str::from_utf8(inside).is_ok() && inside.iter().all(|byte| *byte >= 0x20);
        assert_eq!(is_taken(&value), legal, "{inside:02x?}");
    });
    assert_eq!(judged, 279_841);
}

#[test]
fn a_byte_that_is_no_utf8_is_found_in_every_place_of_a_long_text() {
    for len in [8, 64, 65, 72, 200] {
        for at in 0..len {
            let mut value = vec![b'a'; len + 2];
            (value[0], value[len + 1]) = (b'"', b'"');
            assert!(is_taken(&value));
            value[at + 1] = 0xFF;
            assert!(!is_taken(&value), "place {at} of {len}");
        }
    }
    // No bit but the highest of each byte: what looks for bits must not take them away.
    assert!(!is_taken(b"\"\x80\x80\x80\x80\x80\x80\x80\x80\""));
}

#[test]
fn every_escape_of_sixteen_bits_is_judged_and_read_as_by_serde_json() {
    for unit in 0..=0xFFFF_u32 {
        let value = format!("\"\\u{unit:04x}\"");
        let message = object(value.as_bytes());
        let theirs: Result<Value, _> = serde_json::from_slice(&message);
        let ours = Document(&message).str_field("a");
        match theirs {
            Ok(theirs) => {
                let text = theirs["a"].as_str().expect("a string");
                assert!(ours.is_some_and(|ours| ours.eq_str(text)), "{value}");
            }
            Err(_) => assert_eq!(ours, None, "{value}"),
        }
    }
}

#[test]
fn surrogates_are_read_in_pairs_and_refused_alone() {
    // RFC 8259, 8.2: the behaviour on half a pair is unpredictable. Ours: it is no text.
    let edges = [0xD7FF_u32, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000];
    for high in edges {
        for low in edges {
            let value = format!("\"\\u{high:04X}\\u{low:04x}\"");
            let message = object(value.as_bytes());
            let theirs: Option<Value> = serde_json::from_slice(&message).ok();
            let ours = Document(&message).str_field("a");
            let ours = ours.map(|text| text.chars().collect::<String>());
            let theirs = theirs.and_then(|value| Some(value["a"].as_str()?.to_owned()));
            assert_eq!(ours, theirs, "{value}");
        }
    }
    for lone in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\u""#,
    ] {
        assert!(!is_taken(lone.as_bytes()), "{lone}");
        assert_eq!(fault(&offer(lone.as_bytes())), ErrorKind::Syntax, "{lone}");
    }
}

/// Every decoder, so that none is forgotten in an attack; `true` if it took the message.
fn decoders() -> [fn(&[u8]) -> bool; 7] {
    [
        |message| decode::notify_next(message).is_ok(),
        |message| decode::describe_accepted(message).is_ok(),
        |message| decode::start_next_accepted(message).is_ok(),
        |message| decode::notify(message).is_ok(),
        |message| decode::get_pending_accepted(message).is_ok(),
        |message| decode::update_accepted(message).is_ok(),
        |message| decode::rejected(message).is_ok(),
    ]
}

/// Runs on a stack that anything recursive would overflow.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(SMALL_STACK_LEN);
    thread
        .spawn(work)
        .expect("a thread")
        .join()
        .expect("no panic, no overflow");
}

#[test]
fn a_megabyte_of_brackets_is_refused_on_a_small_stack() {
    on_a_small_stack(|| {
        for unit in [
            "[",
            "{\"a\":",
            "[{\"a\":",
            "{\"execution\":",
            "{\"jobs\":",
            "[]",
            "{}",
            "\"",
            "\\",
            ",",
        ] {
            let bomb = unit.repeat(1_048_576 / unit.len());
            for bomb in [
                bomb.clone().into_bytes(),
                object(bomb.as_bytes()),
                offer(bomb.as_bytes()),
            ] {
                assert!(!Document(&bomb).is_object(), "{unit}");
                assert_eq!(Document(&bomb).raw_field("a"), None, "{unit}");
                for take in decoders() {
                    assert!(!take(&bomb), "{unit}");
                }
            }
        }
    });
}

#[test]
fn the_limit_of_depth_counts_objects_and_arrays_alike_in_any_order() {
    // RFC 8259, 9: a reader may set a limit. Ours is 32 levels in one member.
    for pattern in [
        0_u64,
        u64::MAX,
        0x5555_5555_5555_5555,
        0x0F0F_00FF_3333_1248,
    ] {
        for depth in 1..=40 {
            let (mut value, mut closing) = (String::new(), String::new());
            for level in 0..depth {
                let object = pattern >> level & 1 == 1;
                value.push_str(if object { "{\"k\":" } else { "[" });
                closing.insert(0, if object { '}' } else { ']' });
            }
            value.push_str("null");
            value.push_str(&closing);
            let message = offer(value.as_bytes());
            assert!(serde_takes(&message));
            match decode::notify_next(&message) {
                Ok(read) => {
                    assert!(depth <= 32, "{depth} levels of {pattern:x}");
                    let document = read.execution.expect("an offer").job_document;
                    assert_eq!(document, Some(value.as_bytes()));
                }
                Err(error) => {
                    assert!(depth > 32, "{depth} levels of {pattern:x}");
                    assert_eq!(error.kind, ErrorKind::TooDeep);
                    let salvage = error.salvage.expect("the job is named");
                    assert_eq!(salvage.job_id.as_str(), "j");
                }
            }
        }
    }
}

fn version(text: &str) -> Result<Option<i64>, ErrorKind> {
    let message = format!(r#"{{"execution":{{"jobId":"j","versionNumber":{text}}}}}"#);
    let read: Result<_, DecodeError<'_>> = decode::notify_next(message.as_bytes());
    read.map(|message| message.execution.expect("an execution").version_number)
        .map_err(|error| error.kind)
}

#[test]
fn whole_numbers_are_exact_up_to_their_limits_and_refused_beyond() {
    for number in [
        0,
        1,
        -1,
        i64::MAX,
        i64::MIN,
        i64::MAX - 1,
        i64::MIN + 1,
        1 << 53,
        (1 << 53) + 1,
        999_999_999_999_999_999,
        1_000_000_000_000_000_000,
    ] {
        let text = number.to_string();
        assert_eq!(serde_json::from_str::<i64>(&text).ok(), Some(number));
        assert_eq!(version(&text), Ok(Some(number)), "{text}");
        // AWS itself writes numbers as strings in places.
        assert_eq!(version(&format!("\"{text}\"")), Ok(Some(number)), "{text}");
    }
    for beyond in [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "1.0",
        "1.5",
        "1e2",
        "1E2",
        "0e0",
        "-1e-1",
        "1e999999999",
    ] {
        assert!(serde_takes(beyond.as_bytes()), "{beyond}");
        assert_eq!(version(beyond), Err(ErrorKind::WrongType), "{beyond}");
    }
    // What is no JSON is no number of ours either.
    for broken in [
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "--1",
        "0x1",
        "1_0",
        "NaN",
        "Infinity",
        "-Infinity",
    ] {
        assert!(!serde_takes(broken.as_bytes()), "{broken}");
        assert_eq!(version(broken), Err(ErrorKind::Syntax), "{broken}");
    }
    // `-0` is a float to serde_json; it is a whole number, and ours is 0.
    assert_eq!(version("-0"), Ok(Some(0)));
}

#[test]
fn a_number_too_large_for_any_type_is_legal_where_nobody_reads_it() {
    // RFC 8259, 6: a reader may limit range. The document is handed on as bytes, so ours has no
    // limit; serde_json refuses 1e400 when it makes a value, not when it steps over it.
    let digits = "9".repeat(30_000);
    for number in [
        "1e400",
        "-1e-400",
        "1e99999999999999999999",
        digits.as_str(),
    ] {
        let message = offer(number.as_bytes());
        let read = decode::notify_next(&message).expect("taken");
        assert_eq!(
            read.execution.and_then(|job| job.job_document),
            Some(number.as_bytes())
        );
        assert_eq!(Document(&object(number.as_bytes())).u64_field("a"), None);
        assert_eq!(Document(&object(number.as_bytes())).i64_field("a"), None);
    }
}

#[test]
fn a_name_that_comes_twice_is_refused_where_we_read_it_and_passed_on_where_we_do_not() {
    // RFC 8259, 4: names should be unique. Ours: a choice between two values is never made.
    let message = br#"{"execution":{"jobId":"j","job\u0049d":"k"}}"#;
    assert_eq!(fault(message), ErrorKind::DuplicateKey);
    let document = br#"{"a":1,"\u0061":2,"b":3}"#;
    let message = offer(document);
    let read = decode::notify_next(&message).expect("taken");
    assert_eq!(
        read.execution.and_then(|job| job.job_document),
        Some(document.as_slice())
    );
    assert_eq!(Document(document).u64_field("a"), None);
    assert_eq!(Document(document).u64_field("b"), Some(3));
}

#[test]
fn what_stands_around_the_message_is_refused() {
    // RFC 8259, 8.1: no byte order mark; a reader may ignore one. Ours does not.
    for (before, after) in [
        ("\u{feff}", ""),
        ("", "\u{feff}"),
        ("", "\0"),
        ("\0", ""),
        ("", "{}"),
        ("", " x"),
        ("\u{a0}", ""),
    ] {
        let message = format!("{before}{{}}{after}");
        assert!(!serde_takes(message.as_bytes()), "{message:?}");
        for take in decoders() {
            assert!(!take(message.as_bytes()), "{message:?}");
        }
        assert!(!Document(message.as_bytes()).is_object(), "{message:?}");
    }
    assert!(Document(b" \t\r\n{ \t\r\n} \t\r\n").is_object());
    for space in ["\u{b}", "\u{c}", "\u{85}", "\u{2028}"] {
        assert!(!is_taken(format!("{space}1").as_bytes()), "{space:?}");
    }
}

#[test]
fn every_control_character_in_a_text_is_refused_and_delete_is_not() {
    for byte in 0..=0x1F_u8 {
        assert!(!is_taken(&[b'"', byte, b'"']), "{byte:#x}");
    }
    assert!(is_taken(b"\"\x7f\""));
}

#[test]
fn whatever_stands_between_two_members_is_judged_as_by_serde_json() {
    type Read = fn(&[u8]) -> Result<(), ErrorKind>;
    // Each kind of object that is read member by member, with a gap between two of them.
    let objects: [(&str, &str, Read); 6] = [
        (r#"{"clientToken":"t""#, r#""timestamp":1}"#, |message| {
            decode::update_accepted(message)
                .map(drop)
                .map_err(|error| error.kind)
        }),
        (
            r#"{"timestamp":1"#,
            r#""execution":{"jobId":"j"}}"#,
            |message| {
                decode::notify_next(message)
                    .map(drop)
                    .map_err(|error| error.kind)
            },
        ),
        (
            r#"{"execution":{"jobId":"j""#,
            r#""queuedAt":1}}"#,
            |message| {
                decode::describe_accepted(message)
                    .map(drop)
                    .map_err(|error| error.kind)
            },
        ),
        (r#"{"jobs":{"QUEUED":[]"#, r#""REMOVED":[]}}"#, |message| {
            decode::notify(message)
                .map(drop)
                .map_err(|error| error.kind)
        }),
        (
            r#"{"queuedJobs":[{"jobId":"j""#,
            r#""queuedAt":1}]}"#,
            |message| {
                decode::get_pending_accepted(message)
                    .map(drop)
                    .map_err(|error| error.kind)
            },
        ),
        (
            r#"{"code":"x","executionState":{"status":"y""#,
            r#""versionNumber":1}}"#,
            |message| {
                decode::rejected(message)
                    .map(drop)
                    .map_err(|error| error.kind)
            },
        ),
    ];
    for (before, after, take) in objects {
        let mut taken = 0;
        for len in 0..=3 {
            every_text(len, ALPHABET, |gap| {
                let message = [before.as_bytes(), gap, after.as_bytes()].concat();
                let ours = take(&message);
                taken += u32::from(ours.is_ok());
                // What is JSON may still say too little, or a name twice.
                let is_json = !matches!(ours, Err(ErrorKind::Syntax | ErrorKind::Truncated));
                assert_eq!(
                    is_json,
                    serde_takes(&message),
                    "{:?}",
                    message.escape_ascii().to_string()
                );
            });
        }
        // At least the comma, alone and among spaces.
        assert!(taken >= 6, "{before}: {taken}");
    }
}

#[test]
fn a_payload_of_exactly_the_largest_length_is_read_and_one_byte_more_is_not() {
    let message = |len: usize| {
        let mut message = br#"{"execution":{"jobId":"j"},"padding":""#.to_vec();
        message.resize(len - 2, b' ');
        message.extend_from_slice(b"\"}");
        assert_eq!(message.len(), len);
        message
    };
    let longest = jobs_proto::limits::MQTT_PAYLOAD_LEN_MAX;
    assert!(decode::notify_next(&message(longest)).is_ok());
    assert_eq!(fault(&message(longest + 1)), ErrorKind::TooLong);
}
