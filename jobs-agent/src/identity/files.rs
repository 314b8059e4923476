//! The files of the pairs, each changed durably or not at all.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
};

use super::Identities;
use crate::durable;

impl Identities {
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.dir.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.power()?;
        let mut make = fs::DirBuilder::new();
        make.recursive(true).mode(0o700).create(&self.dir)?;
        durable::replace_as(&self.dir.join(name), content, |file| {
            file.set_permissions(fs::Permissions::from_mode(0o600))
        })
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.power()?;
        fs::rename(self.dir.join(from), self.dir.join(to))?;
        File::open(&self.dir)?.sync_all()
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.power()?;
        match fs::remove_file(self.dir.join(name)) {
            Ok(()) => File::open(&self.dir)?.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "for tests only"
    )]
    fn power(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn power(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;
        let Some(power) = &self.power else {
            return Ok(());
        };
        let spend = |left: u32| left.checked_sub(1);
        let left = power.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend);
        left.map(|_| ())
            .map_err(|_| io::Error::other("the power is gone"))
    }
}
