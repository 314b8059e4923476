//! From JSON to a checked document, member by member.

use serde_json::{Map, Value};

use super::{Action, Condition, DocumentFault, STEPS_MAX, Step, StepDocument, split_command};

type Object = Map<String, Value>;
type Read<T> = Result<T, DocumentFault>;

fn fault<T>(text: String) -> Read<T> {
    Err(DocumentFault(text))
}

/// Schema 1.0.
pub(super) fn current(document: &Object) -> Read<StepDocument> {
    let steps = match document.get("steps") {
        Some(Value::Array(steps)) if !steps.is_empty() => steps,
        _ => return fault("`steps` must be a list with at least one step".into()),
    };
    if steps.len() > STEPS_MAX {
        return fault(format!("`steps` has more than {STEPS_MAX} elements"));
    }
    let numbered = steps.iter().enumerate();
    let steps = numbered.map(|(index, step)| action_of(step, &format!("steps[{index}]")));
    let final_step = match document.get("finalStep") {
        None | Some(Value::Null) => None,
        Some(step) => Some(action_of(step, "finalStep")?),
    };
    Ok(StepDocument {
        steps: steps.collect::<Read<_>>()?,
        final_step,
        include_stdout: flag(document, "includeStdOut", "")?,
        conditions: conditions(document)?,
    })
}

/// The schema before 1.0: one handler.
pub(super) fn old(operation: &str, document: &Object) -> Read<StepDocument> {
    if operation.is_empty() {
        return fault("`operation` must name a handler".into());
    }
    let action = Action::Handler {
        name: operation.to_owned(),
        args: strings(document, "args", "")?,
        path: path(document, "")?,
    };
    let step = Step {
        name: operation.to_owned(),
        action,
        run_as: None,
        stderr_lines_max: lines(document, "")?,
        ignore_failure: false,
    };
    Ok(StepDocument {
        steps: vec![step],
        final_step: None,
        include_stdout: flag(document, "includeStdOut", "")?,
        conditions: Vec::new(),
    })
}

fn action_of(step: &Value, at: &str) -> Read<Step> {
    match step.get("action") {
        Some(Value::Object(action)) => read_action(action, &format!("{at}.action: ")),
        _ => fault(format!("{at}.action must be an object")),
    }
}

fn read_action(action: &Object, at: &str) -> Read<Step> {
    let name = needed(action, "name", at)?;
    let kind = needed(action, "type", at)?;
    let Some(Value::Object(input)) = action.get("input") else {
        return fault(format!("{at}`input` must be an object"));
    };
    let does = match kind.as_str() {
        "runHandler" => Action::Handler {
            name: needed(input, "handler", at)?,
            args: strings(input, "args", at)?,
            path: path(input, at)?,
        },
        "runCommand" => {
            let words = split_command(&needed(input, "command", at)?);
            Action::Command(words.map_err(|f| DocumentFault(format!("{at}`command` {f}")))?)
        }
        other => {
            let known = "runHandler and runCommand";
            return fault(format!("{at}`type` is \"{other}\"; known are {known}"));
        }
    };
    Ok(Step {
        name,
        action: does,
        run_as: text(action, "runAsUser", at)?,
        stderr_lines_max: lines(action, at)?,
        ignore_failure: flag(action, "ignoreStepFailure", at)?,
    })
}

fn conditions(document: &Object) -> Read<Vec<Condition>> {
    let list = match document.get("conditions") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return fault("`conditions` must be a list".into()),
    };
    let read = |(index, value): (usize, &Value)| {
        let at = format!("conditions[{index}]: ");
        let Some(condition) = value.as_object() else {
            return fault(format!("{at}must be an object"));
        };
        let values = strings(condition, "value", &at)?;
        if values.is_empty() {
            return fault(format!("{at}`value` must have at least one element"));
        }
        Ok(Condition {
            key: needed(condition, "key", &at)?,
            values,
            kind: text(condition, "type", &at)?.unwrap_or_default(),
        })
    };
    list.iter().enumerate().map(read).collect()
}

/// What a template parameter looks like that was not filled in.
const PLACEHOLDER: &str = "${aws:iot:parameter:";

/// A string; absent, null, empty and a placeholder are the same, because nobody says how the service
/// renders a template parameter that was not given.
fn text(object: &Object, key: &str, at: &str) -> Read<Option<String>> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.contains('\0') => {
            fault(format!("{at}`{key}` has a NUL character"))
        }
        Some(Value::String(text)) if text.starts_with(PLACEHOLDER) && text.ends_with('}') => {
            Ok(None)
        }
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => fault(format!("{at}`{key}` must be a string")),
    }
}

fn needed(object: &Object, key: &str, at: &str) -> Read<String> {
    match text(object, key, at)? {
        Some(text) => Ok(text),
        None => fault(format!("{at}`{key}` is missing")),
    }
}

/// The folder; the word `default` stands for the configured one.
fn path(object: &Object, at: &str) -> Read<Option<String>> {
    Ok(text(object, "path", at)?.filter(|path| path != "default"))
}

fn strings(object: &Object, key: &str, at: &str) -> Read<Vec<String>> {
    let list = match object.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return fault(format!("{at}`{key}` must be a list of strings")),
    };
    let read = |value: &Value| match value.as_str() {
        Some(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => fault(format!("{at}`{key}` must hold strings without NUL")),
    };
    list.iter().map(read).collect()
}

fn flag(object: &Object, key: &str, at: &str) -> Read<bool> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(word)) if word == "true" => Ok(true),
        Some(Value::String(word)) if word == "false" || word.is_empty() => Ok(false),
        Some(_) => fault(format!("{at}`{key}` must be true or false")),
    }
}

fn lines(object: &Object, at: &str) -> Read<Option<u32>> {
    let key = "allowStdErr";
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().and_then(|lines| u32::try_from(lines).ok()) {
            Some(lines) => Ok(Some(lines)),
            None => fault(format!("{at}`{key}` must be a whole number of lines")),
        },
    }
}
