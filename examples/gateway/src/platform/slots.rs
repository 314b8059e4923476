//! Two firmware slots as files, and the boot loader's part of the bargain.
//!
//! On a board a boot loader chooses the slot at each reset. Here the same choice is made when the
//! program starts under another boot identity, from the same flags, kept in `boot.json`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use handlers::{FirmwareSlots, VERSION_LEN_MAX, Version};
use serde::{Deserialize, Serialize};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom},
    sync::Mutex,
};

use jobs_agent::durable;

/// Room in a slot, bytes.
const SLOT_LEN_MAX: u64 = 64 * 1024 * 1024;

/// The slots' files.
const IMAGES: [&str; 2] = ["a.bin", "b.bin"];

/// The boot flags' file.
const FLAGS: &str = "boot.json";

/// What the boot loader reads at a reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flags {
    /// The boot that chose `running`.
    boot: String,
    running: usize,
    /// Chosen at the next boot.
    next: usize,
    /// `next` is left again if its first boot does not confirm it.
    trial: bool,
    trial_booted: bool,
    versions: [String; 2],
    lengths: [u64; 2],
}

impl Flags {
    /// The boot loader: what runs from this boot on.
    fn boot(&mut self, boot: &str) {
        if self.boot == boot {
            return;
        }
        boot.clone_into(&mut self.boot);
        if self.trial && self.trial_booted {
            self.next = other(self.running);
            self.trial = false;
        }
        self.trial_booted = self.trial;
        self.running = self.next;
    }
}

/// Two slots in a folder.
#[derive(Debug)]
pub(crate) struct FileSlots {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    flags: Flags,
    /// The spare slot's file, opened by `prepare`.
    spare: Option<File>,
}

fn other(slot: usize) -> usize {
    usize::from(slot == 0)
}

