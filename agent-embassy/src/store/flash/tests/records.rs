//! The records that the agent itself writes: what these tests store.

use std::{string::String, vec::Vec};

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::NorFlash;
use jobs_agent_core::RECORD_LEN_MAX;
use jobs_testkit::{Medium, Scenario, World, Written, stories};

use super::super::{FlashError, FlashStore, RecordStore};

/// One call of the store: a record, or `None` to forget it.
pub(super) type Call = (u8, Option<Vec<u8>>);

/// Keeps what is written, and writes it down.
#[derive(Default)]
struct Recorder {
    calls: Vec<Call>,
}

impl Medium for Recorder {
    fn write(&mut self, slot: u8, record: Option<&[u8]>) -> Written {
        self.calls.push((slot, record.map(<[u8]>::to_vec)));
        Written::Durable
    }

    fn reopen(&mut self) -> (Vec<(u8, Vec<u8>)>, bool) {
        let mut records = std::collections::BTreeMap::new();
        for (slot, record) in &self.calls {
            records.insert(*slot, record.clone());
        }
        let left = records.into_iter().filter_map(|(s, r)| Some((s, r?)));
        (left.collect(), false)
    }
}

/// What the agent writes in the course of a story on two slots.
pub(super) fn calls_of(story: &Scenario) -> Vec<Call> {
    let mut recorder = Recorder::default();
    let report = World::<2>::play_on(story, &mut recorder);
    report.assert_kept(story.name);
    recorder.calls
}

/// A job with a checkpoint, one with a reset, and two at a time, over and over: `rounds` times
/// eleven or more calls.
pub(super) fn calls(rounds: usize) -> Vec<Call> {
    let stories = [stories::happy(), stories::reboot_job(), stories::two_jobs()];
    let round: Vec<Call> = stories.iter().flat_map(calls_of).collect();
    round
        .iter()
        .cycle()
        .take(rounds * round.len())
        .cloned()
        .collect()
}

/// Does one call.
pub(super) fn perform<F: NorFlash>(
    store: &mut FlashStore<F>,
    (slot, record): &Call,
) -> Result<(), FlashError<F::Error>> {
    block_on(store.save(*slot, record.as_deref().unwrap_or_default()))
}

/// The record of a slot.
pub(super) fn load<F: NorFlash>(
    store: &mut FlashStore<F>,
    slot: u8,
) -> Result<Option<Vec<u8>>, FlashError<F::Error>> {
    let mut record = [0; RECORD_LEN_MAX];
    let len = block_on(store.load(slot, &mut record))?;
    Ok((len > 0).then(|| record[..len].to_vec()))
}

/// A story for a message.
pub(super) fn in_words(call: &Call) -> String {
    match call {
        (slot, Some(record)) => std::format!("save {} bytes in slot {slot}", record.len()),
        (slot, None) => std::format!("forget slot {slot}"),
    }
}
