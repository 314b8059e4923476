//! The durable records of the agent.
//!
//! The agent keeps one small record for each job slot, and what it promises about power cuts rests
//! on one property of a [`RecordStore`]: when `save` or `erase` has returned `Ok`, the change
//! survives a power cut, and when power is cut before that, the record is the old one or the new
//! one, never a mixture.
//!
//! [`FileStore`] does this with files, [`AsyncStore`] puts any store behind a thread for use from
//! async code, [`StorePool`] lets many stores share threads, and [`MemoryStore`] is for tests.

mod error;
mod file;
mod fs;
mod memory;
mod pool;
mod queue;

pub use error::StoreError;
pub use file::FileStore;
pub use memory::MemoryStore;
pub use pool::StorePool;
pub use queue::AsyncStore;

/// Largest record, in bytes. The agent's records have a few hundred; a larger file in a slot was
/// not written by it.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;

/// Keeps one record for each slot. All calls may block on the disk.
pub trait RecordStore: Send {
    /// All records with their slots, in the order of the slots.
    ///
    /// # Errors
    /// [`StoreError`]; no record is left out silently.
    fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError>;

    /// Replaces the record of a slot. Durable when it returns `Ok`.
    ///
    /// # Errors
    /// [`StoreError`]; whether the old or the new record is durable is not known then.
    fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), StoreError>;

    /// Removes the record of a slot, if there is one. Durable when it returns `Ok`.
    ///
    /// # Errors
    /// [`StoreError`]; whether the record is still there is not known then.
    fn erase(&mut self, slot: u8) -> Result<(), StoreError>;
}
