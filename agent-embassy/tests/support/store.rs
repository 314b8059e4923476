//! A store in memory with faults, and an await before and after each change.

use std::collections::BTreeMap;

use agent_embassy::{RecordStore, StoreErrorKind, StoreFault};

use super::{Shared, one_poll};

/// What survives the lives of a board.
#[derive(Default)]
pub struct Medium {
    pub records: BTreeMap<u8, Vec<u8>>,
    /// How many changes fail.
    pub failing: usize,
    /// The content makes no sense until it is reset.
    pub damaged: bool,
    pub resets: usize,
    pub changes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(StoreErrorKind);

impl StoreFault for Broken {
    fn kind(&self) -> StoreErrorKind {
        self.0
    }
}

pub struct ScriptedStore(Shared);

impl ScriptedStore {
    pub fn new(state: Shared) -> Self {
        Self(state)
    }

    async fn change(&mut self, change: impl FnOnce(&mut Medium)) -> Result<(), Broken> {
        one_poll().await;
        {
            let medium = &mut self.0.borrow_mut().store;
            if medium.damaged {
                return Err(Broken(StoreErrorKind::Corrupted));
            }
            if medium.failing > 0 {
                medium.failing -= 1;
                return Err(Broken(StoreErrorKind::Other));
            }
            medium.changes += 1;
            change(medium);
        }
        one_poll().await;
        Ok(())
    }
}

impl RecordStore for ScriptedStore {
    type Error = Broken;

    async fn load(&mut self, slot: u8, buf: &mut [u8]) -> Result<usize, Broken> {
        one_poll().await;
        let state = self.0.borrow();
        if state.store.damaged {
            return Err(Broken(StoreErrorKind::Corrupted));
        }
        let Some(record) = state.store.records.get(&slot) else {
            return Ok(0);
        };
        let place = buf
            .get_mut(..record.len())
            .ok_or(Broken(StoreErrorKind::TooLong))?;
        place.copy_from_slice(record);
        Ok(record.len())
    }

    async fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), Broken> {
        self.change(|medium| {
            if record.is_empty() {
                medium.records.remove(&slot);
            } else {
                medium.records.insert(slot, record.to_vec());
            }
        })
        .await
    }

    async fn reset(&mut self) -> Result<(), Broken> {
        one_poll().await;
        let medium = &mut self.0.borrow_mut().store;
        medium.records.clear();
        medium.damaged = false;
        medium.resets += 1;
        Ok(())
    }
}
