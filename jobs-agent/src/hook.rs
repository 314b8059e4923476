//! Commands of the operator's own that belong to an update or a configuration file.

use std::{io, path::Path};

use crate::{
    saved::start,
    step::{StepFault, Steps},
    supervise::{Folder, Leftovers, Limits, Spec, StepResult},
};

/// How long a command may take to end after SIGTERM, milliseconds.
const GRACE_MS: u64 = 5_000;

/// How long its output is read after its own process has ended, milliseconds.
const DRAIN_MS: u64 = 1_000;

/// Most bytes of a command's last word on stderr that go into a reason.
const LINE_LEN_MAX: usize = 120;

/// What the supervisor has to do. Commands are the operator's own, so nothing is taken from them
/// but their environment.
pub(crate) fn spec(
    program: &str,
    args: &[String],
    more_env: &[(&str, &str)],
    limit_s: u64,
) -> Spec {
    let var = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let base = [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("LANG", "C.UTF-8"),
    ];
    Spec {
        program: program.into(),
        args: args.to_vec(),
        env: base.iter().chain(more_env).map(var).collect(),
        working_dir: "/".into(),
        user: None,
        limit_ms: limit_s.saturating_mul(1_000),
        grace_ms: GRACE_MS,
        drain_ms: DRAIN_MS,
        leftovers: Leftovers::Keep,
        limits: Limits {
            processes: None,
            open_files: None,
            no_new_privileges: false,
            ..Limits::default()
        },
    }
}

/// Runs one to its end. One of which nobody knows how far it came is run again.
///
/// # Errors
/// [`StepFault`]
pub(crate) async fn run(
    steps: &Steps,
    folder: &Folder,
    spec: &Spec,
) -> Result<StepResult, StepFault> {
    match steps.run(folder, spec).await {
        Err(StepFault::Interrupted) => {
            folder.remove()?;
            steps.run(folder, spec).await
        }
        other => other,
    }
}

/// The last line of an output, ready to stand behind a reason.
pub(crate) fn last_line(output: &str) -> String {
    match output.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!(" ({})", start(line.trim(), LINE_LEN_MAX)),
        None => String::new(),
    }
}

/// Ends and removes what is left of a job's commands.
pub(crate) async fn clear(folders: &Path, job_id: &str) -> io::Result<()> {
    for folder in Folder::all_of(folders, job_id)? {
        Steps::stop(&folder).await?;
        folder.remove()?;
    }
    Ok(())
}
