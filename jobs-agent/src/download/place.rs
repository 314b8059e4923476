//! Where a file goes, and the part of it that is there.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};

use super::digest::{self, Sha256Digest};
use crate::durable;

/// Longest tag kept, bytes; those of S3 have 34.
const TAG_LEN_MAX: usize = 256;

/// The place of one file: folder, name, and the names of what is not finished.
#[derive(Clone, Debug)]
pub(super) struct Place {
    folder: PathBuf,
    /// What `folder` leads through.
    _open: Arc<OwnedFd>,
    name: OsString,
}

/// What was received of a file.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    tag_path: PathBuf,
    pub(super) len: u64,
    pub(super) etag: Option<String>,
}

fn refuse<T>(path: &Path, why: &str) -> io::Result<T> {
    let text = format!("{}: {why}", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

impl Place {
    /// The place at `path`, which must be below one of `dirs`, with no link on the way from there
    /// and nothing but a regular file at its end.
    pub(super) fn find(dirs: &[PathBuf], path: &Path) -> io::Result<Self> {
        let below = |dir: &PathBuf| Some((dir.clone(), path.strip_prefix(dir).ok()?.to_owned()));
        let Some((dir, rest)) = dirs.iter().find_map(below) else {
            return refuse(path, "in no download folder");
        };
        let Some(name) = rest.file_name() else {
            return refuse(path, "names no file");
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut open = openat(CWD, &dir, flags, Mode::empty())?;
        for part in rest.parent().into_iter().flat_map(Path::components) {
            let Component::Normal(part) = part else {
                return refuse(path, "leads out of its folder");
            };
            open = match openat(&open, part, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(open) => open,
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return refuse(path, "no folder on the way; links are not followed");
                }
                Err(error) => return Err(error.into()),
            };
        }
        // Through what was opened (proc(5)): whoever can rename these folders could put a link in
        // the place of one at any time.
        let folder = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        match fs::symlink_metadata(folder.join(name)) {
            Ok(found) if !found.is_file() => refuse(path, "there, and no regular file"),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(Self {
                folder,
                _open: Arc::new(open),
                name: name.to_owned(),
            }),
        }
    }

    /// The file, if it is there.
    pub(super) fn holds(&self) -> Option<File> {
        File::open(self.folder.join(&self.name)).ok()
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(end);
        self.folder.join(name)
    }

    /// The part that is there, or a new one.
    pub(super) fn open(&self) -> io::Result<Part> {
        let path = self.beside(".part");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&path)?;
        let found = file.metadata()?;
        // Neither a pipe nor another name of a file elsewhere.
        if !found.is_file() || found.nlink() != 1 {
            let name = path.file_name().map_or(&*path, Path::new);
            return refuse(name, "in the way, and not left by a download");
        }
        let tag_path = self.beside(".tag");
        let etag = fs::read_to_string(&tag_path).ok();
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Part {
            file,
            tag_path,
            len,
            etag: etag.filter(|tag| !tag.is_empty() && tag.len() <= TAG_LEN_MAX),
        })
    }

    /// Makes the file out of the part, durably.
    pub(super) fn finish(&self, part: Part) -> io::Result<()> {
        part.file.sync_all()?;
        drop(part);
        fs::rename(self.beside(".part"), self.folder.join(&self.name))?;
        remove(&self.beside(".tag"))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes the file.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove(&self.folder.join(&self.name))
    }

    /// Removes what cannot be gone on with.
    pub(super) fn forget(&self) -> io::Result<()> {
        remove(&self.beside(".part"))?;
        remove(&self.beside(".tag"))
    }
}

impl Part {
    /// Begins again.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.len = 0;
        Ok(())
    }

    /// Remembers which version of the file this is. Before its first byte is written, so that a
    /// part and its tag are of the same version.
    pub(super) fn tag(&mut self, etag: Option<&str>) -> io::Result<()> {
        self.etag = etag.map(str::to_owned);
        match etag {
            Some(tag) => durable::replace(&self.tag_path, tag.as_bytes()),
            None => remove(&self.tag_path),
        }
    }

    /// SHA-256 of what was received.
    pub(super) fn digest(&self) -> io::Result<Sha256Digest> {
        digest::of(&self.file)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.len = self.len.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Bytes that can still be written to its file system.
    pub(super) fn room(&self) -> io::Result<u64> {
        let found = rustix::fs::fstatvfs(&self.file)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let place = Place::find(&[dir.path().to_owned()], &dir.path().join("sub/f")).unwrap();
        fs::rename(dir.path().join("sub"), dir.path().join("was")).unwrap();
        symlink(outside.path(), dir.path().join("sub")).unwrap();
        let mut part = place.open().unwrap();
        part.tag(Some("tag")).unwrap();
        part.write(b"x").unwrap();
        place.finish(part).unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(fs::read(dir.path().join("was/f")).unwrap(), b"x");
    }
}
