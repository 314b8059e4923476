//! The records at the start, handed to the core.

use jobs_agent_core::{Agent as Core, Boot, Config, RECORD_LEN_MAX};

use crate::{
    board::keep,
    desk::Desk,
    store::{RecordStore, StoreErrorKind, StoreFault},
};

/// Hands the core every record of the store. What is no record is forgotten, and a damaged store
/// is emptied: the service offers those jobs again.
pub(crate) async fn restore<'c, S: RecordStore, P, const JOBS: usize>(
    store: &mut S,
    config: &'c Config<'c>,
    boot: &Boot,
    desk: &Desk<'c, P, JOBS>,
) -> Result<(), S::Error> {
    let mut buffer = [0; RECORD_LEN_MAX];
    for slot in (0..u8::MAX).take(JOBS) {
        match store.load(slot, &mut buffer).await {
            Ok(0) => continue,
            Ok(len) => {
                let record = buffer.get(..len).unwrap_or_default();
                if desk.core(|core, _| core.restore(slot, record)).is_ok() {
                    continue;
                }
            }
            Err(error) if error.kind() == StoreErrorKind::Other => return Err(error),
            Err(_) => {}
        }
        error!("slot {} holds what is no record: forgotten", slot);
        let is_emptied = keep(store, boot, slot, &[]).await?;
        if JOBS > 1 && is_emptied {
            // What was read before the damage showed is gone too.
            desk.core(|core, _| *core = Core::new(config, *boot));
        }
    }
    Ok(())
}
