//! How a record becomes durable: at once or after a while, in plain memory or on a store as it ships.

use jobs_agent_core::{Completion, Millis};

use super::World;
use crate::{
    board::{Restart, Write},
    scenario::Scenario,
    store::Written,
};

impl<const JOBS: usize> World<'_, JOBS> {
    /// A write takes its time, and is durable only at its end.
    pub(super) fn store(&mut self, scenario: &Scenario, write: Write) {
        if scenario.storage_ms == 0 {
            self.stored(write);
        } else {
            self.board
                .pending
                .push_back((self.now_ms + scenario.storage_ms, write));
        }
    }

    pub(super) fn stored(&mut self, write: Write) {
        if let Some(left) = self.failing_writes.checked_sub(1) {
            self.failing_writes = left;
            return self.failed(write);
        }
        match self.write_through(&write) {
            Written::Durable => {}
            Written::Failed => return self.failed(write),
            Written::PowerCut => {
                self.crashed = true;
                return self.come_back(Restart::Reboot, false);
            }
        }
        match &write.record {
            Some(record) => self.board.store.persist(write.slot, record),
            None => self.board.store.erase(write.slot),
        }
        let now = Millis(self.now_ms);
        let agent = &mut self.board.agent;
        agent.handle_done(now, write.receipt, Completion::Done);
    }

    fn failed(&mut self, write: Write) {
        self.write_failed = true;
        let now = Millis(self.now_ms);
        let agent = &mut self.board.agent;
        agent.handle_done(now, write.receipt, Completion::Failed);
    }

    fn write_through(&mut self, write: &Write) -> Written {
        match &mut self.medium {
            Some(medium) => medium.write(write.slot, write.record.as_deref()),
            None => Written::Durable,
        }
    }

    /// The device comes up: what the medium still has is what the board finds.
    pub(super) fn reopen_medium(&mut self) {
        let Some(medium) = &mut self.medium else {
            return;
        };
        let (records, gave_up) = medium.reopen();
        self.board.store.found(records);
        if gave_up {
            self.observer.store_broke();
        }
    }
}
