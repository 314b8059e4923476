//! Every inbound message against `serde_json`: what it takes and the message's rules allow, we read
//! the same; what we take, it takes.

use jobs_proto::{
    EpochSeconds, EscapedStr, WireStatus,
    decode::{
        self, DecodeError, ErrorKind, ExecutionMessage, ExecutionState, JobExecutionSummary,
        StatusDetails,
    },
    document::Document,
};

use crate::{
    oracle::{self, ANY, Facts, UNKNOWN, fact},
    tree::Tree,
};

pub(crate) fn run(payload: &[u8]) {
    let tree: Result<Tree, serde_json::Error> = serde_json::from_slice(payload);
    let judge =
        |name: &str, ours: Result<Facts, DecodeError<'_>>, oracle: fn(&Tree) -> Option<Facts>| {
            compare(name, payload, ours, &tree, oracle);
        };
    judge(
        "notify-next",
        decode::notify_next(payload).map(|read| execution(&read)),
        oracle::execution,
    );
    judge(
        "describe",
        decode::describe_accepted(payload).map(|read| execution(&read)),
        oracle::execution,
    );
    judge(
        "start-next",
        decode::start_next_accepted(payload).map(|read| execution(&read)),
        oracle::execution,
    );
    judge(
        "notify",
        decode::notify(payload).map(|read| notify(&read)),
        oracle::notify,
    );
    judge(
        "get",
        decode::get_pending_accepted(payload).map(|read| pending(&read)),
        oracle::pending,
    );
    judge(
        "update",
        decode::update_accepted(payload).map(|read| updated(&read)),
        oracle::updated,
    );
    judge(
        "rejected",
        decode::rejected(payload).map(|read| rejected(&read)),
        oracle::rejected,
    );
    document(payload, &tree);
}

fn compare(
    name: &str,
    payload: &[u8],
    ours: Result<Facts, DecodeError<'_>>,
    tree: &Result<Tree, serde_json::Error>,
    oracle: fn(&Tree) -> Option<Facts>,
) {
    let shown = || format!("{name}: {}", payload.escape_ascii());
    match (ours, tree) {
        (Ok(facts), Ok(tree)) => {
            let theirs =
                oracle(tree).unwrap_or_else(|| panic!("taken, but against the rules: {}", shown()));
            assert_eq!(
                facts.len(),
                theirs.len(),
                "{}\n{facts:#?}\n{theirs:#?}",
                shown()
            );
            for (ours, theirs) in facts.iter().zip(&theirs) {
                let any = theirs
                    .strip_suffix(ANY)
                    .is_some_and(|start| ours.starts_with(start));
                assert!(
                    any || ours == theirs,
                    "{}\nours   {ours}\ntheirs {theirs}",
                    shown()
                );
            }
        }
        // The one thing that serde_json refuses and we pass on unread.
        (Ok(_), Err(error)) => {
            assert!(
                error.to_string().contains("number out of range"),
                "{error}: {}",
                shown()
            );
        }
        (Err(error), tree) => refused(&error, tree, oracle, payload, &shown),
    }
}

fn refused(
    error: &DecodeError<'_>,
    tree: &Result<Tree, serde_json::Error>,
    oracle: fn(&Tree) -> Option<Facts>,
    payload: &[u8],
    shown: &dyn Fn() -> String,
) {
    assert!(error.offset <= payload.len(), "{}", shown());
    let syntax = matches!(
        error.kind,
        ErrorKind::Syntax | ErrorKind::Truncated | ErrorKind::Utf8
    );
    let Ok(tree) = tree else { return };
    assert!(!syntax, "{:?}, but it is JSON: {}", error.kind, shown());
    if let Some(salvage) = &error.salvage {
        let id = Tree::Text(salvage.job_id.as_str().to_owned());
        let mut executions = tree.all("execution");
        assert!(
            executions.any(|execution| execution.all("jobId").any(|job_id| *job_id == id)),
            "salvaged a job that was not named: {}",
            shown()
        );
    }
    if error.kind == ErrorKind::TooLong || oracle(tree).is_none() {
        return;
    }
    // Identifiers and numbers in texts are not unescaped, and `-0.0` is no whole number.
    let has = |part: &[u8]| payload.windows(part.len()).any(|window| window == part);
    let escaped = has(b"\\") && matches!(error.kind, ErrorKind::InvalidId | ErrorKind::WrongType);
    let minus_zero = has(b"-0") && error.kind == ErrorKind::WrongType;
    assert!(
        escaped || minus_zero,
        "{:?}, but within the rules: {}",
        error.kind,
        shown()
    );
}

fn text(value: Option<EscapedStr<'_>>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn seconds(value: Option<EpochSeconds>) -> Option<u64> {
    value.map(EpochSeconds::as_secs)
}

fn status(value: WireStatus) -> Option<&'static str> {
    match value {
        WireStatus::Known(status) => Some(status.as_str()),
        WireStatus::Unknown => Some(UNKNOWN),
        WireStatus::Absent => None,
    }
}

fn tree_of(raw: Option<&[u8]>) -> Option<Tree> {
    raw.map(|raw| serde_json::from_slice(raw).expect("a raw member is JSON"))
}

