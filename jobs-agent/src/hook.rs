//! The commands of a target.

use std::{io, path::Path};

use super::UpdatePlan;
use crate::{
    saved::start,
    step::Steps,
    supervise::{Folder, Leftovers, Limits, Spec},
};

/// How long a command may take to end after SIGTERM, milliseconds.
const GRACE_MS: u64 = 5_000;

/// How long its output is read after its own process has ended, milliseconds.
const DRAIN_MS: u64 = 1_000;

/// Most bytes of a command's last word on stderr that go into a reason.
const LINE_LEN_MAX: usize = 120;

/// What the supervisor has to do. Commands are the operator's own, so nothing is taken from them
/// but their environment.
pub(super) fn spec(program: &str, args: &[String], plan: &UpdatePlan, job_id: &str) -> Spec {
    let var = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Spec {
        program: program.into(),
        args: args.to_vec(),
        env: vec![
            var(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            var("LANG", "C.UTF-8"),
            var("JOBS_AGENT_JOB_ID", job_id),
            var("JOBS_AGENT_VERSION", &plan.version),
        ],
        working_dir: "/".into(),
        user: None,
        limit_ms: plan.target.timeout_s.saturating_mul(1_000),
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

/// The last line of an output, ready to stand behind a reason.
pub(super) fn last_line(output: &str) -> String {
    match output.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!(" ({})", start(line.trim(), LINE_LEN_MAX)),
        None => String::new(),
    }
}

/// Ends and removes what is left of a job's commands.
pub(super) async fn clear(folders: &Path, job_id: &str) -> io::Result<()> {
    for folder in Folder::all_of(folders, job_id)? {
        Steps::stop(&folder).await?;
        folder.remove()?;
    }
    Ok(())
}
