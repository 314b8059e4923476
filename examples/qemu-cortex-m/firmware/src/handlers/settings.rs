//! The configuration of the board: one text in a flash partition, behind the shared handler
//! `write_file`.
//!
//! ```json
//! {"operation":"write_file","path":"settings.json","content":"{\"interval\":5}"}
//! ```

use core::fmt;

use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embedded_storage_async::nor_flash::NorFlash;
use handlers::{Files, RelativePath};
use mps2_bsp::say;
use sequential_storage::{
    cache::{Cache, Uncached},
    map::{MapConfig, MapStorage},
};

/// The one file there is.
const FILE: &str = "settings.json";
/// Its key in the partition.
const KEY: u8 = 1;
/// Most bytes of it.
pub(crate) const SETTINGS_LEN_MAX: usize = 512;
/// Room for the content with the key before it, in whole words, bytes.
const BUFFER_LEN: usize = SETTINGS_LEN_MAX + 8;

/// The log over a flash that is lent: the same type as that of the agent's records, so that its
/// code is there once.
type Map<'f, F> = MapStorage<u8, &'f mut F, Cache<Uncached, Uncached, Uncached, u8>>;

/// The configuration in its partition.
pub(crate) struct Settings<F> {
    flash: Mutex<NoopRawMutex, F>,
}

/// Why the configuration cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettingsError {
    /// Another name than `settings.json`.
    Name,
    /// The flash, or what is in it.
    Flash,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "this board has one file, settings.json",
            Self::Flash => "the settings partition cannot be used",
        })
    }
}

impl<F: NorFlash> Settings<F> {
    /// Lives in all of `partition`, which must be at least two sectors.
    ///
    /// # Errors
    /// If it is smaller.
    pub(crate) fn new(partition: F) -> Result<Self, &'static str> {
        let mut flash = partition;
        map(&mut flash).ok_or("no room for settings")?;
        Ok(Self {
            flash: Mutex::new(flash),
        })
    }

    /// Whether the partition can be read: a part of the self-test.
    ///
    /// # Errors
    /// [`SettingsError::Flash`] if it cannot.
    pub(crate) async fn check(&self) -> Result<(), SettingsError> {
        let mut buffer = [0; BUFFER_LEN];
        let mut flash = self.flash.lock().await;
        let mut map = map(&mut *flash).ok_or(SettingsError::Flash)?;
        let found = map.fetch_item::<&[u8]>(&mut buffer, &KEY).await;
        found.map(|_| ()).map_err(|_| SettingsError::Flash)
    }
}

/// The log in all of a partition; `None` if that has less than two pages.
fn map<F: NorFlash>(flash: &mut F) -> Option<Map<'_, F>> {
    let len = u32::try_from(flash.capacity()).ok()?;
    let config = MapConfig::try_new(0..len).ok()?;
    Some(MapStorage::new(flash, config, Cache::new_uncached()))
}

impl<F: NorFlash> Files for &Settings<F> {
    type Error = SettingsError;

    async fn replace(&self, path: &RelativePath, content: &[u8]) -> Result<(), SettingsError> {
        if path.as_str() != FILE {
            return Err(SettingsError::Name);
        }
        let mut buffer = [0; BUFFER_LEN];
        let mut flash = self.flash.lock().await;
        let mut map = map(&mut *flash).ok_or(SettingsError::Flash)?;
        map.store_item(&mut buffer, &KEY, &content)
            .await
            .map_err(|_| SettingsError::Flash)?;
        say!("EFFECT settings {} bytes", content.len());
        Ok(())
    }
}
