//! Job documents of the AWS IoT Device Client: schema 1.0 and the one before it.
//!
//! What is read here is what fleets send today (AWS IoT Device Client, `source/jobs/README.md`
//! and `JobDocument.cpp`). Where its text and its code differ, both forms are taken:
//! `includeStdOut` and `ignoreStepFailure` may be truth values or the strings `"true"` and
//! `"false"`.

mod command;
mod raw;

use serde_json::Value;

pub use command::{CommandFault, split_command};

/// Most steps in one document, the final one not counted: a document has 32 KiB, and a step takes
/// at least 60 bytes of it; far beyond this many a script is the better form.
pub const STEPS_MAX: usize = 64;

/// The only version of the schema with `steps`.
pub const VERSION: &str = "1.0";

/// A document with steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDocument {
    /// Done in this order; the first failure that is not ignored ends the job.
    pub steps: Vec<Step>,
    /// Done when all steps went well or were ignored.
    pub final_step: Option<Step>,
    /// Whether the standard output is reported.
    pub include_stdout: bool,
    /// What must be true of this device before anything is done.
    pub conditions: Vec<Condition>,
}

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What people call it.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// The local user that does it; `None` for the agent's own choice.
    pub run_as: Option<String>,
    /// How many lines on the standard error output are tolerated; `None`: any number, the exit
    /// status alone counts. (The Device Client's text says none, its code says any.)
    pub stderr_lines_max: Option<u32>,
    /// A failure of this step does not end the job.
    pub ignore_failure: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A program of the handler folder.
    Handler {
        /// Its file name.
        name: String,
        /// Its arguments.
        args: Vec<String>,
        /// The folder the document names; `None` for the configured one.
        path: Option<String>,
    },
    /// A command with its arguments; no shell reads it. Never empty.
    Command(Vec<String>),
}

/// One condition of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Name of a device attribute.
    pub key: String,
    /// Values of which one must be the attribute's.
    pub values: Vec<String>,
    /// How they are compared; empty if not said.
    pub kind: String,
}

/// Why a document is refused; names the member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DocumentFault(pub(crate) String);

impl StepDocument {
    /// Reads a document; `None` if it is of neither schema, so that it is somebody else's.
    ///
    /// # Errors
    /// [`DocumentFault`] when it is of one of the two and cannot be done.
    pub fn read(json: &[u8]) -> Option<Result<Self, DocumentFault>> {
        let document: Value = serde_json::from_slice(json).ok()?;
        let document = document.as_object()?;
        match document.get("version") {
            Some(Value::String(version)) if version == VERSION => Some(raw::current(document)),
            // A version and no steps: no document of ours, unless it says `steps` all the same.
            Some(version) if document.contains_key("steps") => {
                let version = version.to_string();
                let fault = format!("`version` is {version}; this agent does \"{VERSION}\"");
                Some(Err(DocumentFault(fault)))
            }
            Some(_) => None,
            None if document.contains_key("steps") => {
                let fault = format!("`version` is missing: it must be \"{VERSION}\"");
                Some(Err(DocumentFault(fault)))
            }
            None => match document.get("operation") {
                Some(Value::String(operation)) => Some(raw::old(operation, document)),
                Some(_) | None => None,
            },
        }
    }

