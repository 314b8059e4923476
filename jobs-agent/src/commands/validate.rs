//! `validate-document`: what a document would do here.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use agent_std::redact::redact;
use jobs_agent::{
    config::{Config, ConfigFault},
    document::StepDocument,
    policy::{StepPolicy, Task},
};

use super::{complain, say};

/// Longest job document of the service, bytes ("AWS IoT Device Management endpoints and quotas").
const DOCUMENT_LEN_MAX: usize = 32_768;

pub(super) fn document(file: &Path, config: Result<Config, ConfigFault>) -> ExitCode {
    let json = match read(file) {
        Ok(json) => json,
        Err(error) => return complain(&format!("{}: {error}", file.display())),
    };
    if json.len() > DOCUMENT_LEN_MAX {
        return complain(&format!(
            "the document has more than the {DOCUMENT_LEN_MAX} bytes that the service takes"
        ));
    }
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(&json) {
        return complain(&format!("no JSON: {error}"));
    }
    let document = match StepDocument::read(&json) {
        None => {
            return complain(
                &"no Device Client document: it has neither `version` and `steps` nor `operation`",
            );
        }
        Some(Err(fault)) => return complain(&fault),
        Some(Ok(document)) => document,
    };
    let config = match config {
        Ok(config) => config,
        Err(fault) => {
            say(&format!(
                "the document is well-formed; what this device allows is not known: {fault}\n"
            ));
            return ExitCode::SUCCESS;
        }
    };
    match config.steps.tasks(&document) {
        Ok(tasks) => {
            say(&plan(&document, &tasks, &config.steps));
            ExitCode::SUCCESS
        }
        Err(fault) => complain(&format!(
            "would be rejected: {}",
            redact(&fault.to_string())
        )),
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut json = Vec::new();
    // One byte more than allowed tells that it is too long.
    let most = DOCUMENT_LEN_MAX as u64 + 1;
    if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut json)?;
    } else {
        File::open(file)?.take(most).read_to_end(&mut json)?;
    }
    Ok(json)
}

fn plan(document: &StepDocument, tasks: &[Task], policy: &StepPolicy) -> String {
    let mut text = String::new();
    for (index, (step, task)) in document.all().zip(tasks).enumerate() {
        let user = step.run_as.as_deref().or(policy.default_user.as_deref());
        let user = user.map_or_else(String::new, |user| format!(" as {user}"));
        let what = match task {
            Task::Handler { dir, name, args } => {
                format!("run {} {args:?}{user}", dir.join(name).display())
            }
            Task::Command { program, args } => format!("run {program} {args:?}{user}"),
            Task::Reboot => "restart the machine".to_owned(),
            Task::Download { url, path } => format!("download {url} to {}", path.display()),
        };
        let ignored = if step.ignore_failure {
            "; a failure is ignored"
        } else {
            ""
        };
        text += &format!(
            "{}. \"{}\": {}{ignored}\n",
            index + 1,
            step.name,
            redact(&what)
        );
    }
    text
}
