//! One copy of the records: a log of `sequential-storage` over its own pages.
//!
//! All that is done to a log goes through [`act`], and what is read or written through one
//! [`Item`]: each place where a future is awaited, and each value that is handed through one, is
//! code and memory on a board.

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use jobs_agent_core::RECORD_LEN_MAX;
use sequential_storage::{
    Error,
    cache::{Cache, Uncached},
    map::{MapConfig, MapStorage},
};

use super::FlashError;

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

/// A record as it stands in the log: behind its version, of which the higher is the newer. An
/// empty record says that there is none.
pub(super) struct Item {
    bytes: [u8; VERSION_LEN + RECORD_LEN_MAX],
    len: usize,
}

impl Item {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; VERSION_LEN + RECORD_LEN_MAX],
            len: 0,
        }
    }

    /// Becomes this record, which has up to `RECORD_LEN_MAX` bytes.
    pub(super) fn put(&mut self, version: u32, record: &[u8]) {
        let (head, body) = self.bytes.split_at_mut(VERSION_LEN);
        head.copy_from_slice(&version.to_le_bytes());
        if let Some(body) = body.get_mut(..record.len()) {
            body.copy_from_slice(record);
        }
        self.len = VERSION_LEN.saturating_add(record.len());
    }

    /// Becomes what stands in a log; its version, `None` if it is no item.
    fn take(&mut self, bytes: &[u8]) -> Option<u32> {
        let version = bytes.first_chunk::<VERSION_LEN>()?;
        self.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.len = bytes.len();
        Some(u32::from_le_bytes(*version))
    }

    /// The record.
    pub(super) fn record(&self) -> &[u8] {
        self.bytes.get(VERSION_LEN..self.len).unwrap_or_default()
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What can be done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Reads the newest item of a key; may repair what a cut left.
    Fetch,
    /// Appends an item and reads it back: a page may look erased and not be.
    Store,
    /// Erases all pages.
    Clear,
}

/// The map of sequential-storage over a flash that is lent.
pub(super) type Map<'f, F> = MapStorage<u8, &'f mut F, Cache<Uncached, Uncached, Uncached, u8>>;

/// The map in these pages, which were checked by [`Partition`](super::Partition); `None` cannot
/// happen.
pub(super) fn map<F: NorFlash>(flash: &mut F, pages: Range<u32>) -> Option<Map<'_, F>> {
    let config = MapConfig::try_new(pages).ok()?;
    Some(MapStorage::new(flash, config, Cache::new_uncached()))
}

/// Does one thing to the log in `pages`. Returns the version that the key has there now; 0, below
/// all versions, if it has none. Nothing is cached between calls.
pub(super) async fn act<F: NorFlash>(
    flash: &mut F,
    pages: Range<u32>,
    act: Act,
    key: u8,
    item: &mut Item,
) -> Result<u32, FlashError<F::Error>> {
    if act == Act::Clear {
        let erased = flash.erase(pages.start, pages.end).await;
        return erased.map(|()| 0).map_err(FlashError::Flash);
    }
    let mut buffer = Buffer([0; BUFFER_LEN]);
    let mut map = map(flash, pages).ok_or(FlashError::Unreadable)?;
    if act == Act::Store {
        let stored = map.store_item(&mut buffer.0, &key, &item.bytes()).await;
        stored.map_err(sorted)?;
    }
    let found = map.fetch_item::<&[u8]>(&mut buffer.0, &key).await;
    let found = found.map_err(sorted)?;
    if act == Act::Store && found != Some(item.bytes()) {
        return Err(FlashError::Unreadable);
    }
    let Some(found) = found else {
        item.len = 0;
        return Ok(0);
    };
    let version = item.take(found);
    version.ok_or(FlashError::Unreadable)
}

/// Sorts errors by what can be done. All but a failure of the flash itself mean that what the
/// pages hold was not written by this store, or is beyond repair.
fn sorted<E>(error: Error<E>) -> FlashError<E> {
    match error {
        Error::Storage { value } => FlashError::Flash(value),
        // `Error` is open for later additions: they can only be about contents, too.
        _ => FlashError::Unreadable,
    }
}
