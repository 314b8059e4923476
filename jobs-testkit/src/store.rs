//! A record store whose writes can be cut in the middle.

use std::collections::BTreeMap;

use jobs_agent_core::Record;

/// What a write leaves behind when the power goes in the middle of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tear {
    /// The old record: what an atomic store promises.
    Old,
    /// The new record: the write was complete, only its receipt was lost.
    New,
    /// Neither: half of the new bytes, as a worn-out flash page leaves them.
    Garbage,
}

/// Durable bytes per slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    records: BTreeMap<u8, Vec<u8>>,
    writes: usize,
}

impl Store {
    /// Makes `record` the record of `slot`.
    pub fn persist(&mut self, slot: u8, record: &[u8]) {
        self.writes += 1;
        self.records.insert(slot, record.to_vec());
    }

    /// Forgets the record of `slot`.
    pub fn erase(&mut self, slot: u8) {
        self.writes += 1;
        self.records.remove(&slot);
    }

    /// A write of `record` that the power cut hits.
    pub fn tear(&mut self, slot: u8, record: &[u8], tear: Tear) {
        match tear {
            Tear::Old => {}
            Tear::New => self.persist(slot, record),
            Tear::Garbage => self.persist(slot, &record[..record.len() / 2]),
        }
    }

    /// All that is stored, by slot.
    pub fn all(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.records
            .iter()
            .map(|(slot, bytes)| (*slot, bytes.as_slice()))
    }

    /// The readable record of `slot`.
    #[must_use]
    pub fn record(&self, slot: u8) -> Option<Record> {
        Record::decode(self.records.get(&slot)?).ok()
    }

    /// Writes and erasures so far: wear.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.writes
    }
}
