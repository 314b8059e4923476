//! What each inbound message means, said a second time over `serde_json`'s reading of it.
//!
//! Answers `None` where the message is to be refused; facts are lines of text, so that two readings
//! can be compared whole.

use crate::tree::Tree;

/// Deepest nesting of one member; the limit that jobs-proto documents.
const DEPTH_MAX: usize = 32;

/// What a message says.
pub(crate) type Facts = Vec<String>;

/// One fact.
pub(crate) fn fact(name: &str, value: impl std::fmt::Debug) -> String {
    format!("{name}={value:?}")
}

/// A member that may be missing; `Err` if it comes twice.
fn one<'t>(object: &'t Tree, name: &str) -> Option<Option<&'t Tree>> {
    let mut all = object.all(name);
    let first = all.next();
    all.next().is_none().then_some(first)
}

/// As `one`, with `null` as missing.
fn present<'t>(object: &'t Tree, name: &str) -> Option<Option<&'t Tree>> {
    Some(one(object, name)?.filter(|value| **value != Tree::Null))
}

fn text<'t>(object: &'t Tree, name: &str) -> Option<Option<&'t str>> {
    match present(object, name)? {
        None => Some(None),
        Some(Tree::Text(text)) => Some(Some(text)),
        Some(_) => None,
    }
}

fn int(object: &Tree, name: &str) -> Option<Option<i64>> {
    match present(object, name)? {
        None => Some(None),
        Some(Tree::Int(value)) => Some(Some(*value)),
        Some(Tree::MinusZero) => Some(Some(0)),
        Some(Tree::Text(text)) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let legal =
                (1..=19).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
            if legal {
                text.parse().ok().map(Some)
            } else {
                None
            }
        }
        Some(_) => None,
    }
}

/// In place of a value that two readings may differ on.
pub(crate) const ANY: &str = "any";

fn legal_id(text: &str, max: usize, more: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || more.contains(c);
    !text.is_empty() && text.len() <= max && text.chars().all(legal)
}

fn job_id<'t>(object: &'t Tree) -> Option<Option<&'t str>> {
    let id = text(object, "jobId")?;
    id.is_none_or(|id| legal_id(id, 64, "")).then_some(id)
}

/// The states by name.
pub(crate) const STATES: [&str; 8] = [
    "QUEUED",
    "IN_PROGRESS",
    "FAILED",
    "SUCCEEDED",
    "CANCELED",
    "TIMED_OUT",
    "REJECTED",
    "REMOVED",
];

fn status<'t>(object: &'t Tree) -> Option<Option<&'t str>> {
    let status = text(object, "status")?;
    Some(status.map(|name| {
        if STATES.contains(&name) {
            name
        } else {
            UNKNOWN
        }
    }))
}

/// Stands for a state that has no name here.
pub(crate) const UNKNOWN: &str = "unknown";

/// Every member of `object` keeps to the limit of depth.
fn shallow(object: &Tree) -> bool {
    match object {
        Tree::Object(members) => members.iter().all(|(_, value)| value.depth() <= DEPTH_MAX),
        _ => false,
    }
}

fn status_details(object: &Tree, facts: &mut Facts) -> Option<()> {
    match present(object, "statusDetails")? {
        None => {}
        Some(Tree::Object(members)) => {
            for (name, value) in members {
                if let Tree::Text(value) = value {
                    facts.push(fact(name, value));
                }
            }
        }
        Some(_) => return None,
    }
    Some(())
}

/// A time: whole numbers exactly, in seconds or milliseconds; of fractions and texts serde_json does
/// not keep what we read.
fn when(object: &Tree, name: &str, facts: &mut Facts) -> Option<()> {
    let seconds = match one(object, name)? {
        Some(Tree::Int(value)) => match u64::try_from(*value) {
            Ok(value) if value < 100_000_000_000 => Some(value),
            Ok(value) if value < 1_000_000_000_000_000 => Some(value / 1_000),
            Ok(_) | Err(_) => None,
        },
        Some(Tree::Number(_) | Tree::MinusZero | Tree::Text(_)) => {
            facts.push(format!("{name}={ANY}"));
            return Some(());
        }
        _ => None,
    };
    facts.push(fact(name, seconds));
    Some(())
}

