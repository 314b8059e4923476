//! A file system that forgets, at a power cut, what was not synced.
//!
//! It is meaner than any real one: of the directory operations not yet synced, *any subset* may
//! survive, and of file contents not yet synced, any prefix, or zeros of the full length.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::store::fs::Fs;

pub(super) type Names = BTreeMap<String, usize>;

#[derive(Debug, Clone)]
pub(super) enum Change {
    Link(String, usize),
    Rename(String, String, usize),
    Unlink(String),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    synced: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct VolatileFs {
    pub(super) contents: Vec<Content>,
    pub(super) names: Names,
    pub(super) durable_names: Names,
    pub(super) changes: Vec<Change>,
    /// Operations until the power is cut.
    pub(super) power_for: Option<usize>,
    /// Mistakes a store could make, to show that the tests would notice.
    pub(super) skip_file_sync: bool,
    pub(super) skip_dir_sync: bool,
}

impl VolatileFs {
    fn step(&mut self) -> io::Result<()> {
        match &mut self.power_for {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn names_with(&self, ending: &str) -> Vec<String> {
        self.names
            .keys()
            .filter(|name| name.ends_with(ending))
            .cloned()
            .collect()
    }

    /// Every state the disk may be in after a power cut now.
    pub(super) fn after_power_cut(&self) -> Vec<Self> {
        let mut disks = Vec::new();
        for subset in 0..1_u32 << self.changes.len() {
            let mut names = self.durable_names.clone();
            let survivors = self
                .changes
                .iter()
                .enumerate()
                .filter(|(i, _)| subset >> i & 1 == 1);
            for (_, change) in survivors {
                apply(&mut names, change);
            }
            let mut choices = vec![Self::default()];
            for (name, &inode) in &names {
                choices = choices
                    .iter()
                    .flat_map(|disk| {
                        remains(&self.contents[inode]).into_iter().map(|bytes| {
                            let mut disk = disk.clone();
                            disk.names.insert(name.clone(), disk.contents.len());
                            disk.contents.push(Content {
                                bytes,
                                synced: true,
                            });
                            disk
                        })
                    })
                    .collect();
            }
            disks.extend(choices);
        }
        for disk in &mut disks {
            disk.durable_names = disk.names.clone();
        }
        disks
    }
}

fn apply(names: &mut Names, change: &Change) {
    match change {
        Change::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Change::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
        Change::Unlink(name) => {
            names.remove(name);
        }
    }
}

/// What may be left of a content.
fn remains(content: &Content) -> Vec<Vec<u8>> {
    if content.synced {
        return vec![content.bytes.clone()];
    }
    let length = content.bytes.len();
    let mut all: Vec<_> = (0..=length)
        .map(|kept| content.bytes[..kept].to_vec())
        .collect();
    all.push(vec![0; length]);
    all
}

impl Fs for VolatileFs {
    type File = usize;

    fn dir(&self) -> &Path {
        Path::new("/volatile")
    }

    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.names.keys().cloned().collect())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let inode = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.contents[inode].bytes.clone())
    }

    fn create(&mut self, name: &str) -> io::Result<usize> {
        self.step()?;
        if let Some(&inode) = self.names.get(name) {
            self.contents[inode] = Content::default();
            return Ok(inode);
        }
        let inode = self.contents.len();
        self.contents.push(Content::default());
        self.names.insert(name.to_owned(), inode);
        self.changes.push(Change::Link(name.to_owned(), inode));
        Ok(inode)
    }

    fn write(&mut self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        self.contents[*file] = Content {
            bytes: bytes.to_vec(),
            synced: false,
        };
        Ok(())
    }

    fn sync(&mut self, file: &mut usize) -> io::Result<()> {
        self.step()?;
        self.contents[*file].synced |= !self.skip_file_sync;
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        let inode = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), inode);
        self.changes
            .push(Change::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.step()?;
        self.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.changes.push(Change::Unlink(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.step()?;
        if !self.skip_dir_sync {
            self.durable_names = self.names.clone();
            self.changes.clear();
        }
        Ok(())
    }
}
