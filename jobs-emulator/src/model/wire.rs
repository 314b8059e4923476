//! Encoding of replies and notifications, member by member in the order seen on the wire.
//!
//! The job document goes last and byte for byte as stored: reading it into a JSON value and
//! writing it again could change numbers and the order of members.

use serde_json::Value;

use super::state::{Execution, StatusDetails};

/// Whole seconds: every time on the device plane.
pub(crate) const fn seconds(ms: u64) -> u64 {
    ms / 1000
}

/// A JSON object under construction.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }

    /// A member whose value is JSON already.
    pub(crate) fn json(mut self, key: &str, json: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quoted(key));
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    pub(crate) fn text(self, key: &str, text: &str) -> Self {
        self.json(key, &quoted(text))
    }

    pub(crate) fn number(self, key: &str, number: u64) -> Self {
        self.json(key, &number.to_string())
    }

    pub(crate) fn json_if(self, key: &str, json: Option<&str>) -> Self {
        match json {
            Some(json) => self.json(key, json),
            None => self,
        }
    }

    pub(crate) fn text_if(self, key: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(key, text),
            None => self,
        }
    }

    pub(crate) fn number_if(self, key: &str, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.number(key, number),
            None => self,
        }
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

pub(crate) fn details_json(details: Option<&StatusDetails>) -> Option<String> {
    let details = details?;
    let object = details.iter().fold(Object::new(), |object, (key, value)| {
        object.text(key, value)
    });
    Some(object.finish())
}

/// An execution in a list.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) job_id: String,
    pub(crate) number: u64,
    pub(crate) execution: Execution,
}

impl Summary {
    fn json(&self) -> String {
        Object::new()
            .text("jobId", &self.job_id)
            .number("queuedAt", seconds(self.execution.queued_at_ms))
            .number("lastUpdatedAt", seconds(self.execution.updated_at_ms))
            .number_if("startedAt", self.execution.started_at_ms.map(seconds))
            .number("executionNumber", self.number)
            .number("versionNumber", self.execution.version)
            .finish()
    }
}

pub(crate) fn summaries_json(list: &[Summary]) -> String {
    let items: Vec<String> = list.iter().map(Summary::json).collect();
    format!("[{}]", items.join(","))
}

/// An execution with everything a device gets to see.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    pub(crate) job_id: String,
    pub(crate) thing: Option<String>,
    pub(crate) number: u64,
    pub(crate) execution: Execution,
    /// Until the announced deadline, in ms.
    pub(crate) remaining_ms: Option<u64>,
    /// Resolved document.
    pub(crate) document: Option<String>,
}

/// Over HTTP the job document is a string that holds JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Mqtt,
    Http,
}

impl Form {
    fn document(self, document: &str) -> String {
        match self {
            Self::Mqtt => document.to_owned(),
            Self::Http => quoted(document),
        }
    }
}

impl Detail {
    pub(crate) fn json(&self, form: Form) -> String {
        let execution = &self.execution;
        Object::new()
            .text("jobId", &self.job_id)
            .text_if("thingName", self.thing.as_deref())
            .text("status", execution.status.as_str())
            .json_if(
                "statusDetails",
                details_json(execution.details.as_ref()).as_deref(),
            )
            .number("queuedAt", seconds(execution.queued_at_ms))
            .number_if("startedAt", execution.started_at_ms.map(seconds))
            .number("lastUpdatedAt", seconds(execution.updated_at_ms))
            .number_if(
                "approximateSecondsBeforeTimedOut",
                self.remaining_ms.map(seconds),
            )
            .number("versionNumber", execution.version)
            .number("executionNumber", self.number)
            .json_if(
                "jobDocument",
                self.document
                    .as_deref()
                    .map(|d| form.document(d))
                    .as_deref(),
            )
            .finish()
    }
}

/// `executionState` of an update or a refusal.
pub(crate) fn state_json(execution: &Execution) -> String {
    Object::new()
        .text("status", execution.status.as_str())
        .json_if(
            "statusDetails",
            details_json(execution.details.as_ref()).as_deref(),
        )
        .number("versionNumber", execution.version)
        .finish()
}

/// What an accepted request answers, before it is put into the form of its door.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Pending {
        in_progress: Vec<Summary>,
        queued: Vec<Summary>,
    },
    Execution(Option<Box<Detail>>),
    Updated {
        state: Option<Box<Execution>>,
        document: Option<String>,
    },
}

impl Reply {
    /// Adds the members of the reply to those every reply has.
    pub(crate) fn write(&self, object: Object, form: Form) -> Object {
        match self {
            Self::Pending {
                in_progress,
                queued,
            } => object
                .json("inProgressJobs", &summaries_json(in_progress))
                .json("queuedJobs", &summaries_json(queued)),
            Self::Execution(detail) => object.json_if(
                "execution",
                detail.as_ref().map(|d| d.json(form)).as_deref(),
            ),
            Self::Updated { state, document } => object
                .json_if(
                    "executionState",
                    state.as_ref().map(|s| state_json(s)).as_deref(),
                )
                .json_if(
                    "jobDocument",
                    document.as_deref().map(|d| form.document(d)).as_deref(),
                ),
        }
    }
}
