//! The folder that the agent and a supervisor have in common.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::StepResult;
use crate::durable;

const LOCK: &str = "lock";
const STARTED: &str = "started";
const RESULT: &str = "result.json";
/// Keeps a supervisor that comes late from starting a step that was stopped already.
const STOP: &str = "stop";
/// Room for the result, taken before the step starts: a step may fill the disk.
const ROOM: &str = "result.room";

/// Bytes of that room: two tails of 4 KiB in JSON, six bytes for each of theirs at most, and what
/// stands around them. No more than the least `file_bytes`, which bind the supervisor, too.
const ROOM_LEN: usize = 64 * 1_024;

/// The folder of one step.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// What a look into the folder of a step finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was started.
    Nothing,
    /// A supervisor is at work.
    Running,
    /// The step ended.
    Finished(StepResult),
    /// The step was started, and nobody knows how far it came.
    Interrupted,
}

/// Who has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Nobody,
    /// Somebody who has not yet written his number.
    Unknown,
    Process(Pid),
}

impl Folder {
    /// The folder at this place, whether it is there or not.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder of one step of a job, below `root`.
    #[must_use]
    pub fn of_step(root: &Path, job_id: &str, step: usize) -> Self {
        // Job ids have letters, digits, `-` and `_` only.
        Self(root.join(format!("{job_id}.{step}")))
    }

    /// All folders of steps of a job that are there.
    ///
    /// # Errors
    /// `root` cannot be read; one that is not there has none.
    pub fn all_of(root: &Path, job_id: &str) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let of_job = |name: &str| name.rsplit_once('.').is_some_and(|(job, _)| job == job_id);
        let entries = entries.flatten();
        let found = entries.filter(|entry| entry.file_name().to_str().is_some_and(of_job));
        Ok(found.map(|entry| Self(entry.path())).collect())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it, for the agent's eyes only, if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        // What `started` says must not be lost with the name of the folder it is in.
        match self.0.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Removes it with all that is in it; one that is not there is removed.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Looks what has become of the step.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn look(&self) -> io::Result<Found> {
        // The lock first: a supervisor that ends between two looks has left its result.
        if self.holder()? != Holder::Nobody {
            return Ok(Found::Running);
        }
        match fs::read(self.0.join(RESULT)) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(result) => return Ok(Found::Finished(result)),
                // Written whole or not at all, so somebody else wrote it.
                Err(_) => return Ok(Found::Interrupted),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(if self.0.join(STARTED).try_exists()? {
            Found::Interrupted
        } else {
            Found::Nothing
        })
    }

    /// Tells the supervisor to stop its step; `false` if there is none, and then none will start it
    /// any more.
    ///
    /// # Errors
    /// The lock cannot be read, or the signal not be sent; `WouldBlock` if the supervisor has only
    /// just taken the lock: ask again.
    pub fn stop(&self) -> io::Result<bool> {
        // Before the look at the lock: a supervisor looks for this after it took the lock, so one
        // of the two sees the other.
        match File::create(self.0.join(STOP)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let pid = match self.holder()? {
            Holder::Nobody => return Ok(false),
            Holder::Unknown => return Err(io::ErrorKind::WouldBlock.into()),
            Holder::Process(pid) => pid,
        };
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // Still locked by the same one after its handle was opened: the number was not given to
        // another process meanwhile.
        if self.holder()? != Holder::Process(pid) {
            return Ok(false);
        }
        match pidfd_send_signal(process, Signal::TERM) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn holder(&self) -> io::Result<Holder> {
        let mut file = match File::open(self.0.join(LOCK)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Holder::Nobody),
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                let pid = text.trim().parse().ok().and_then(Pid::from_raw);
                Ok(pid.map_or(Holder::Unknown, Holder::Process))
            }
        }
    }
}

/// The supervisor's hold of the folder.
#[derive(Debug)]
pub(super) struct Held {
    folder: PathBuf,
    /// Unlocked when closed, at the latest by the end of the process.
    _lock: File,
}

impl Held {
    /// Takes the folder; `None` if another supervisor has it, or had it before.
    pub(super) fn take(folder: &Path) -> io::Result<Option<Self>> {
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        for mark in [STARTED, RESULT, STOP] {
            if folder.join(mark).try_exists()? {
                return Ok(None);
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            _lock: lock,
        }))
    }

    /// From here on the step may have had effects.
    pub(super) fn started(&self) -> io::Result<()> {
        // Written, not only set aside: some file systems promise nothing for a hole. Blanks may
        // stand behind JSON.
        durable::replace(&self.folder.join(ROOM), &[b' '; ROOM_LEN])?;
        durable::replace(&self.folder.join(STARTED), b"")
    }

    /// The step ended.
    pub(super) fn finished(&self, result: &StepResult) -> io::Result<()> {
        let json = serde_json::to_vec(result)?;
        let room = self.folder.join(ROOM);
        let into_room = || {
            let file = File::options().write(true).open(&room)?;
            file.write_all_at(&json, 0)?;
            file.sync_all()?;
            fs::rename(&room, self.folder.join(RESULT))?;
            File::open(&self.folder)?.sync_all()
        };
        if json.len() <= ROOM_LEN && into_room().is_ok() {
            return Ok(());
        }
        durable::replace(&self.folder.join(RESULT), &json)
    }
}

#[cfg(test)]
mod tests;
