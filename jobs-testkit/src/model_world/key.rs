//! When two states of the world are one: the parts that decide what can follow, hashed.
//!
//! Left out are names (tokens, counters, run and boot ids), absolute times, and what the agent
//! never reads (versions and details at the service). A token counts by the open request that it
//! answers, if any.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use jobs_agent_core::{BootId, Millis, Record};
use serde_json::Value;

use super::{Letter, ModelWorld, THING};
use crate::board::Waits;

/// Members of a message that no behaviour of the agent depends on, or that the key has otherwise.
const NAMES_AND_TIMES: [&str; 9] = [
    "clientToken",
    "timestamp",
    "versionNumber",
    "lastUpdatedAt",
    "startedAt",
    "statusDetails",
    "message",
    "approximateSecondsBeforeTimedOut",
    "thingName",
];

impl Letter {
    pub(crate) fn new(topic: &str, payload: &[u8]) -> Self {
        let mut value: Value = serde_json::from_slice(payload).unwrap_or_default();
        let token = value["clientToken"].as_str().map(str::to_string);
        forget(&mut value);
        let mut hasher = DefaultHasher::new();
        (topic, value).hash(&mut hasher);
        Self {
            topic: topic.into(),
            payload: payload.into(),
            shape: hasher.finish(),
            token,
        }
    }
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !NAMES_AND_TIMES.contains(&name.as_str()));
            members.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl<const JOBS: usize> ModelWorld<'_, JOBS> {
    pub(super) fn canonical_key(&self) -> u128 {
        let mut hasher = Wide::default();
        let into = &mut hasher;
        self.board.agent.canonical(Millis(self.now_ms)).hash(into);
        (self.left, self.operated, self.connected).hash(into);
        (self.crashes, self.board.resets()).hash(into);
        (self.wake_ms.map(|at| at.saturating_sub(self.now_ms))).hash(into);
        self.fresh.hash(into);
        self.hash_device(into);
        self.hash_service(into);
        self.hash_network(into);
        hasher.wide()
    }

    fn hash_device(&self, into: &mut Wide) {
        let board = &self.board;
        board.plans.hash(into);
        for (slot, running) in &board.running {
            let held = board.agent.holds_run(*slot, running.run);
            let waits = match running.waits {
                Waits::Nothing => 0_u8,
                Waits::Saved => 1,
                // A sleep here lasts until the handler is stopped.
                Waits::Until(_) => 2,
            };
            (slot, held, waits, running.step, running.stop).hash(into);
            (&running.job, running.operation).hash(into);
        }
        for (_, write) in &board.pending {
            write.slot.hash(into);
            self.hash_record(write.record.as_deref(), into);
        }
        u8::MAX.hash(into);
        for (slot, bytes) in board.store.all() {
            slot.hash(into);
            self.hash_record(Some(bytes), into);
        }
        u8::MAX.hash(into);
        self.observer.hash_memory(board.boot(), into);
    }

    fn hash_record(&self, bytes: Option<&[u8]>, into: &mut Wide) {
        let Some(mut record) = bytes.and_then(|bytes| Record::decode(bytes).ok()) else {
            return bytes.is_some().hash(into);
        };
        record.boot = BootId([u8::from(record.boot == self.board.boot()); 16]);
        record.hash(into);
    }

    fn hash_service(&self, into: &mut Wide) {
        for execution in self.service.executions() {
            (&execution.job_id, execution.execution_number).hash(into);
            (execution.status as u8).hash(into);
            let deadline = execution.deadline_ms;
            deadline.map(|at| at - self.service_ms).hash(into);
            // Told apart from another execution of the same name by this alone.
            execution.queued_at_ms.hash(into);
        }
        for job in ["a", "b"] {
            let status = self.service.job_status(job);
            status.map(|status| status.as_str()).hash(into);
        }
        debug_assert!(
            self.service.executions().all(|e| e.thing_name == THING),
            "one thing only"
        );
    }

    fn hash_network(&self, into: &mut Wide) {
        let label = |letter: &Letter| {
            let answers = letter.token.as_deref();
            (
                letter.shape,
                answers.and_then(|token| self.board.agent.awaits(token)),
            )
        };
        for queue in [&self.up, &self.down] {
            queue.len().hash(into);
            queue.iter().for_each(|letter| label(letter).hash(into));
        }
        for late in [&self.late_up, &self.late_down] {
            let mut labels: Vec<_> = late.iter().map(|letter| label(letter)).collect();
            labels.sort_unstable();
            labels.hash(into);
        }
    }
}

/// Two independent multiplicative lanes: fast, and wide enough for millions of states.
struct Wide {
    left: u64,
    right: u64,
}

impl Default for Wide {
    fn default() -> Self {
        Self {
            left: 0x9E37_79B9_7F4A_7C15,
            right: 0xC2B2_AE3D_27D4_EB4F,
        }
    }
}

impl Wide {
    fn word(&mut self, word: u64) {
        let left =
            u128::from(self.left ^ word).wrapping_mul(0xA076_1D64_78BD_642F_E703_7ED1_A0B4_28DB);
        self.left = (left as u64) ^ ((left >> 64) as u64);
        let mixed = (self.right ^ word.rotate_left(32)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        self.right = (mixed ^ (mixed >> 33))
            .wrapping_mul(0xC4CE_B9FE_1A85_EC53)
            .rotate_left(27);
    }

    fn wide(mut self) -> u128 {
        self.word(self.right);
        self.word(0);
        (u128::from(self.left) << 64) | u128::from(self.right)
    }
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length tells "1" from "10".
        self.word(u64::from_le_bytes(last) ^ ((rest.len() as u64) << 56));
    }

    fn write_u8(&mut self, value: u8) {
        self.word(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.word(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }

    fn finish(&self) -> u64 {
        self.left ^ self.right
    }
}
