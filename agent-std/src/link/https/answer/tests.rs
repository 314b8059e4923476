use super::*;

fn answer(status: u16, error_type: Option<&str>, body: &str) -> Answer {
    Answer {
        status,
        error_type: error_type.map(str::to_owned),
        retry_after_s: None,
        body: Some(Bytes::copy_from_slice(body.as_bytes())),
    }
}

fn code(status: u16, error_type: Option<&str>, body: &str) -> ErrorCode {
    match judge(Ask::Job, &answer(status, error_type, body)) {
        Verdict::Rejected { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals_by_the_services_own_names_mean_what_they_mean_over_mqtt() {
    let message = r#"{"message":"free text"}"#;
    for (status, name, wanted) in [
        (400, "InvalidRequestException", ErrorCode::InvalidRequest),
        (
            404,
            "ResourceNotFoundException",
            ErrorCode::ResourceNotFound,
        ),
        (
            410,
            "TerminalStateException",
            ErrorCode::TerminalStateReached,
        ),
        (
            409,
            "InvalidStateTransitionException",
            ErrorCode::InvalidStateTransition,
        ),
        (429, "ThrottlingException", ErrorCode::RequestThrottled),
        (
            400,
            "ThrottlingException:http://internal.amazon.com/",
            ErrorCode::RequestThrottled,
        ),
        (503, "ServiceUnavailableException", ErrorCode::InternalError),
        (500, "InternalFailureException", ErrorCode::InternalError),
    ] {
        assert_eq!(code(status, Some(name), message), wanted, "{name}");
        let short = name.split(':').next().unwrap();
        assert_eq!(
            code(status, None, &format!(r#"{{"code":"{short}"}}"#)),
            wanted
        );
        let long = format!(r#"{{"__type":"com.amazonaws.iot#{short}"}}"#);
        assert_eq!(code(status, None, &long), wanted);
    }
}

#[test]
fn a_status_without_a_name_ends_no_job() {
    for status in [300, 302, 400, 404, 409, 410, 418, 500, 502, 504, 599] {
        for body in [
            "",
            "<html>gone</html>",
            "{}",
            r#"{"message":"gone"}"#,
            "[",
            r#"{"code":4}"#,
        ] {
            assert_eq!(
                code(status, None, body),
                ErrorCode::InternalError,
                "{status} {body}"
            );
        }
    }
    assert_eq!(code(429, None, ""), ErrorCode::RequestThrottled);
}

#[test]
fn a_denial_is_told_from_a_failure_and_a_stranger_from_the_service() {
    for (status, name) in [
        (403, None),
        (401, None),
        (403, Some("ForbiddenException")),
        (400, Some("CertificateValidationException")),
    ] {
        let verdict = judge(Ask::List, &answer(status, name, "{}"));
        assert!(matches!(verdict, Verdict::Denied(_)), "{verdict:?}");
    }
    let words = r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
    let verdict = judge(Ask::List, &answer(200, None, words));
    assert!(matches!(verdict, Verdict::Stranger(_)), "{verdict:?}");
}

#[test]
fn a_pause_is_granted_to_a_busy_service_and_only_up_to_its_bound() {
    for (status, wait_s, wanted) in [
        (429, 7, Some(7)),
        (503, 7, Some(7)),
        (503, u64::MAX, Some(PAUSE_MAX_S)),
        (500, 7, None),
        (404, 7, None),
    ] {
        let mut answer = answer(status, None, "");
        answer.retry_after_s = Some(wait_s);
        let Verdict::Rejected { pause_s, .. } = judge(Ask::Update, &answer) else {
            panic!("{status}");
        };
        assert_eq!(pause_s, wanted, "{status}");
    }
}

#[test]
fn only_what_the_service_says_to_a_request_is_an_acceptance() {
    let accepts =
        |ask, body: &str| matches!(judge(ask, &answer(200, None, body)), Verdict::Accepted(_));
    for ask in [Ask::List, Ask::Next, Ask::Job, Ask::Start, Ask::Update] {
        for body in ["<html>", "[]", "null", "\"{}\"", "\u{feff}{}"] {
            assert!(!accepts(ask, body), "{ask:?} {body}");
        }
    }
    assert!(accepts(Ask::Update, "{}") && accepts(Ask::Update, ""));
    assert!(!accepts(Ask::Update, "{") && !accepts(Ask::Update, "{}{}"));
    assert!(accepts(Ask::Next, "{}"), "an idle queue");
    assert!(
        !accepts(Ask::Job, "{}"),
        "silence about a job is no word about it"
    );
    assert!(!accepts(Ask::Job, r#"{"message":"hello"}"#));
    // Broken, but about an execution: the core reads what can be read, and answers the job.
    assert!(accepts(
        Ask::Job,
        r#"{"execution":{"jobId":"j","status":"QUEUED","jobDocument":"#
    ));
    assert!(accepts(
        Ask::List,
        r#"{"inProgressJobs":[],"queuedJobs":[]}"#
    ));
    assert!(!accepts(Ask::List, r#"{"queuedJobs":[{"jobId":"j"}"#));
}

#[test]
fn a_body_too_large_is_heard_by_nobody() {
    let mut large = answer(200, None, "");
    large.body = None;
    assert_eq!(judge(Ask::Job, &large), Verdict::Unheard);
    large.status = 404;
    assert!(matches!(
        judge(Ask::Job, &large),
        Verdict::Rejected {
            code: ErrorCode::InternalError,
            ..
        }
    ));
}

#[test]
fn hostile_words_reach_the_log_short_and_printable() {
    let name = format!("\u{1b}[2J{}", "x".repeat(10_000));
    let Verdict::Rejected { name, .. } = judge(Ask::Job, &answer(500, Some(&name), "")) else {
        panic!("not refused");
    };
    assert!(
        name.len() < 100 && name.chars().all(|char| !char.is_control()),
        "{name}"
    );
}

/// Bodies as the service sends them, for whoever spoils them.
const BODIES: [&str; 4] = [
    r#"{"inProgressJobs":[{"jobId":"a","queuedAt":17,"executionNumber":1}],"queuedJobs":[{"jobId":"b"}]}"#,
    r#"{"execution":{"jobId":"a","status":"QUEUED","queuedAt":17,"executionNumber":1,"jobDocument":"{\"s\":\"\\\"\\u00e4\"}"}}"#,
    r#"{"executionState":{"status":"IN_PROGRESS","versionNumber":2}}"#,
    r#"{"__type":"x#InvalidStateTransitionException","message":"m","code":"y"}"#,
];

#[test]
fn spoiled_bodies_stay_bounded_and_never_speak_for_another_job() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % bound as u64).unwrap()
    };
    for round in 0..10_000 {
        let mut body = BODIES[round % BODIES.len()].as_bytes().to_vec();
        for _ in 0..=below(3) {
            let at = below(body.len());
            match below(4) {
                0 => body.truncate(at.max(1)),
                1 => body[at] = b"{}[]\",:\\\x00\xff9"[below(11)],
                2 => drop(body.remove(at)),
                _ => body.insert(at, b"{}[]\",:\\\x00\xff9"[below(11)]),
            }
            if body.is_empty() {
                body.push(b'{');
            }
        }
        let body = Bytes::from(body);
        for ask in [Ask::List, Ask::Next, Ask::Job, Ask::Start, Ask::Update] {
            let answer = Answer {
                status: 200,
                error_type: None,
                retry_after_s: None,
                body: Some(body.clone()),
            };
            let Verdict::Accepted(payload) = judge(ask, &answer) else {
                continue;
            };
            let told = message::with_token(Some("t"), &payload);
            assert!(told.len() <= body.len() + 32, "{}", body.escape_ascii());
            assert!(
                told.starts_with(b"{\"clientToken\":\"t\""),
                "{}",
                told.escape_ascii()
            );
            if let (Ask::List, Some((news, _))) = (ask, message::notify(&payload)) {
                assert!(
                    jobs_proto::decode::notify(&news).is_ok(),
                    "{}",
                    news.escape_ascii()
                );
            }
            // The document may say anything; what stands around it is what the service said.
            let of = |bytes: &[u8]| {
                let message = jobs_proto::decode::describe_accepted(bytes).ok()?;
                let execution = message.execution?;
                let id = execution.job_id.as_str().to_owned();
                Some((
                    id,
                    execution.status,
                    execution.execution_number,
                    execution.queued_at,
                ))
            };
            if let (Some(before), Some(after)) = (of(&body), of(&told)) {
                assert_eq!(before, after, "{}", body.escape_ascii());
            }
        }
    }
}