    /// All steps in their order, the final one last.
    pub fn all(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.final_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> StepDocument {
        StepDocument::read(json.as_bytes()).unwrap().unwrap()
    }

    fn fault(json: &str) -> String {
        match StepDocument::read(json.as_bytes()) {
            Some(Err(fault)) => fault.to_string(),
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn a_document_with_everything_is_read() {
        let document = read(
            r#"{"version":"1.0","includeStdOut":"true",
            "conditions":[{"key":"operatingSystem","value":["ubuntu"],"type":"stringEqual"}],
            "steps":[{"action":{"name":"one","type":"runHandler","runAsUser":"root",
              "allowStdErr":8,"ignoreStepFailure":"true",
              "input":{"handler":"install-packages.sh","args":["wget"],"path":"default"}}},
             {"action":{"name":"two","type":"runCommand",
              "input":{"command":"echo,Hello\\, world"}}}],
            "finalStep":{"action":{"name":"three","type":"runHandler",
              "input":{"handler":"remove-packages.sh","path":""},"runAsUser":""}}}"#,
        );
        assert!(document.include_stdout);
        assert_eq!(document.conditions[0].values, ["ubuntu"]);
        let [one, two] = &document.steps[..] else {
            panic!("two steps");
        };
        assert_eq!(one.run_as.as_deref(), Some("root"));
        assert_eq!(one.stderr_lines_max, Some(8));
        assert!(one.ignore_failure && !two.ignore_failure);
        assert_eq!(
            one.action,
            Action::Handler {
                name: "install-packages.sh".into(),
                args: vec!["wget".into()],
                path: None,
            }
        );
        let words = vec!["echo".to_owned(), "Hello, world".to_owned()];
        assert_eq!(two.action, Action::Command(words));
        let three = document.final_step.as_ref().unwrap();
        assert_eq!(three.run_as, None, "empty is absent");
        assert_eq!(document.all().count(), 3);
    }

    #[test]
    fn truth_values_may_be_values_or_words() {
        for (written, meant) in [("true", true), ("\"true\"", true), ("\"false\"", false)] {
            let document = read(&format!(
                r#"{{"version":"1.0","includeStdOut":{written},"steps":[{{"action":{{"name":"s",
                "type":"runCommand","ignoreStepFailure":{written},
                "input":{{"command":"true"}}}}}}]}}"#
            ));
            assert_eq!(document.include_stdout, meant);
            assert_eq!(document.steps[0].ignore_failure, meant);
        }
    }

    #[test]
    fn the_old_schema_is_one_handler() {
        let document = read(
            r#"{"operation":"install-packages.sh","args":["lftp"],"path":"default","allowStdErr":2}"#,
        );
        assert_eq!(document.steps.len(), 1);
        assert_eq!(document.steps[0].stderr_lines_max, Some(2));
        assert_eq!(document.steps[0].name, "install-packages.sh");
    }

    #[test]
    fn other_documents_are_somebody_else_s() {
        for json in [
            "",
            "[]",
            "17",
            "{}",
            r#"{"afr_ota":{}}"#,
            r#"{"version":"1.0.7","afr_ota":{}}"#,
            r#"{"operation":17}"#,
        ] {
            assert_eq!(StepDocument::read(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn each_fault_names_its_member() {
        let action = |action: &str| {
            format!(r#"{{"version":"1.0","steps":[{{"action":{{"name":"s",{action}}}}}]}}"#)
        };
        let many = format!(
            r#"{{"version":"1.0","steps":[{}0]}}"#,
            "0,".repeat(STEPS_MAX)
        );
        for (json, named) in [
            (r#"{"version":"1.0"}"#.to_owned(), "`steps`"),
            (r#"{"version":"1.0","steps":[]}"#.to_owned(), "`steps`"),
            (r#"{"version":"2.0","steps":[]}"#.to_owned(), "`version`"),
            (r#"{"version":1.0,"steps":[]}"#.to_owned(), "`version`"),
            (r#"{"steps":[]}"#.to_owned(), "`version`"),
            (
                r#"{"version":"1.0","steps":[{}]}"#.to_owned(),
                "steps[0].action",
            ),
            (many, "64"),
            (action(r#""type":"runMagic","input":{}"#), "runMagic"),
            (action(r#""type":"runHandler""#), "`input`"),
            (action(r#""type":"runHandler","input":{}"#), "`handler`"),
            (
                action(r#""type":"runHandler","input":{"handler":""}"#),
                "`handler`",
            ),
            (
                action(r#""type":"runHandler","input":{"handler":"h","args":"x"}"#),
                "`args`",
            ),
            (
                action(r#""type":"runHandler","input":{"handler":"h","args":[1]}"#),
                "`args`",
            ),
            (action(r#""type":"runCommand","input":{}"#), "`command`"),
            (
                action(r#""type":"runCommand","input":{"command":"echo hi,x"}"#),
                "blank",
            ),
            (
                action(r#""type":"runCommand","allowStdErr":-1,"input":{"command":"x"}"#),
                "allowStdErr",
            ),
            (
                r#"{"version":"1.0","steps":[{"action":{"name":"s","type":"runCommand",
                "input":{"command":"x"}}}],"finalStep":{"action":{"name":"f"}}}"#
                    .to_owned(),
                "finalStep",
            ),
            (
                r#"{"version":"1.0","conditions":[{"key":"a"}],"steps":[{"action":{"name":"s",
                "type":"runCommand","input":{"command":"x"}}}]}"#
                    .to_owned(),
                "conditions[0]",
            ),
            (r#"{"operation":""}"#.to_owned(), "`operation`"),
        ] {
            let text = fault(&json);
            assert!(text.contains(named), "{json}: {text}");
        }
    }
}
