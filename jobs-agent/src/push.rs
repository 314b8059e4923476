//! `config_push`: replaces a configuration file that the operator listed, and takes it back if the
//! device does not like it.
//!
//! ```json
//! {"operation":"config_push","name":"pump","content":"speed = 3\n"}
//! ```
//!
//! The present file is kept beside it (`.before`, until the next push); the new one takes its place
//! at once; the file's check command runs; if it fails, the old content is put back. A cut of the
//! power at any point is followed by the same steps from the last checkpoint, which end the same
//! way. Jobs for one file take turns: see [`crate::turns`].

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use jobs_agent_core::{
    Checkpoint, Details, JobHandler, JobPort, Offer, OperationTag, Outcome, Reason, Refusal,
};
use rustix::{fs::OFlags, io::Errno};
use serde::Deserialize;

use crate::{
    durable, hook,
    step::Steps,
    supervise::{End, Folder},
    turns::{self, Turns},
};

/// The operation's name.
pub const OPERATION: &str = "config_push";

/// Longest wait for a check, unless the configuration says otherwise, seconds: a service that
/// restarts.
const CHECK_TIMEOUT_S: u64 = 60;

/// Version of the checkpoint: its first byte.
const FORMAT: u8 = 1;

/// Which files may be replaced; none unless listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PushPolicy {
    /// The files, by the name under which documents call them.
    pub files: BTreeMap<String, PushedFile>,
}

/// A file that may be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedFile {
    /// Where it is.
    pub path: PathBuf,
    /// A command, word by word, that ends with 0 if the device accepts the new file; the file's
    /// path is its last argument. Full path first. None: every content is good.
    #[serde(default)]
    pub check: Vec<String>,
    /// How long the check may take, seconds.
    #[serde(default = "check_timeout_s")]
    pub check_timeout_s: u64,
}

const fn check_timeout_s() -> u64 {
    CHECK_TIMEOUT_S
}

/// Replaces configuration files.
#[derive(Clone, Debug)]
pub struct ConfigPush {
    policy: PushPolicy,
    steps: Steps,
    folders: PathBuf,
    turns: Turns,
}

/// What [`ConfigPush`] read out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushPlan {
    file: PushedFile,
    content: String,
    resuming: bool,
}

impl std::fmt::Display for PushPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, bytes) = (self.file.path.display(), self.content.len());
        write!(f, "replace {path} with {bytes} bytes")?;
        match self.file.check.is_empty() {
            true => Ok(()),
            false => write!(f, ", if {:?} accepts them", self.file.check),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    name: String,
    content: String,
}

impl ConfigPush {
    /// Works under this policy; checks run under supervisors, in `folders`.
    #[must_use]
    pub fn new(policy: PushPolicy, steps: Steps, folders: impl Into<PathBuf>) -> Self {
        Self {
            policy,
            steps,
            folders: folders.into(),
            turns: Turns::default(),
        }
    }

    /// Waits for its turn at a file among these.
    #[must_use]
    pub fn taking_turns(mut self, turns: Turns) -> Self {
        self.turns = turns;
        self
    }

    async fn replace<P: JobPort>(&self, plan: &PushPlan, port: &mut P) -> Outcome {
        let path = &plan.file.path;
        let kept = beside(path, ".before");
        if let Err(error) = keep(path, &kept) {
            return failed(&format!("{}: {error}", path.display()));
        }
        // From here on the old content is in `.before`, whatever happens to the file.
        let Ok(checkpoint) = Checkpoint::new(&[FORMAT]) else {
            return failed("no room for a checkpoint");
        };
        if let Err(stopped) = port.checkpoint(checkpoint.with_document()).await {
            return failed(&format!(
                "stopped ({:?}) before the file was touched",
                stopped.0
            ));
        }
        self.put(plan, &kept, port).await
    }

    /// The second half: the old content is kept, and durable.
    async fn put<P: JobPort>(&self, plan: &PushPlan, kept: &Path, port: &mut P) -> Outcome {
        let path = &plan.file.path;
        if let Err(error) = write(path, plan.content.as_bytes()) {
            // It may be in its place and not be durable.
            return back(path, kept, &format!("{}: {error}", path.display()));
        }
        let folder = Folder::of_step(&self.folders, port.job_id(), 0);
        let checked = tokio::select! {
            checked = self.check(&plan.file, &folder) => checked,
            reason = port.stopped() => {
                // What stays behind of it ends by its own time limit.
                if let Err(error) = Steps::stop(&folder).await {
                    tracing::warn!(%error, "a check could not be stopped");
                }
                Err(format!("stopped ({reason:?})"))
            }
        };
        let Err(why) = checked else {
            let bytes = plan.content.len().to_string();
            return Outcome::Succeeded(Details::new().with("bytes", &bytes));
        };
        back(path, kept, &why)
    }

