//! The few operations the file store needs, each one system call or nearly so.
//!
//! They are a trait so that a test can put a file system under the store that forgets what was not
//! synced, and cut the power between any two of them.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{MAX_RECORD_BYTES, StoreError};

/// Held with `flock` by the one process that owns the directory.
pub(super) const LOCK_FILE: &str = "lock";

/// One directory of files.
pub(super) trait Fs: Send {
    /// An open file.
    type File;
    /// The directory, for messages.
    fn dir(&self) -> &Path;
    fn list(&mut self) -> io::Result<Vec<String>>;
    /// At most one byte more than [`MAX_RECORD_BYTES`].
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;
    /// An empty file, readable for its owner only.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
    fn write(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// A directory of the operating system, owned by this process.
#[derive(Debug)]
pub(super) struct RealFs {
    dir: PathBuf,
    /// Open for as long as the directory is used: what `sync_dir` works on.
    handle: File,
    /// The lock ends when this is closed, also when the process is killed.
    _lock: File,
}

impl RealFs {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| StoreError::io("create the directory", dir, error))?;
        let path = dir.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io("create", &path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    dir: dir.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, error)),
        }
        let handle = File::open(dir).map_err(|error| StoreError::io("open", dir, error))?;
        // A directory made just now must itself survive; its parent may be unreadable for us, and
        // then it was certainly not made by us.
        if let Some(parent) = dir.parent()
            && let Ok(parent) = File::open(parent)
        {
            parent
                .sync_all()
                .map_err(|error| StoreError::io("sync the parent of", dir, error))?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            handle,
            _lock: lock,
        })
    }
}

impl Fs for RealFs {
    type File = File;

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn list(&mut self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_RECORD_BYTES)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        File::open(self.dir.join(name))?
            .take(limit)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&mut self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.dir.join(name))
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.handle.sync_all()
    }
}
