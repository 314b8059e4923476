//! The records at the start: taken into possession, read, put where there are slots for them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jobs_agent_core::Record;
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use super::machine::Machine;
use crate::agent::AgentError;
use crate::store::{AsyncStore, FileStore, RecordStore, StoreError, StorePool};

/// How long to wait for the directory while another agent still has it, in milliseconds. An agent
/// that was just ended finishes its last write first, which takes far less.
pub(crate) const LOCK_WAIT_MS: u64 = 2_000;
/// How often to look, in milliseconds.
const LOCK_LOOK_MS: u64 = 50;

/// Where the records are kept.
pub(crate) enum Place {
    Dir(PathBuf),
    Store(Box<dyn RecordStore>),
}

impl RecordStore for Box<dyn RecordStore> {
    fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
        (**self).load_all()
    }

    fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), StoreError> {
        (**self).save(slot, record)
    }

    fn erase(&mut self, slot: u8) -> Result<(), StoreError> {
        (**self).erase(slot)
    }
}

/// Opens the store, on a thread of its own or of a pool; waits a little for an earlier agent to let
/// go of the directory. A directory is refused that holds records of another thing.
pub(crate) async fn open(
    place: Place,
    thing: &str,
    pool: Option<&StorePool>,
) -> Result<AsyncStore, StoreError> {
    let dir = match (place, pool) {
        (Place::Store(store), None) => return AsyncStore::new(store),
        (Place::Store(store), Some(pool)) => return Ok(AsyncStore::pooled(store, pool)),
        (Place::Dir(dir), _) => dir,
    };
    let give_up_at = Instant::now() + Duration::from_millis(LOCK_WAIT_MS);
    loop {
        let (dir, thing) = (dir.clone(), thing.to_owned());
        let make = move || FileStore::open_for(dir, &thing);
        let opened = match pool {
            Some(pool) => AsyncStore::made_on(pool, make).await,
            None => match tokio::task::spawn_blocking(make).await {
                Ok(store) => store.and_then(AsyncStore::new),
                Err(_) => Err(StoreError::Closed),
            },
        };
        match opened {
            Err(StoreError::InUse { .. }) if Instant::now() < give_up_at => {
                sleep(Duration::from_millis(LOCK_LOOK_MS)).await;
            }
            opened => return opened,
        }
    }
}

/// Hands every record to the core. What is no record is erased: the service offers the job again.
///
/// An earlier agent may have had more slots: its records move to free ones. They are written there
/// before they are erased here, so a power cut in between leaves two copies, of which the next
/// start erases one.
pub(crate) async fn restore(
    store: &AsyncStore,
    core: &mut (dyn Machine + '_),
) -> Result<(), AgentError> {
    let jobs = core.jobs();
    let mut sound: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (slot, bytes) in store.load_all().await? {
        let why = match Record::decode(&bytes) {
            Ok(record) => {
                let key = (
                    record.job_id.as_str().to_owned(),
                    record.execution_number,
                    record.queued_at,
                );
                if seen.insert(key) {
                    sound.push((slot, bytes));
                    continue;
                }
                "a second copy of another record".to_owned()
            }
            Err(error) => error.to_string(),
        };
        error!(slot, why, "erasing a stored record");
        store.erase(slot).await?;
    }
    if sound.len() > jobs {
        return Err(AgentError::TooFewSlots {
            records: sound.len(),
            jobs,
        });
    }
    let taken: BTreeSet<u8> = sound.iter().map(|(slot, _)| *slot).collect();
    let mut free = (0..=u8::MAX)
        .take(jobs)
        .filter(|slot| !taken.contains(slot));
    for (slot, bytes) in sound {
        let mut place = slot;
        if usize::from(slot) >= jobs {
            // As many records as slots at most: there is a free one.
            place = free.next().unwrap_or(slot);
            warn!(
                from = slot,
                to = place,
                "moving a record: there are fewer slots than before"
            );
            store.save(place, bytes.clone()).await?;
            store.erase(slot).await?;
        }
        if let Err(error) = core.restore(place, &bytes) {
            error!(slot = place, %error, "erasing a stored record");
            store.erase(place).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jobs_agent_core::{
        Agent as Core, Boot, BootId, Config, OperationTag, Phase, RECORD_LEN_MAX, RecordKind,
    };
    use jobs_proto::ThingName;

    use super::*;
    use crate::store::MemoryStore;

    fn record(job_id: &str) -> Vec<u8> {
        let record = Record {
            kind: RecordKind::Started,
            job_id: job_id.parse().unwrap(),
            execution_number: Some(1),
            queued_at: 1,
            tag: OperationTag::of("work"),
            rerun: true,
            needs_document: false,
            attempts: 1,
            runs: 1,
            step_timeout_minutes: 0,
            time_limit_ms: 0,
            boot: BootId([1; 16]),
            body: Default::default(),
        };
        let mut bytes = [0; RECORD_LEN_MAX];
        record.encode(&mut bytes).unwrap().to_vec()
    }

    /// What is stored, and what slots 0 and 1 do, after a restore.
    async fn restored(records: &[(u8, Vec<u8>)]) -> (Vec<u8>, [Option<Phase>; 2]) {
        let mut memory = MemoryStore::default();
        for (slot, bytes) in records {
            memory.save(*slot, bytes).unwrap();
        }
        let store = AsyncStore::new(memory).unwrap();
        let config = Config::new(ThingName::new("pump-17").unwrap());
        let boot = Boot {
            id: BootId([1; 16]),
            entropy: 1,
        };
        let mut core = Core::<2>::new(&config, boot);
        restore(&store, &mut core).await.unwrap();
        let left = store.load_all().await.unwrap();
        let slots = left.into_iter().map(|(slot, _)| slot).collect();
        (slots, [core.phase(0), core.phase(1)])
    }

    #[tokio::test]
    async fn a_record_beyond_the_slots_moves_to_a_free_one() {
        let (slots, phases) = restored(&[(0, record("a")), (7, record("b"))]).await;
        assert_eq!(slots, [0, 1]);
        assert_eq!(phases, [Some(Phase::Recovering); 2]);
    }

    #[tokio::test]
    async fn of_two_copies_left_by_a_cut_in_a_move_one_is_erased() {
        let (slots, phases) = restored(&[(1, record("a")), (7, record("a"))]).await;
        assert_eq!(slots, [1]);
        assert_eq!(phases, [Some(Phase::Free), Some(Phase::Recovering)]);
    }

    #[tokio::test]
    async fn what_is_no_record_is_erased_whatever_its_slot() {
        let (slots, phases) = restored(&[(0, b"torn".to_vec()), (200, vec![0; 99])]).await;
        assert_eq!(slots, [0_u8; 0]);
        assert_eq!(phases, [Some(Phase::Free); 2]);
    }
}
