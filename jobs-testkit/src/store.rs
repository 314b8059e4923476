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

/// What a write on a [`Medium`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is durable.
    Durable,
    /// It failed, and the device lives on.
    Failed,
    /// The power went in the middle of it.
    PowerCut,
}

/// A store as it ships, under a story: what the device really keeps its records in.
///
/// [`World::play_on`](crate::World::play_on) writes every record to it, and reads all of them back
/// whenever the device comes up. When the power is cut is the medium's own choice.
pub trait Medium {
    /// Makes `record` the record of `slot`, or forgets the slot's record.
    fn write(&mut self, slot: u8, record: Option<&[u8]>) -> Written;

    /// The device comes up: the readable records by slot, and whether the medium had to give up
    /// what was stored.
    fn reopen(&mut self) -> (Vec<(u8, Vec<u8>)>, bool);
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

    /// What a medium still had when the device came up.
    pub(crate) fn found(&mut self, records: Vec<(u8, Vec<u8>)>) {
        self.records = records.into_iter().collect();
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