impl FileSlots {
    /// The slots in this folder, as the boot with this name finds them. A new folder runs
    /// `factory_version`.
    ///
    /// # Errors
    /// The folder cannot be used, or its flags were damaged.
    pub(crate) fn open(folder: &Path, boot: &str, factory_version: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(FLAGS);
        let found = match fs::read(&path) {
            Ok(bytes) => Some(parse(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut flags = match found.clone() {
            Some(flags) => flags,
            None => Flags {
                boot: boot.to_owned(),
                running: 0,
                next: 0,
                trial: false,
                trial_booted: false,
                versions: [factory_version.to_owned(), String::new()],
                lengths: [0, 0],
            },
        };
        flags.boot(boot);
        // Another agent may be at work here until the lock of its records tells: do not touch
        // what is right already.
        if found.as_ref() != Some(&flags) {
            durable::replace(&path, &serde_json::to_vec(&flags)?)?;
        }
        let state = Mutex::new(State { flags, spare: None });
        Ok(Self {
            folder: folder.to_owned(),
            state,
        })
    }

    /// Which version the flags in this folder say is running.
    ///
    /// # Errors
    /// There are no slots, or their flags were damaged.
    pub(crate) fn running_in(folder: &Path) -> io::Result<String> {
        let flags = parse(&fs::read(folder.join(FLAGS))?)?;
        Ok(flags
            .versions
            .into_iter()
            .nth(flags.running)
            .unwrap_or_default())
    }

    /// Changes the flags, on the disk first.
    async fn set(&self, change: impl FnOnce(&mut Flags)) -> io::Result<()> {
        let mut state = self.state.lock().await;
        let mut flags = state.flags.clone();
        change(&mut flags);
        durable::replace(&self.folder.join(FLAGS), &serde_json::to_vec(&flags)?)?;
        state.flags = flags;
        Ok(())
    }

    /// Sees to it that the spare slot may be cut to `keep` bytes: the next boot must not need it.
    async fn release_spare(&self, keep: u64) -> io::Result<()> {
        let flags = self.state.lock().await.flags.clone();
        let spare = other(flags.running);
        let image_len = flags.lengths.get(spare).copied().unwrap_or(0);
        if flags.next != spare || keep >= image_len {
            return Ok(());
        }
        if flags.trial {
            return Err(io::Error::other("another update waits for its reboot"));
        }
        // It was to run from the next boot on; now something newer comes.
        self.set(|flags| flags.next = flags.running).await
    }

    /// Length of the image that runs, as recorded and as found.
    ///
    /// # Errors
    /// The image cannot be looked at.
    pub(crate) async fn running_lengths(&self) -> io::Result<(u64, u64)> {
        let flags = self.state.lock().await.flags.clone();
        let recorded = flags.lengths.get(flags.running).copied().unwrap_or(0);
        let image = self.folder.join(image(flags.running));
        match fs::metadata(image) {
            Ok(found) => Ok((recorded, found.len())),
            // The factory's version has no image here.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((recorded, 0)),
            Err(error) => Err(error),
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Flags> {
    let flags: Flags = serde_json::from_slice(bytes)?;
    if flags.running > 1 || flags.next > 1 {
        let why = "boot.json names a slot that does not exist: delete the firmware folder";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(flags)
}

fn image(slot: usize) -> &'static str {
    IMAGES.get(slot).copied().unwrap_or(IMAGES[0])
}

fn unprepared() -> io::Error {
    io::Error::other("the spare slot is not open")
}

impl FirmwareSlots for &FileSlots {
    type Error = io::Error;

    fn capacity(&self) -> u64 {
        SLOT_LEN_MAX
    }

    async fn running_version(&self) -> io::Result<Version> {
        let state = self.state.lock().await;
        let version = state.flags.versions.get(state.flags.running);
        Version::try_from(version.map_or("", String::as_str)).map_err(|_| {
            io::Error::other(format!(
                "the running version has more than {VERSION_LEN_MAX} bytes"
            ))
        })
    }

    async fn prepare(&self, keep: u64) -> io::Result<u64> {
        self.release_spare(keep).await?;
        let mut state = self.state.lock().await;
        let path = self.folder.join(image(other(state.flags.running)));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .await?;
        let kept = file.metadata().await?.len().min(keep);
        file.set_len(kept).await?;
        state.spare = Some(file);
        Ok(kept)
    }

    async fn write(&self, offset: u64, block: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().await;
        let file = state.spare.as_mut().ok_or_else(unprepared)?;
        file.seek(SeekFrom::Start(offset)).await?;
        file.write_all(block).await?;
        file.flush().await
    }

    async fn sync(&self) -> io::Result<()> {
        let state = self.state.lock().await;
        state
            .spare
            .as_ref()
            .ok_or_else(unprepared)?
            .sync_all()
            .await?;
        // The first time the name itself is new.
        File::open(&self.folder).await?.sync_all().await
    }

    async fn read(&self, offset: u64, block: &mut [u8]) -> io::Result<()> {
        let mut state = self.state.lock().await;
        let file = state.spare.as_mut().ok_or_else(unprepared)?;
        file.seek(SeekFrom::Start(offset)).await?;
        file.read_exact(block).await.map(|_| ())
    }

    async fn switch(&self, version: &str, len: u64, on_trial: bool) -> io::Result<()> {
        self.set(|flags| {
            let spare = other(flags.running);
            if let Some(slot) = flags.versions.get_mut(spare) {
                version.clone_into(slot);
            }
            if let Some(slot) = flags.lengths.get_mut(spare) {
                *slot = len;
            }
            flags.next = spare;
            flags.trial = on_trial;
            flags.trial_booted = false;
        })
        .await
    }

    async fn confirm(&self) -> io::Result<()> {
        self.set(|flags| {
            flags.trial = false;
            flags.trial_booted = false;
        })
        .await
    }

    async fn roll_back(&self) -> io::Result<()> {
        self.set(|flags| {
            if flags.trial {
                flags.next = if flags.trial_booted {
                    other(flags.running)
                } else {
                    flags.running
                };
                flags.trial = false;
                flags.trial_booted = false;
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn switched(dir: &Path) {
        let slots = FileSlots::open(dir, "boot-1", "1.0.0").unwrap();
        let slots = &slots;
        assert_eq!(slots.prepare(0).await.unwrap(), 0);
        slots.write(0, &[7; 4_096]).await.unwrap();
        slots.write(4_096, b"end").await.unwrap();
        slots.sync().await.unwrap();
        slots.switch("1.1.0", 4_099, true).await.unwrap();
        assert_eq!(
            slots.running_version().await.unwrap(),
            "1.0.0",
            "until the next boot"
        );
    }

    async fn version_at(dir: &Path, boot: &str) -> String {
        let slots = FileSlots::open(dir, boot, "1.0.0").unwrap();
        (&slots)
            .running_version()
            .await
            .unwrap()
            .as_str()
            .to_owned()
    }

    #[tokio::test]
    async fn a_restart_of_the_process_is_no_boot() {
        let dir = tempfile::tempdir().unwrap();
        switched(dir.path()).await;
        assert_eq!(version_at(dir.path(), "boot-1").await, "1.0.0");
        assert_eq!(version_at(dir.path(), "boot-2").await, "1.1.0");
    }

    #[tokio::test]
    async fn a_trial_that_is_not_confirmed_ends_at_the_next_boot() {
        let dir = tempfile::tempdir().unwrap();
        switched(dir.path()).await;
        assert_eq!(version_at(dir.path(), "boot-2").await, "1.1.0");
        assert_eq!(version_at(dir.path(), "boot-3").await, "1.0.0");
        assert_eq!(version_at(dir.path(), "boot-4").await, "1.0.0");
    }

    #[tokio::test]
    async fn a_confirmed_version_stays() {
        let dir = tempfile::tempdir().unwrap();
        switched(dir.path()).await;
        let slots = FileSlots::open(dir.path(), "boot-2", "1.0.0").unwrap();
        assert_eq!(slots.running_lengths().await.unwrap(), (4_099, 4_099));
        (&slots).confirm().await.unwrap();
        assert_eq!(version_at(dir.path(), "boot-3").await, "1.1.0");
        assert_eq!(FileSlots::running_in(dir.path()).unwrap(), "1.1.0");
    }

    #[tokio::test]
    async fn a_roll_back_takes_effect_at_the_next_boot() {
        let dir = tempfile::tempdir().unwrap();
        switched(dir.path()).await;
        let slots = FileSlots::open(dir.path(), "boot-2", "1.0.0").unwrap();
        (&slots).roll_back().await.unwrap();
        (&slots).roll_back().await.unwrap();
        assert_eq!(version_at(dir.path(), "boot-2").await, "1.1.0");
        assert_eq!(version_at(dir.path(), "boot-3").await, "1.0.0");
    }

    #[tokio::test]
    async fn a_slot_keeps_what_was_asked_for_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let slots = FileSlots::open(dir.path(), "boot-1", "1.0.0").unwrap();
        let slots = &slots;
        slots.prepare(0).await.unwrap();
        slots.write(0, b"0123456789").await.unwrap();
        assert_eq!(slots.prepare(4).await.unwrap(), 4);
        let mut read = [0; 4];
        slots.read(0, &mut read).await.unwrap();
        assert_eq!(&read, b"0123");
        assert!(slots.read(1, &mut read).await.is_err());
        assert_eq!(slots.prepare(9).await.unwrap(), 4, "it holds less");
    }

    #[tokio::test]
    async fn a_slot_that_is_to_prove_itself_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        switched(dir.path()).await;
        let slots = FileSlots::open(dir.path(), "boot-1", "1.0.0").unwrap();
        assert!((&slots).prepare(0).await.is_err());
        assert_eq!(
            (&slots).prepare(4_099).await.unwrap(),
            4_099,
            "all of it is kept"
        );
        assert_eq!(version_at(dir.path(), "boot-2").await, "1.1.0");
    }

    #[tokio::test]
    async fn a_slot_that_waits_for_the_next_boot_makes_room_for_a_newer_one() {
        let dir = tempfile::tempdir().unwrap();
        let slots = FileSlots::open(dir.path(), "boot-1", "1.0.0").unwrap();
        let slots = &slots;
        slots.prepare(0).await.unwrap();
        slots.write(0, b"old").await.unwrap();
        slots.switch("1.1.0", 3, false).await.unwrap();
        assert_eq!(slots.prepare(0).await.unwrap(), 0);
        assert_eq!(
            version_at(dir.path(), "boot-2").await,
            "1.0.0",
            "half an image never boots"
        );
    }

    #[test]
    fn damaged_flags_are_told_and_not_guessed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FLAGS), "{").unwrap();
        assert!(FileSlots::open(dir.path(), "boot-1", "1.0.0").is_err());
    }
}