    /// Under a supervisor: whatever the check starts is ended with it, and it is not begun a second
    /// time beside itself when the agent dies meanwhile.
    async fn check(&self, file: &PushedFile, folder: &Folder) -> Result<(), String> {
        let Some((program, args)) = file.check.split_first() else {
            return Ok(());
        };
        let mut args = args.to_vec();
        args.push(file.path.to_string_lossy().into_owned());
        let spec = hook::spec(program, &args, &[], file.check_timeout_s);
        let result = hook::run(&self.steps, folder, &spec).await;
        match result.map_err(|fault| format!("the check {fault}"))?.end {
            End::Exited(0) => Ok(()),
            End::TimedOut => Err(format!(
                "the check took longer than {} s",
                file.check_timeout_s
            )),
            End::NotStarted(why) => Err(format!("the check cannot be started: {why}")),
            end => Err(format!("the check refused the new file ({end})")),
        }
    }

    /// Ends what may still run of a check, and forgets its result: a check that is repeated after
    /// a cut does no harm.
    async fn done(&self, outcome: Outcome, job_id: &str) -> Outcome {
        if let Err(error) = hook::clear(&self.folders, job_id).await {
            tracing::warn!(%error, "what is left of a check cannot be removed");
        }
        outcome
    }
}

/// Puts the old file back, for this reason.
fn back(path: &Path, kept: &Path, why: &str) -> Outcome {
    match roll_back(path, kept) {
        Ok(()) => failed(&format!("{why}; the old file is back")),
        Err(error) => failed(&format!(
            "{why}; and the old file could not be put back: {error}"
        )),
    }
}

impl JobHandler for ConfigPush {
    type Plan = PushPlan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, PushPlan), Refusal> {
        let named = offer.document.str_field(jobs_agent_core::OPERATION_KEY);
        if self.policy.files.is_empty() || !named.is_some_and(|name| name.eq_str(OPERATION)) {
            return Err(Refusal::Unknown);
        }
        let document: Document = serde_json::from_slice(offer.document.0)
            .map_err(|error| Refusal::Reject(Reason::new(&format!("job document: {error}"))))?;
        let Some(file) = self.policy.files.get(&document.name) else {
            let text = format!("no file {:?} may be replaced on this device", document.name);
            return Err(Refusal::Reject(Reason::new(&text)));
        };
        let plan = PushPlan {
            file: file.clone(),
            content: document.content,
            resuming: offer.resuming,
        };
        Ok((OperationTag::of(OPERATION), plan))
    }

    async fn run<P: JobPort>(&self, plan: PushPlan, port: &mut P) -> Outcome {
        if !plan.resuming
            && let Err(error) = hook::clear(&self.folders, port.job_id()).await
        {
            return failed(&format!("the folder of a check cannot be used: {error}"));
        }
        let place = turns::of_file(&plan.file.path);
        if let Err(reason) = self.turns.take(&place, port).await {
            return failed(&format!("stopped ({reason:?}) before the file was touched"));
        }
        let outcome = self.replace(&plan, port).await;
        self.done(outcome, port.job_id()).await
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        plan: Option<PushPlan>,
        port: &mut P,
    ) -> Outcome {
        let ([FORMAT], Some(plan)) = (from.bytes(), plan) else {
            return failed("the checkpoint is of another version of this agent");
        };
        let place = turns::of_file(&plan.file.path);
        self.turns.take_again(&place, port.job_id()).await;
        let kept = beside(&plan.file.path, ".before");
        let attempt = port.attempt();
        let outcome = if attempt.number >= attempt.last && attempt.last > 1 {
            // After this one nobody would be asked to put the old file back.
            let why = format!("the check was cut off {} times", attempt.number - 1);
            back(&plan.file.path, &kept, &why)
        } else {
            self.put(&plan, &kept, port).await
        };
        self.done(outcome, port.job_id()).await
    }
}

fn failed(why: &str) -> Outcome {
    Outcome::failed(&agent_std::redact::redact(why))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Keeps the present content and says so by being there: without a kept file there was none.
fn keep(path: &Path, kept: &Path) -> io::Result<()> {
    match regular(path) {
        Ok((mut file, found)) => {
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            durable::replace_as(kept, &content, |new| like(new, &found))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove(kept),
        Err(error) => Err(error),
    }
}

/// Opens a regular file and looks at what was opened: who can write to its folder can put a link to
/// a file that only the agent may read in its place at any time.
fn regular(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let text = "is no regular file; links are not followed";
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, text);
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = file.map_err(|error| {
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            refused()
        } else {
            error
        }
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(refused());
    }
    Ok((file, found))
}

/// Removes a file durably; one that is not there is removed.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match path.parent() {
        Some(folder) if folder.is_dir() => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Replaces the file; owner and mode stay.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        // Of a link, owner and mode say nothing; it is replaced like anything else.
        Ok(found) if found.is_file() => durable::replace_as(path, content, |new| like(new, &found)),
        Ok(_) | Err(_) => durable::replace(path, content),
    }
}

fn like(new: &File, old: &fs::Metadata) -> io::Result<()> {
    let me = rustix::process::geteuid();
    if me.is_root() || old.uid() != me.as_raw() {
        fchown(new, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(old.permissions())
}

/// Puts the kept content back. What was kept stays: after a cut of the power in the middle of a
/// job this runs again.
fn roll_back(path: &Path, kept: &Path) -> io::Result<()> {
    match regular(kept) {
        // Another name of a file elsewhere is not what was kept.
        Ok((_, found)) if found.nlink() != 1 => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "what was kept has another name, too",
        )),
        Ok((mut file, _)) => {
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            write(path, &content)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove(path),
        Err(error) => Err(error),
    }
}
