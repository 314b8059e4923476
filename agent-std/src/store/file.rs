//! Records as files: `slot-0.rec`, `slot-1.rec`, …, each replaced as a whole.

#[cfg(test)]
mod cuts;
#[cfg(test)]
mod volatile;

use std::io;
use std::path::Path;

use tracing::{debug, warn};

use super::fs::{Fs, RealFs};
use super::{MAX_RECORD_BYTES, RecordStore, StoreError};

/// Names the thing whose records these are.
const OWNER_FILE: &str = "thing";
/// What it is written as.
const OWNER_TEMPORARY: &str = "thing.tmp";
/// Bytes of a foreign name that a message shows: a thing's name has 128 at most.
const OWNER_SHOWN_MAX: usize = 128;

/// A directory with one file for each record, owned by one process.
///
/// A record is written to `slot-N.tmp`, synced, and renamed to `slot-N.rec`, and the directory is
/// synced. A power cut leaves at worst a `.tmp` file, which the next [`FileStore::open`] removes.
/// [`FileStore::open_for`] also writes down whose records they are, in the file `thing`.
/// The directory is made with mode 0700 if it does not exist (an existing one keeps its mode); the
/// files have mode 0600.
#[derive(Debug)]
pub struct FileStore {
    files: Files<RealFs>,
}

impl FileStore {
    /// Takes possession of the directory until dropped; other processes are refused meanwhile.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process (or another store of this one) has it;
    /// [`StoreError::Denied`] and others say what the operating system did not allow.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self {
            files: Files::open(RealFs::open(dir.as_ref())?)?,
        })
    }

    /// As [`FileStore::open`], for the records of this thing: refused while the directory holds
    /// records of another one, which would be taken for this one's. A job for both has the same id,
    /// and the outcome of one would be reported as that of the other.
    ///
    /// A directory without records takes the new name; one from before names were kept is taken as
    /// it is.
    ///
    /// # Errors
    /// [`StoreError::OtherThing`]; else as [`FileStore::open`].
    pub fn open_for(dir: impl AsRef<Path>, thing: &str) -> Result<Self, StoreError> {
        let mut store = Self::open(dir)?;
        store.files.belong_to(thing)?;
        Ok(store)
    }
}

impl RecordStore for FileStore {
    fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
        self.files.load_all()
    }

    fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), StoreError> {
        self.files.save(slot, record)
    }

    fn erase(&mut self, slot: u8) -> Result<(), StoreError> {
        self.files.erase(slot)
    }
}

/// The order of operations, over any file system.
#[derive(Debug)]
struct Files<F> {
    fs: F,
}

impl<F: Fs> Files<F> {
    fn open(fs: F) -> Result<Self, StoreError> {
        let mut files = Self { fs };
        let names = files
            .fs
            .list()
            .map_err(|error| files.dir_error("list", error))?;
        for name in names.iter().filter(|name| slot_of(name, ".tmp").is_some()) {
            warn!(file = %name, "removing what an interrupted save left behind");
            files
                .fs
                .remove(name)
                .map_err(|error| files.error("remove", name, error))?;
        }
        Ok(files)
    }

    /// See [`FileStore::open_for`].
    fn belong_to(&mut self, thing: &str) -> Result<(), StoreError> {
        let names = self
            .fs
            .list()
            .map_err(|error| self.dir_error("list", error))?;
        if !names.iter().any(|name| name == OWNER_FILE) {
            // Its absence takes no job away: a full disk must not keep the agent from starting.
            if let Err(error) = self.replace(OWNER_TEMPORARY, OWNER_FILE, thing.as_bytes()) {
                warn!(%error, "whose records these are is not written down");
            }
            return Ok(());
        }
        let owner = self
            .fs
            .read(OWNER_FILE)
            .map_err(|error| self.error("read", OWNER_FILE, error))?;
        if owner == thing.as_bytes() {
            return Ok(());
        }
        if names.iter().any(|name| slot_of(name, ".rec").is_some()) {
            return Err(StoreError::OtherThing {
                dir: self.fs.dir().to_owned(),
                owner: owner
                    .escape_ascii()
                    .take(OWNER_SHOWN_MAX)
                    .map(char::from)
                    .collect(),
            });
        }
        self.replace(OWNER_TEMPORARY, OWNER_FILE, thing.as_bytes())
    }

    fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
        let names = self
            .fs
            .list()
            .map_err(|error| self.dir_error("list", error))?;
        let mut records = Vec::new();
        for name in names {
            let Some(slot) = slot_of(&name, ".rec") else {
                continue;
            };
            let record = self
                .fs
                .read(&name)
                .map_err(|error| self.error("read", &name, error))?;
            if record.len() > MAX_RECORD_BYTES {
                let path = self.fs.dir().join(name);
                return Err(StoreError::Foreign {
                    path,
                    why: "it is too large",
                });
            }
            records.push((slot, record));
        }
        records.sort_unstable_by_key(|(slot, _)| *slot);
        Ok(records)
    }

    fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), StoreError> {
        if record.len() > MAX_RECORD_BYTES {
            return Err(StoreError::TooLarge {
                bytes: record.len(),
            });
        }
        let (temporary, name) = (format!("slot-{slot}.tmp"), format!("slot-{slot}.rec"));
        self.replace(&temporary, &name, record)?;
        debug!(slot, bytes = record.len(), "record saved");
        Ok(())
    }

    /// Replaces a file as a whole; durable when it returns `Ok`.
    fn replace(&mut self, temporary: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self
            .fs
            .create(temporary)
            .map_err(|error| self.error("create", temporary, error))?;
        self.fs
            .write(&mut file, bytes)
            .map_err(|error| self.error("write", temporary, error))?;
        // Before the rename: otherwise the name could survive a power cut and the bytes not.
        self.fs
            .sync(&mut file)
            .map_err(|error| self.error("sync", temporary, error))?;
        self.fs
            .rename(temporary, name)
            .map_err(|error| self.error("put in place", name, error))?;
        self.fs
            .sync_dir()
            .map_err(|error| self.dir_error("sync", error))?;
        Ok(())
    }

    fn erase(&mut self, slot: u8) -> Result<(), StoreError> {
        let name = format!("slot-{slot}.rec");
        match self.fs.remove(&name) {
            Ok(()) => {}
            // Sync nevertheless: the removal may have been an earlier call's whose sync failed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(self.error("remove", &name, error)),
        }
        self.fs
            .sync_dir()
            .map_err(|error| self.dir_error("sync", error))?;
        debug!(slot, "record erased");
        Ok(())
    }

    fn error(&self, doing: &'static str, name: &str, error: io::Error) -> StoreError {
        StoreError::io(doing, &self.fs.dir().join(name), error)
    }

    fn dir_error(&self, doing: &'static str, error: io::Error) -> StoreError {
        StoreError::io(doing, self.fs.dir(), error)
    }
}

/// The slot in a file name of ours; `slot-07.rec` is not one, as it would be a second `slot-7`.
fn slot_of(name: &str, ending: &str) -> Option<u8> {
    let digits = name.strip_prefix("slot-")?.strip_suffix(ending)?;
    let slot: u8 = digits.parse().ok()?;
    (slot.to_string() == digits).then_some(slot)
}
