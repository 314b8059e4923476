//! The records at the start, handed to the core.

use jobs_agent_core::{Agent as Core, Boot, Config, RECORD_LEN_MAX};

use crate::{
    board::empty,
    fmt::Shown,
    runner::RunError,
    store::{RecordStore, StoreErrorKind, StoreFault},
};

/// A core with every record of the store. What is no record is erased, and a damaged store is
/// emptied: the service offers those jobs again.
pub(crate) async fn restore<'c, S: RecordStore, const JOBS: usize>(
    store: &mut S,
    config: &'c Config<'c>,
    boot: Boot,
) -> Result<Core<'c, JOBS>, RunError<S::Error>> {
    let mut core = Core::new(config, boot);
    match read_all(store, &mut core).await {
        Ok(()) => Ok(core),
        Err(error) if error.kind() == StoreErrorKind::Corrupted => {
            error!("the record store is damaged: emptied, the service offers the jobs again");
            empty(store, &boot).await.map_err(RunError::Store)?;
            // What was read before the damage showed is gone too.
            Ok(Core::new(config, boot))
        }
        Err(error) => Err(RunError::Store(error)),
    }
}

async fn read_all<S: RecordStore, const JOBS: usize>(
    store: &mut S,
    core: &mut Core<'_, JOBS>,
) -> Result<(), S::Error> {
    let mut buffer = [0; RECORD_LEN_MAX];
    for slot in (0..u8::MAX).take(JOBS) {
        let loaded = match store.load(slot, &mut buffer).await {
            Err(error) if error.kind() == StoreErrorKind::TooLong => {
                error!("slot {} holds what is no record: erased", slot);
                store.erase(slot).await?;
                continue;
            }
            loaded => loaded?,
        };
        let Some(record) = loaded.and_then(|len| buffer.get(..len)) else {
            continue;
        };
        if let Err(error) = core.restore(slot, record) {
            error!("record of slot {} erased: {}", slot, Shown(error));
            store.erase(slot).await?;
        }
    }
    Ok(())
}
