//! The records at the start, handed to the core.

use jobs_agent_core::{Agent as Core, RECORD_LEN_MAX};

use crate::{
    fmt::Shown,
    runner::RunError,
    store::{RecordStore, StoreErrorKind, StoreFault},
};

/// Hands every record to the core. What is no record is erased: the service offers the job again.
pub(crate) async fn restore<S: RecordStore, const JOBS: usize>(
    store: &mut S,
    core: &mut Core<'_, JOBS>,
) -> Result<(), RunError<S::Error>> {
    let mut buffer = [0; RECORD_LEN_MAX];
    for slot in (0..u8::MAX).take(JOBS) {
        let loaded = match store.load(slot, &mut buffer).await {
            Ok(loaded) => loaded,
            Err(error) if error.kind() == StoreErrorKind::Corrupted => {
                error!("the record store is damaged: emptied, the service offers the jobs again");
                return store.reset().await.map_err(RunError::Store);
            }
            Err(error) => return Err(RunError::Store(error)),
        };
        let Some(record) = loaded.and_then(|len| buffer.get(..len)) else {
            continue;
        };
        if let Err(error) = core.restore(slot, record) {
            error!("record of slot {} erased: {}", slot, Shown(error));
            store.erase(slot).await.map_err(RunError::Store)?;
        }
    }
    Ok(())
}