/// `notify-next` and the two replies of its shape.
pub(crate) fn execution(message: &Tree) -> Option<Facts> {
    const NAMES: [&str; 11] = [
        "jobId",
        "thingName",
        "status",
        "statusDetails",
        "queuedAt",
        "startedAt",
        "lastUpdatedAt",
        "approximateSecondsBeforeTimedOut",
        "versionNumber",
        "executionNumber",
        "jobDocument",
    ];
    let Tree::Object(members) = message else {
        return None;
    };
    let mut facts = Facts::new();
    facts.push(fact("clientToken", text(message, "clientToken")?));
    when(message, "timestamp", &mut facts)?;
    let whole = one(message, "execution")?;
    let inside = |name: &str, value: &Tree| name == "execution" && matches!(value, Tree::Object(_));
    let others = members.iter().filter(|(name, value)| !inside(name, value));
    if !others
        .map(|(_, value)| value)
        .all(|value| value.depth() <= DEPTH_MAX)
    {
        return None;
    }
    let execution = match whole {
        None | Some(Tree::Null) => return Some(facts),
        Some(Tree::Object(_)) => whole?,
        Some(_) => return None,
    };
    if !shallow(execution) {
        return None;
    }
    for name in NAMES {
        one(execution, name)?;
    }
    let Some(job_id) = job_id(execution)? else {
        let named = NAMES
            .iter()
            .any(|name| execution.all(name).next().is_some());
        return (!named).then_some(facts);
    };
    facts.push(fact("jobId", job_id));
    let thing = text(execution, "thingName")?;
    if !thing.is_none_or(|thing| legal_id(thing, 128, ":")) {
        return None;
    }
    facts.push(fact("thingName", thing));
    facts.push(fact("status", status(execution)?));
    status_details(execution, &mut facts)?;
    for name in ["queuedAt", "startedAt", "lastUpdatedAt"] {
        when(execution, name, &mut facts)?;
    }
    for name in ["versionNumber", "executionNumber"] {
        facts.push(fact(name, int(execution, name)?));
    }
    facts.push(fact("jobDocument", present(execution, "jobDocument")?));
    Some(facts)
}

fn line(line: &Tree, status: &str, facts: &mut Facts) -> Option<()> {
    const NAMES: [&str; 6] = [
        "jobId",
        "executionNumber",
        "queuedAt",
        "startedAt",
        "lastUpdatedAt",
        "versionNumber",
    ];
    if !matches!(line, Tree::Object(_)) {
        return None;
    }
    for name in NAMES {
        one(line, name)?;
    }
    facts.push(fact("line", (job_id(line)??, status)));
    facts.push(fact("executionNumber", int(line, "executionNumber")?));
    facts.push(fact("versionNumber", int(line, "versionNumber")?));
    when(line, "queuedAt", facts)
}

fn list(value: &Tree, status: &str, facts: &mut Facts) -> Option<()> {
    match value {
        Tree::Null => Some(()),
        Tree::List(lines) => lines
            .iter()
            .try_for_each(|entry| line(entry, status, facts)),
        _ => None,
    }
}

/// `notify`.
pub(crate) fn notify(message: &Tree) -> Option<Facts> {
    if !shallow(message) {
        return None;
    }
    let mut facts = Facts::new();
    when(message, "timestamp", &mut facts)?;
    let Some(jobs @ Tree::Object(lists)) = one(message, "jobs")? else {
        return None;
    };
    for status in STATES {
        one(jobs, status)?;
    }
    for (status, lines) in lists {
        let status = if STATES.contains(&status.as_str()) {
            status
        } else {
            UNKNOWN
        };
        list(lines, status, &mut facts)?;
    }
    Some(facts)
}

/// `get/accepted`.
pub(crate) fn pending(message: &Tree) -> Option<Facts> {
    if !shallow(message) {
        return None;
    }
    let mut facts = Facts::new();
    facts.push(fact("clientToken", text(message, "clientToken")?));
    when(message, "timestamp", &mut facts)?;
    let Tree::Object(members) = message else {
        return None;
    };
    one(message, "inProgressJobs")?;
    one(message, "queuedJobs")?;
    for (name, value) in members {
        match name.as_str() {
            "inProgressJobs" => list(value, "IN_PROGRESS", &mut facts)?,
            "queuedJobs" => list(value, "QUEUED", &mut facts)?,
            _ => {}
        }
    }
    Some(facts)
}

fn state(message: &Tree, facts: &mut Facts) -> Option<()> {
    let Some(state) = present(message, "executionState")? else {
        return Some(());
    };
    if !matches!(state, Tree::Object(_)) {
        return None;
    }
    facts.push(fact("status", status(state)?));
    status_details(state, facts)?;
    facts.push(fact("versionNumber", int(state, "versionNumber")?));
    Some(())
}

/// `update/accepted`.
pub(crate) fn updated(message: &Tree) -> Option<Facts> {
    if !shallow(message) {
        return None;
    }
    let mut facts = Facts::new();
    facts.push(fact("clientToken", text(message, "clientToken")?));
    when(message, "timestamp", &mut facts)?;
    state(message, &mut facts)?;
    facts.push(fact("jobDocument", present(message, "jobDocument")?));
    Some(facts)
}

/// `rejected`.
pub(crate) fn rejected(message: &Tree) -> Option<Facts> {
    if !shallow(message) {
        return None;
    }
    let mut facts = Facts::new();
    let code = text(message, "code")??;
    facts.push(fact("code", jobs_proto::ErrorCode::parse(code)));
    facts.push(fact("message", text(message, "message")?));
    facts.push(fact("clientToken", text(message, "clientToken")?));
    when(message, "timestamp", &mut facts)?;
    state(message, &mut facts)?;
    Some(facts)
}
