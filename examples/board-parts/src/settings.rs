//! The configuration of the board: one text in a flash partition, the only file of `write_file`.
//!
//! ```json
//! {"operation":"write_file","path":"settings.json","content":"{\"interval\":5}"}
//! ```

use core::fmt;

use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embedded_storage_async::nor_flash::NorFlash;
use handlers::{Files, RelativePath};
use sequential_storage::{
    Error,
    cache::{Cache, Uncached},
    map::{MapConfig, MapStorage},
};

/// The one file there is.
pub const SETTINGS_FILE: &str = "settings.json";

/// Most bytes of it: what an example needs, and well within one page of any flash.
pub const SETTINGS_LEN_MAX: usize = 512;

/// Its key in the partition.
const KEY: u8 = 1;

/// Room for the content with its key, in whole words of any flash, bytes.
const BUFFER_LEN: usize = (SETTINGS_LEN_MAX + 1).next_multiple_of(32);

/// Smallest word of the flash, bytes: with smaller ones the log can lose what it acknowledged
/// (tweedegolf/sequential-storage#136). `agent_embassy::Word4` makes larger ones.
const WORD_LEN_MIN: usize = 4;

/// The log over a flash that is lent: the same type as that of the agent's records, so that its
/// code (8 KB) is there once.
type Log<'f, F> = MapStorage<u8, &'f mut F, Cache<Uncached, Uncached, Uncached, u8>>;

/// The configuration in its partition; a folder for `handlers::WriteFile`, by reference.
pub struct Settings<F> {
    flash: Mutex<NoopRawMutex, F>,
}

/// Why the configuration was not read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// The partition has less than two pages.
    NoRoom,
    /// Another name than [`SETTINGS_FILE`].
    Name,
    /// The content, or the caller's buffer, is too long or too short.
    Length,
    /// The flash failed.
    Flash,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoRoom => "the settings need two pages of flash",
            Self::Name => "this board has one file, settings.json",
            Self::Length => "the settings are too long",
            Self::Flash => "the flash failed",
        })
    }
}

impl core::error::Error for SettingsError {}

impl<F: NorFlash> Settings<F> {
    /// Settings in all of `partition`; erased flash is an empty configuration.
    ///
    /// # Errors
    /// [`SettingsError::NoRoom`].
    pub fn new(mut partition: F) -> Result<Self, SettingsError> {
        const {
            assert!(
                F::WRITE_SIZE >= WORD_LEN_MIN || F::READ_SIZE >= WORD_LEN_MIN,
                "words shorter than four bytes can lose settings: wrap the flash in Word4"
            );
        }
        log(&mut partition)?;
        Ok(Self {
            flash: Mutex::new(partition),
        })
    }

    /// Copies the configuration into `buf`; 0 bytes if there is none yet.
    ///
    /// # Errors
    /// [`SettingsError::Length`] if it is longer than `buf`, [`SettingsError::Flash`].
    pub async fn read(&self, buf: &mut [u8]) -> Result<usize, SettingsError> {
        let mut buffer = [0; BUFFER_LEN];
        let mut flash = self.flash.lock().await;
        let mut log = log(&mut *flash)?;
        let found = log.fetch_item::<&[u8]>(&mut buffer, &KEY).await;
        let content = found.map_err(|_| SettingsError::Flash)?.unwrap_or(&[]);
        let place = buf.get_mut(..content.len()).ok_or(SettingsError::Length)?;
        place.copy_from_slice(content);
        Ok(content.len())
    }
}

/// The log in all of a partition.
fn log<F: NorFlash>(flash: &mut F) -> Result<Log<'_, F>, SettingsError> {
    let len = u32::try_from(flash.capacity()).map_err(|_| SettingsError::NoRoom)?;
    let config = MapConfig::try_new(0..len).map_err(|_| SettingsError::NoRoom)?;
    Ok(MapStorage::new(flash, config, Cache::new_uncached()))
}

impl<F: NorFlash> Files for &Settings<F> {
    type Error = SettingsError;

    /// A partition that makes no sense is emptied first: the job brings the whole content.
    async fn replace(&self, path: &RelativePath, content: &[u8]) -> Result<(), SettingsError> {
        if path.as_str() != SETTINGS_FILE {
            return Err(SettingsError::Name);
        }
        if content.len() > SETTINGS_LEN_MAX {
            return Err(SettingsError::Length);
        }
        let mut buffer = [0; BUFFER_LEN];
        let mut flash = self.flash.lock().await;
        let mut log = log(&mut *flash)?;
        let mut stored = log.store_item(&mut buffer, &KEY, &content).await;
        if matches!(stored, Err(Error::Corrupted { .. })) {
            log.erase_all().await.map_err(|_| SettingsError::Flash)?;
            stored = log.store_item(&mut buffer, &KEY, &content).await;
        }
        stored.map_err(|_| SettingsError::Flash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use embassy_futures::block_on;
    use embedded_storage_async::nor_flash::{ErrorType, ReadNorFlash};
    use std::{vec, vec::Vec};

    const PAGE: u32 = 4_096;

    /// Two pages that only clear bits, as NOR flash does.
    struct Pages(Vec<u8>);

    impl Pages {
        fn filled_with(byte: u8) -> Self {
            Self(vec![byte; 2 * PAGE as usize])
        }
    }

    impl ErrorType for Pages {
        type Error = Infallible;
    }

    impl ReadNorFlash for Pages {
        const READ_SIZE: usize = 4;
        async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
            Ok(())
        }
        fn capacity(&self) -> usize {
            self.0.len()
        }
    }

    impl NorFlash for Pages {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = PAGE as usize;
        async fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
            self.0[from as usize..to as usize].fill(0xFF);
            Ok(())
        }
        async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
            for (place, byte) in self.0[offset as usize..].iter_mut().zip(bytes) {
                *place &= *byte;
            }
            Ok(())
        }
    }

    fn content(settings: &Settings<Pages>) -> Vec<u8> {
        let mut buf = [0; SETTINGS_LEN_MAX];
        let len = block_on(settings.read(&mut buf)).unwrap();
        buf[..len].to_vec()
    }

    #[test]
    fn the_last_settings_written_are_read() {
        let settings = Settings::new(Pages::filled_with(0xFF)).unwrap();
        let path = RelativePath::new(SETTINGS_FILE).unwrap();
        assert_eq!(content(&settings), b"");
        // More than the partition holds at once.
        for round in 0..100_u8 {
            let new = vec![round; SETTINGS_LEN_MAX - usize::from(round)];
            block_on((&settings).replace(&path, &new)).unwrap();
            assert_eq!(content(&settings), new);
        }
    }

    #[test]
    fn other_files_and_long_contents_are_refused() {
        let settings = Settings::new(Pages::filled_with(0xFF)).unwrap();
        let other = RelativePath::new("other.json").unwrap();
        let refused = block_on((&settings).replace(&other, b"{}"));
        assert_eq!(refused, Err(SettingsError::Name));
        let path = RelativePath::new(SETTINGS_FILE).unwrap();
        let long = [b'x'; SETTINGS_LEN_MAX + 1];
        let refused = block_on((&settings).replace(&path, &long));
        assert_eq!(refused, Err(SettingsError::Length));
    }

    #[test]
    fn a_partition_of_nonsense_is_emptied_for_new_settings() {
        let settings = Settings::new(Pages::filled_with(0)).unwrap();
        let path = RelativePath::new(SETTINGS_FILE).unwrap();
        block_on((&settings).replace(&path, b"{\"interval\":5}")).unwrap();
        assert_eq!(content(&settings), b"{\"interval\":5}");
    }
}