fn details(details: Option<StatusDetails<'_>>, facts: &mut Facts) {
    for (name, value) in details.iter().flat_map(|details| details.iter()) {
        facts.push(fact(&name.to_string(), value.to_string()));
    }
}

fn execution(message: &ExecutionMessage<'_>) -> Facts {
    let mut facts = vec![
        fact("clientToken", text(message.client_token)),
        fact("timestamp", seconds(message.timestamp)),
    ];
    let Some(execution) = &message.execution else {
        return facts;
    };
    facts.push(fact("jobId", execution.job_id.as_str()));
    facts.push(fact(
        "thingName",
        execution.thing_name.map(|name| name.as_str().to_owned()),
    ));
    facts.push(fact("status", status(execution.status)));
    details(execution.status_details, &mut facts);
    facts.push(fact("queuedAt", seconds(execution.queued_at)));
    facts.push(fact("startedAt", seconds(execution.started_at)));
    facts.push(fact("lastUpdatedAt", seconds(execution.last_updated_at)));
    facts.push(fact("versionNumber", execution.version_number));
    facts.push(fact("executionNumber", execution.execution_number));
    facts.push(fact(
        "jobDocument",
        tree_or_unreadable(execution.job_document),
    ));
    facts
}

/// A document with a number that serde_json finds too large is not compared.
fn tree_or_unreadable(raw: Option<&[u8]>) -> Option<Tree> {
    raw.and_then(|raw| serde_json::from_slice(raw).ok())
}

fn line(line: &JobExecutionSummary<'_>, facts: &mut Facts) {
    facts.push(fact(
        "line",
        (line.job_id.as_str(), status(line.status).unwrap_or(UNKNOWN)),
    ));
    facts.push(fact("executionNumber", line.execution_number));
    facts.push(fact("versionNumber", line.version_number));
    facts.push(fact("queuedAt", seconds(line.queued_at)));
}

fn notify(message: &decode::Notify<'_>) -> Facts {
    let mut facts = vec![fact("timestamp", seconds(message.timestamp))];
    message.all().for_each(|entry| line(&entry, &mut facts));
    let known = message.in_progress().count() + message.queued().count();
    assert!(known <= message.all().count());
    facts
}

fn pending(message: &decode::Pending<'_>) -> Facts {
    let mut facts = vec![
        fact("clientToken", text(message.client_token)),
        fact("timestamp", seconds(message.timestamp)),
    ];
    message.all().for_each(|entry| line(&entry, &mut facts));
    assert_eq!(
        message.in_progress().count() + message.queued().count(),
        message.all().count()
    );
    facts
}

fn state(state: Option<ExecutionState<'_>>, facts: &mut Facts) {
    let Some(state) = state else { return };
    facts.push(fact("status", status(state.status)));
    details(state.status_details, facts);
    facts.push(fact("versionNumber", state.version_number));
}

fn updated(message: &decode::UpdateAccepted<'_>) -> Facts {
    let mut facts = vec![
        fact("clientToken", text(message.client_token)),
        fact("timestamp", seconds(message.timestamp)),
    ];
    state(message.execution_state, &mut facts);
    facts.push(fact(
        "jobDocument",
        tree_or_unreadable(message.job_document),
    ));
    facts
}

fn rejected(message: &decode::Rejected<'_>) -> Facts {
    let mut facts = vec![
        fact("code", message.code),
        fact("message", text(message.message)),
        fact("clientToken", text(message.client_token)),
        fact("timestamp", seconds(message.timestamp)),
    ];
    state(message.execution_state, &mut facts);
    facts
}

/// The look into a document, with the payload as the document.
fn document(payload: &[u8], tree: &Result<Tree, serde_json::Error>) {
    let document = Document(payload);
    let Ok(Tree::Object(members)) = tree else {
        return;
    };
    let tree = Tree::Object(members.clone());
    let readable = tree.depth() <= 32;
    for (name, value) in members {
        let twice = tree.all(name).count() > 1;
        let raw = document.raw_field(name);
        if !readable || twice {
            assert!(
                !twice || raw.is_none(),
                "{}: {name} twice",
                payload.escape_ascii()
            );
            continue;
        }
        assert_eq!(
            tree_of(raw).as_ref(),
            Some(value),
            "{}",
            payload.escape_ascii()
        );
        match value {
            Tree::Int(number) => {
                assert_eq!(document.i64_field(name), Some(*number));
                assert_eq!(document.u64_field(name), u64::try_from(*number).ok());
            }
            Tree::Text(text) => assert!(
                document
                    .str_field(name)
                    .is_some_and(|ours| ours.eq_str(text))
            ),
            Tree::Bool(value) => assert_eq!(document.bool_field(name), Some(*value)),
            Tree::List(list) => {
                let ours = document.array_field(name).expect("an array");
                let ours: Vec<Option<Tree>> = ours.map(|raw| tree_of(Some(raw))).collect();
                let theirs: Vec<Option<Tree>> = list.iter().cloned().map(Some).collect();
                assert_eq!(ours, theirs);
            }
            Tree::Object(_) => assert!(
                document
                    .object_field(name)
                    .is_some_and(|inner| inner.is_object())
            ),
            Tree::Null | Tree::MinusZero | Tree::Number(_) => {}
        }
    }
}
