//! Records as one might keep them at first thought: a sector for each slot, erased and written
//! again. A power cut between the two leaves no record at all, and the agent begins anew what it
//! had begun before. The tests must find that out.

use agent_embassy::{BOOT_SLOT, RecordStore, StoreErrorKind, StoreFault};
use embedded_storage_async::nor_flash::NorFlash;

/// Length of a record, before it, bytes.
const HEAD_LEN: usize = 2;

/// One job, and the count of boots.
pub(crate) struct NaiveStore<F>(pub(crate) F);

/// Something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault;

impl StoreFault for Fault {
    fn kind(&self) -> StoreErrorKind {
        StoreErrorKind::Other
    }
}

impl<F: NorFlash> NaiveStore<F> {
    fn sector(slot: u8) -> u32 {
        let len = u32::try_from(F::ERASE_SIZE).unwrap_or(0);
        if slot == BOOT_SLOT { len } else { 0 }
    }

    async fn erase(&mut self, slot: u8) -> Result<(), Fault> {
        let at = Self::sector(slot);
        let end = at + u32::try_from(F::ERASE_SIZE).unwrap_or(0);
        self.0.erase(at, end).await.map_err(|_| Fault)
    }

    async fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.0.write(at, bytes).await.map_err(|_| Fault)
    }
}

impl<F: NorFlash> RecordStore for NaiveStore<F> {
    type Error = Fault;

    async fn load(&mut self, slot: u8, buf: &mut [u8]) -> Result<usize, Fault> {
        let at = Self::sector(slot);
        let mut head = [0; HEAD_LEN];
        self.0.read(at, &mut head).await.map_err(|_| Fault)?;
        let len = usize::from(u16::from_le_bytes(head));
        match buf.get_mut(..len) {
            Some(place) => {
                let at = at + HEAD_LEN as u32;
                self.0.read(at, place).await.map_err(|_| Fault)?;
                Ok(len)
            }
            None => Ok(0),
        }
    }

    async fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), Fault> {
        let at = Self::sector(slot);
        self.erase(slot).await?;
        if record.is_empty() {
            return Ok(());
        }
        let len = u16::try_from(record.len()).map_err(|_| Fault)?;
        self.write(at + HEAD_LEN as u32, record).await?;
        self.write(at, &len.to_le_bytes()).await
    }

    async fn reset(&mut self) -> Result<(), Fault> {
        self.erase(0).await?;
        self.erase(BOOT_SLOT).await
    }
}
