//! A store without a medium, for tests and demonstrations.

use heapless::Vec;
use jobs_agent_core::RECORD_LEN_MAX;

use super::{RecordStore, StoreErrorKind, StoreFault};

/// Keeps up to `N` records as long as it lives: nothing in it is durable. An agent of `JOBS` slots
/// with a counted boot needs `JOBS + 1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RamStore<const N: usize> {
    records: Vec<(u8, Vec<u8, RECORD_LEN_MAX>), N>,
}

/// A record is too long, or there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RamFull;

impl StoreFault for RamFull {
    fn kind(&self) -> StoreErrorKind {
        StoreErrorKind::TooLong
    }
}

impl<const N: usize> RamStore<N> {
    /// No record.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            records: Vec::new(),
        }
    }

    /// The record of `slot`.
    #[must_use]
    pub fn record(&self, slot: u8) -> Option<&[u8]> {
        let found = self.records.iter().find(|(held, _)| *held == slot);
        found.map(|(_, record)| record.as_slice())
    }
}

impl<const N: usize> RecordStore for RamStore<N> {
    type Error = RamFull;

    async fn load(&mut self, slot: u8, buf: &mut [u8]) -> Result<usize, RamFull> {
        let record = self.record(slot).unwrap_or_default();
        let place = buf.get_mut(..record.len()).ok_or(RamFull)?;
        place.copy_from_slice(record);
        Ok(record.len())
    }

    async fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), RamFull> {
        let kept = Vec::from_slice(record).map_err(|_| RamFull)?;
        let held = self.records.iter().position(|(held, _)| *held == slot);
        if let Some(held) = held {
            self.records.swap_remove(held);
        }
        if record.is_empty() {
            return Ok(());
        }
        self.records.push((slot, kept)).map_err(|_| RamFull)
    }

    async fn reset(&mut self) -> Result<(), RamFull> {
        self.records.clear();
        Ok(())
    }
}
