//! One copy of the records: a log of `sequential-storage` over its own pages.

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use jobs_agent_core::RECORD_LEN_MAX;
use sequential_storage::{
    Error,
    cache::{Cache, Uncached},
    map::{MapConfig, MapStorage, SerializationError, Value},
};

/// The slot's number before each record, bytes.
pub(super) const KEY_LEN: usize = 1;

/// The version between the slot's number and the record, bytes.
pub(super) const VERSION_LEN: usize = 4;

/// Largest word that the log supports, bytes; a buffer holds whole words of any flash.
const WORD_LEN_MAX: usize = 32;

/// Room for the largest record with what stands before it, in whole words of any flash.
pub(super) const BUFFER_LEN: usize =
    (KEY_LEN + VERSION_LEN + RECORD_LEN_MAX).next_multiple_of(WORD_LEN_MAX);

/// Some flash drivers move whole words between RAM and flash.
#[repr(align(4))]
pub(super) struct Buffer(pub(super) [u8; BUFFER_LEN]);

/// A record, or an empty one for "none", as it stands in the log. The higher version is the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item<'b> {
    pub(super) version: u32,
    pub(super) record: &'b [u8],
}

impl<'b> Value<'b> for Item<'b> {
    fn serialize_into(&self, buffer: &mut [u8]) -> Result<usize, SerializationError> {
        let len = VERSION_LEN.saturating_add(self.record.len());
        let place = buffer.get_mut(..len);
        let (version, record) = place
            .and_then(|place| place.split_at_mut_checked(VERSION_LEN))
            .ok_or(SerializationError::BufferTooSmall)?;
        version.copy_from_slice(&self.version.to_le_bytes());
        record.copy_from_slice(self.record);
        Ok(len)
    }

    fn deserialize_from(buffer: &'b [u8]) -> Result<(Self, usize), SerializationError> {
        let (version, record) = buffer
            .split_first_chunk::<VERSION_LEN>()
            .ok_or(SerializationError::InvalidData)?;
        let version = u32::from_le_bytes(*version);
        Ok((Self { version, record }, buffer.len()))
    }
}

/// Why a log did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogError<E> {
    /// The flash failed.
    Flash(E),
    /// What stands in the pages makes no sense, or leaves no room; only erasing them helps.
    Unreadable,
}

/// Sorts errors by what can be done. All but a failure of the flash itself mean that what the
/// pages hold was not written by this store, or is beyond repair.
fn sorted<E>(error: Error<E>) -> LogError<E> {
    match error {
        Error::Storage { value } => LogError::Flash(value),
        // `Error` is open for later additions: they can only be about contents, too.
        _ => LogError::Unreadable,
    }
}

/// The map of sequential-storage over a flash that is lent.
type Map<'f, F> = MapStorage<u8, &'f mut F, Cache<Uncached, Uncached, Uncached, u8>>;

/// A log in `range` of a flash that is lent for each call; nothing is cached between calls.
#[derive(Clone, Debug)]
pub(super) struct Log {
    range: Range<u32>,
}

impl Log {
    /// The range was checked by [`Partition`](super::Partition).
    pub(super) const fn new(range: Range<u32>) -> Self {
        Self { range }
    }

    pub(super) fn map<'f, F: NorFlash>(
        &self,
        flash: &'f mut F,
    ) -> Result<Map<'f, F>, LogError<F::Error>> {
        let config = MapConfig::try_new(self.range.clone()).map_err(|_| LogError::Unreadable)?;
        Ok(MapStorage::new(flash, config, Cache::new_uncached()))
    }

    /// The newest item of a key; may repair what a cut left.
    pub(super) async fn fetch<'b, F: NorFlash>(
        &self,
        flash: &mut F,
        key: u8,
        buffer: &'b mut Buffer,
    ) -> Result<Option<Item<'b>>, LogError<F::Error>> {
        let mut map = self.map(flash)?;
        let found = map.fetch_item::<Item<'_>>(&mut buffer.0, &key).await;
        found.map_err(sorted)
    }

    /// Appends an item and reads it back: a page may look erased and not be.
    pub(super) async fn store<F: NorFlash>(
        &self,
        flash: &mut F,
        key: u8,
        item: &Item<'_>,
        buffer: &mut Buffer,
    ) -> Result<(), LogError<F::Error>> {
        let mut map = self.map(flash)?;
        let stored = map.store_item(&mut buffer.0, &key, item).await;
        stored.map_err(sorted)?;
        if self.fetch(flash, key, buffer).await? == Some(*item) {
            Ok(())
        } else {
            Err(LogError::Unreadable)
        }
    }

    /// Erases all pages.
    pub(super) async fn clear<F: NorFlash>(&self, flash: &mut F) -> Result<(), LogError<F::Error>> {
        let Range { start, end } = self.range;
        flash.erase(start, end).await.map_err(LogError::Flash)
    }
}
