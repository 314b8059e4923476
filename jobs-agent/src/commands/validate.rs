//! `validate-document`: what a document would do here.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use agent_std::redact::redact;
use jobs_agent::{
    config::{Config, ConfigFault},
    document::StepDocument,
    handlers::Handlers,
    journal::{Journal, now_ms},
    policy::{StepPolicy, Task},
    signed::{Asked, Signed, is_signed},
    step::Steps,
    supervise::THIS_PROGRAM,
    update::Keys,
};

use super::{complain, say};

/// Longest job document of the service, bytes ("AWS IoT Device Management endpoints and quotas").
pub(super) const DOCUMENT_LEN_MAX: usize = 32_768;

pub(super) fn document(file: &Path, config: Result<Config, ConfigFault>) -> ExitCode {
    match examine(file, config) {
        Ok(said) => {
            say(&said);
            ExitCode::SUCCESS
        }
        Err(why) => complain(&redact(&why)),
    }
}

fn examine(file: &Path, config: Result<Config, ConfigFault>) -> Result<String, String> {
    let json = read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if json.len() > DOCUMENT_LEN_MAX {
        return Err(format!(
            "the document has more than the {DOCUMENT_LEN_MAX} bytes that the service takes"
        ));
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&json)
        .map_err(|error| format!("no JSON: {error}"))?;
    let config = match config {
        Ok(config) => config,
        Err(fault) => {
            well_formed(&json)?;
            return Ok(format!(
                "the document is well-formed; what this device allows is not known: {fault}\n"
            ));
        }
    };
    let policy = &config.signed_documents;
    let keys = Keys::read(&policy.keys).map_err(|fault| fault.to_string())?;
    let signed = Signed::new(keys, policy.expiry_required, &config.thing);
    match (signed.is_required(), is_signed(&json)) {
        (true, true) => {
            let asked = Asked {
                job_id: None,
                resuming: false,
                now_s: now_ms() / 1_000,
            };
            let inner = signed.open(&json, asked).map_err(rejected)?;
            let what = what(&inner, &config)?;
            Ok(format!("signed by a key of this device\n{what}"))
        }
        (true, false) => Err(rejected("this device does signed documents only")),
        (false, true) => Err(rejected(
            "it is signed, and no `signed_documents.keys` are configured",
        )),
        (false, false) => what(&json, &config),
    }
}

fn rejected(why: impl Display) -> String {
    format!("would be rejected: {why}")
}

fn well_formed(json: &[u8]) -> Result<(), String> {
    match StepDocument::read(json) {
        Some(Ok(_)) => Ok(()),
        Some(Err(fault)) => Err(fault.to_string()),
        // Nobody can tell without a configuration to whom it is addressed.
        None if is_signed(json) => Ok(()),
        None => Err(
            "no Device Client document: it has neither `version` and `steps` nor `operation`"
                .to_owned(),
        ),
    }
}

/// What the document would do.
fn what(json: &[u8], config: &Config) -> Result<String, String> {
    let steps = Steps {
        program: THIS_PROGRAM.into(),
    };
    let handlers = Handlers::new(config, &steps, Journal::closed(), Arc::default());
    match handlers.map_err(|fault| fault.to_string())?.preview(json) {
        Some(Ok(said)) => return Ok(format!("{said}\n")),
        Some(Err(why)) => return Err(rejected(why)),
        None => {}
    }
    well_formed(json)?;
    let Some(Ok(document)) = StepDocument::read(json) else {
        return Err(rejected("no handler knows it"));
    };
    let tasks = config.steps.tasks(&document).map_err(rejected)?;
    Ok(plan(&document, &tasks, &config.steps))
}

pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
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
