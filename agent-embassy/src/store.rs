//! The durable records of the agent.
//!
//! What the agent promises about power cuts rests on one property of a [`RecordStore`]: when `save`
//! has returned `Ok`, the change survives a power cut, and when power is cut before that, the record
//! is the old one or the new one, never a mixture.

pub(crate) mod flash;
mod ram;

pub use ram::RamStore;

/// Keeps one record for each slot.
///
/// Records have at most [`RECORD_LEN_MAX`](jobs_agent_core::RECORD_LEN_MAX) bytes. Slots are 0 to
/// 31 for jobs, and [`BOOT_SLOT`](crate::BOOT_SLOT) for the count of boots.
///
/// # Cancel safety
/// Each future may be dropped at any await, as by a power cut: the record is the old one or the
/// new one then, and the store is ready for the next call.
pub trait RecordStore {
    /// What can go wrong.
    type Error: StoreFault;

    /// Reads the record of `slot` into `buf`. Returns its length; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreErrorKind::TooLong`] if it does not fit `buf`.
    async fn load(&mut self, slot: u8, buf: &mut [u8]) -> Result<usize, Self::Error>;

    /// Replaces the record of `slot`; an empty record says that there is none any more. Durable
    /// when it returns `Ok`.
    ///
    /// # Errors
    /// Whether the old or the new record is durable is not known then. While the store is
    /// [`StoreErrorKind::Corrupted`], `save` says so too.
    async fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), Self::Error>;

    /// Empties the whole store, whatever state it is in, so that it works again. Called after an
    /// error of kind [`StoreErrorKind::Corrupted`]: the service is the source of truth and offers
    /// the jobs again.
    ///
    /// # Errors
    /// If not even that is possible.
    async fn reset(&mut self) -> Result<(), Self::Error>;
}

/// What an agent has to know of a store's error.
pub trait StoreFault: core::fmt::Debug {
    /// What kind of error it is.
    fn kind(&self) -> StoreErrorKind;
}

/// Kinds of a store's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The medium's content makes no sense: only [`RecordStore::reset`] helps.
    Corrupted,
    /// A record is longer than the buffer, or than the store takes.
    TooLong,
    /// Anything else: trying again later may help.
    Other,
}

impl<S: RecordStore> RecordStore for &mut S {
    type Error = S::Error;

    async fn load(&mut self, slot: u8, buf: &mut [u8]) -> Result<usize, Self::Error> {
        (**self).load(slot, buf).await
    }

    async fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), Self::Error> {
        (**self).save(slot, record).await
    }

    async fn reset(&mut self) -> Result<(), Self::Error> {
        (**self).reset().await
    }
}
