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

type Map<F> = MapStorage<u8, F, Cache<Uncached, Uncached, Uncached, u8>>;

/// The configuration in its partition.
pub(crate) struct Settings<F: NorFlash> {
    map: Mutex<NoopRawMutex, Map<F>>,
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
        let len = u32::try_from(partition.capacity()).unwrap_or(u32::MAX);
        let config = MapConfig::try_new(0..len).map_err(|_| "no room for settings")?;
        Ok(Self {
            map: Mutex::new(MapStorage::new(partition, config, Cache::new_uncached())),
        })
    }

    /// Whether the partition can be read: a part of the self-test.
    ///
    /// # Errors
    /// [`SettingsError::Flash`] if it cannot.
    pub(crate) async fn check(&self) -> Result<(), SettingsError> {
        let mut buffer = [0; BUFFER_LEN];
        let mut map = self.map.lock().await;
        let found = map.fetch_item::<&[u8]>(&mut buffer, &KEY).await;
        found.map(|_| ()).map_err(|_| SettingsError::Flash)
    }
}

impl<F: NorFlash> Files for &Settings<F> {
    type Error = SettingsError;

    async fn replace(&self, path: &RelativePath, content: &[u8]) -> Result<(), SettingsError> {
        if path.as_str() != FILE {
            return Err(SettingsError::Name);
        }
        let mut buffer = [0; BUFFER_LEN];
        let mut map = self.map.lock().await;
        map.store_item(&mut buffer, &KEY, &content)
            .await
            .map_err(|_| SettingsError::Flash)?;
        say!("EFFECT settings {} bytes", content.len());
        Ok(())
    }
}
