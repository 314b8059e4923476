//! A store without a disk, for tests.

use std::collections::BTreeMap;

use super::{MAX_RECORD_BYTES, RecordStore, StoreError};

/// Keeps records as long as it lives. For tests and demonstrations: nothing in it is durable.
///
/// ```
/// use agent_std::store::{MemoryStore, RecordStore};
///
/// let mut store = MemoryStore::default();
/// store.save(0, b"started")?;
/// assert_eq!(store.load_all()?, [(0, b"started".to_vec())]);
/// # Ok::<(), agent_std::store::StoreError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStore {
    records: BTreeMap<u8, Vec<u8>>,
}

impl RecordStore for MemoryStore {
    fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
        Ok(self
            .records
            .iter()
            .map(|(&slot, record)| (slot, record.clone()))
            .collect())
    }

    fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), StoreError> {
        if record.len() > MAX_RECORD_BYTES {
            return Err(StoreError::TooLarge {
                bytes: record.len(),
            });
        }
        self.records.insert(slot, record.to_vec());
        Ok(())
    }

    fn erase(&mut self, slot: u8) -> Result<(), StoreError> {
        self.records.remove(&slot);
        Ok(())
    }
}
