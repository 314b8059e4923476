//! One step as a process tree of its own, under a small supervisor process.
//!
//! The agent does not run a step itself. It starts its own program again as a *supervisor*, which
//! lives as long as the step does and not as long as the agent does. So a step survives a crash,
//! a kill or an upgrade of the agent, runs to its end exactly once, and its result is on the disk
//! when the agent comes back. What the two have in common is a folder:
//!
//! | file | says |
//! |---|---|
//! | `lock` | locked (flock) for as long as the supervisor lives; holds its process id |
//! | `result.room` | holds the room of the result, should the step fill the disk |
//! | `started` | durable before the step starts: from here on it may have had effects |
//! | `result.json` | durable before the supervisor ends: how the step ended |
//!
//! No lock, `started` and no result: the machine went down, or somebody killed the supervisor too.
//! Only then does nobody know how far the step came.
//!
//! The supervisor makes itself the reaper of its descendants (`PR_SET_CHILD_SUBREAPER`), so that a
//! process that leaves the step's process group and session is still found and ended. It drains
//! both outputs at the same time into bounded tails, and closes them a little after the step's own
//! process has ended, whoever still holds the other end.

mod folder;
mod process;
mod tail;
mod tree;

use std::{ffi::OsStr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use folder::{Folder, Found};
pub use process::main as supervisor_main;

/// The hidden subcommand under which the program is a supervisor.
pub const SUBCOMMAND: &str = "supervise";

/// Bytes kept of the end of each output: the service takes 1 024 characters, most have one byte
/// and none more than four.
pub const TAIL_LEN: usize = 4_096;

/// Longest spec, bytes: a document of 32 KiB, written in JSON again, and what stands around it.
pub const SPEC_LEN_MAX: u64 = 256 * 1_024;

/// Least `file_bytes`: a supervisor has the limits of its step and still has to write the result,
/// which is two tails of 4 KiB, six bytes for each of theirs at most.
const FILE_BYTES_LEAST: u64 = 64 * 1_024;

/// Least `memory_bytes`, for the same reason: what the supervisor's image, stack and heap map.
const MEMORY_BYTES_LEAST: u64 = 64 * 1_024 * 1_024;

/// Least `open_files`, for the same reason: its runtime, lock, pipes, and a look through `/proc`.
const OPEN_FILES_LEAST: u64 = 32;

/// The program as which a supervisor is started: this very image, even if its file was replaced
/// by an upgrade meanwhile (proc(5)).
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// What a supervisor has to do. Goes through its standard input and never to the disk: arguments
/// may hold presigned URLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The program, with a slash in it: no search path is used.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// The folder it starts in.
    pub working_dir: PathBuf,
    /// The user it becomes; `None`: the agent's own.
    pub user: Option<Ids>,
    /// How long it may take, milliseconds.
    pub limit_ms: u64,
    /// How long it may take to end after SIGTERM, milliseconds, before SIGKILL.
    pub grace_ms: u64,
    /// How long its output is read after its own process has ended, milliseconds.
    pub drain_ms: u64,
    /// What becomes of processes that it leaves behind.
    pub leftovers: Leftovers,
    /// What it may use.
    pub limits: Limits,
}

/// A user by numbers; supplementary groups are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What becomes of processes that a step leaves behind when its own process has ended well. A step
/// that is stopped or times out never leaves any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leftovers {
    /// They are ended: a step is over when all of it is over.
    #[default]
    Kill,
    /// They stay, for handlers that start a daemon by hand.
    Keep,
}

/// What a step may use; `None` is no limit beyond the agent's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Processes at a time, the supervisor not counted; looked at five times a second, and also
    /// set as `RLIMIT_NPROC` for a step of another user than root.
    pub processes: Option<u32>,
    /// Bytes of one file it writes (`RLIMIT_FSIZE`).
    pub file_bytes: Option<u64>,
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Bytes of address space of one process (`RLIMIT_AS`).
    pub memory_bytes: Option<u64>,
    /// Neither it nor its descendants can gain privileges by a set-user-id program.
    pub no_new_privileges: bool,
}

impl Limits {
    /// # Errors
    /// The member with which a supervisor could not do its own work, and its least value.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (member, value, least) in [
            ("file_bytes", self.file_bytes, FILE_BYTES_LEAST),
            ("memory_bytes", self.memory_bytes, MEMORY_BYTES_LEAST),
            ("open_files", self.open_files, OPEN_FILES_LEAST),
        ] {
            if value.is_some_and(|value| value < least) {
                return Err(format!("{member}` must be at least {least}"));
            }
        }
        Ok(())
    }
}

impl Default for Limits {
    /// Room for a package manager, and not for a fork bomb.
    fn default() -> Self {
        Self {
            processes: Some(256),
            file_bytes: None,
            open_files: Some(1_024),
            memory_bytes: None,
            no_new_privileges: true,
        }
    }
}

/// How a step ended and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    /// How it ended.
    pub end: End,
    /// The end of its standard output.
    pub stdout: String,
    /// The end of its standard error output.
    pub stderr: String,
    /// Bytes on its standard output in all.
    pub stdout_bytes: u64,
    /// Bytes on its standard error output in all.
    pub stderr_bytes: u64,
    /// Lines on its standard error output in all.
    pub stderr_lines: u64,
    /// Processes it left behind that were ended.
    pub leftovers_ended: u32,
    /// Milliseconds it took.
    pub took_ms: u64,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// Its process ended with this code.
    Exited(i32),
    /// Its process was ended by this signal.
    Signaled(i32),
    /// It took too long and was ended.
    TimedOut,
    /// It was told to stop, and was ended.
    Stopped,
    /// It had too many processes and was ended.
    TooManyProcesses,
    /// It could not be started; nothing was done.
    NotStarted(String),
}

impl StepResult {
    /// The result of a step that could not be started.
    #[must_use]
    pub fn not_started(why: impl Into<String>) -> Self {
        Self {
            end: End::NotStarted(why.into()),
            stdout: String::new(),
            stderr: String::new(),
            stdout_bytes: 0,
            stderr_bytes: 0,
            stderr_lines: 0,
            leftovers_ended: 0,
            took_ms: 0,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status {code}"),
            Self::Signaled(signal) => write!(f, "ended by signal {signal}"),
            Self::TimedOut => f.write_str("took too long and was ended"),
            Self::Stopped => f.write_str("was told to stop"),
            Self::TooManyProcesses => f.write_str("had too many processes and was ended"),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}

/// Whether the program was started to be a supervisor.
#[must_use]
pub fn is_supervisor(first_argument: Option<&OsStr>) -> bool {
    first_argument == Some(OsStr::new(SUBCOMMAND))
}
