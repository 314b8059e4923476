//! Keeps the state across restarts: one snapshot in a database, replaced as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableDatabase, TableDefinition};
use tokio::sync::oneshot;

use crate::hub::{Hub, Snapshot};
use crate::options::StoreError;

/// Snapshots by the number of their format.
const SNAPSHOTS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("snapshots");

/// Format of the snapshot; a new number starts with an empty state instead of misreading an old one.
const FORMAT: u32 = 1;

/// File of the database inside the state folder.
const FILE: &str = "emulator.redb";

/// How long changes are collected before they are written: a kill loses no more than this.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// An open database.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
    folder: PathBuf,
}

impl Store {
    /// Opens the database in `folder`, making both if missing.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |reason: String| StoreError::Open {
            path: folder.to_owned(),
            reason,
        };
        std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        let database =
            Database::create(folder.join(FILE)).map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            database,
            folder: folder.to_owned(),
        })
    }

    /// The last snapshot, or `None` in a new database.
    pub(crate) fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        let unreadable = |reason: String| StoreError::Unreadable {
            path: self.folder.clone(),
            reason,
        };
        let read = self
            .database
            .begin_read()
            .map_err(|error| unreadable(error.to_string()))?;
        let table = match read.open_table(SNAPSHOTS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let Some(kept) = table
            .get(FORMAT)
            .map_err(|error| unreadable(error.to_string()))?
        else {
            return Ok(None);
        };
        serde_json::from_slice(kept.value())
            .map(Some)
            .map_err(|error| unreadable(error.to_string()))
    }

    /// Replaces the snapshot; on return it is durable.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.try_save(snapshot).map_err(|reason| StoreError::Write {
            path: self.folder.clone(),
            reason,
        })
    }

    fn try_save(&self, snapshot: &Snapshot) -> Result<(), String> {
        let bytes = serde_json::to_vec(snapshot).map_err(|error| error.to_string())?;
        let write = self
            .database
            .begin_write()
            .map_err(|error| error.to_string())?;
        {
            let mut table = write
                .open_table(SNAPSHOTS)
                .map_err(|error| error.to_string())?;
            table
                .insert(FORMAT, bytes.as_slice())
                .map_err(|error| error.to_string())?;
        }
        write.commit().map_err(|error| error.to_string())
    }
}

/// Saves after every change, and a last time when `finish` is used or dropped.
///
/// # Errors
/// Of the last save. An earlier one that fails is logged and tried again with the next change.
pub(crate) async fn keep_saved(
    store: Arc<Store>,
    hub: Arc<Hub>,
    mut finish: oneshot::Receiver<()>,
) -> Result<(), StoreError> {
    loop {
        let last = tokio::select! {
            _ = &mut finish => true,
            () = hub.dirty.notified() => {
                tokio::select! {
                    _ = &mut finish => true,
                    () = tokio::time::sleep(DEBOUNCE) => false,
                }
            }
        };
        let (to, from) = (Arc::clone(&store), Arc::clone(&hub));
        let saved = tokio::task::spawn_blocking(move || to.save(&from.snapshot())).await;
        let saved = saved.unwrap_or_else(|panic| {
            Err(StoreError::Write {
                path: store.folder.clone(),
                reason: panic.to_string(),
            })
        });
        if last {
            return saved;
        }
        if let Err(error) = saved {
            tracing::error!(%error, "state not saved");
        }
    }
}
