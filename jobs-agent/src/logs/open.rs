//! Opening a log file without being led elsewhere.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};

/// Files that one pattern may find: more than any rotation keeps.
const FILES_MAX: usize = 1_000;

/// A file that may be sent.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) len: u64,
    pub(super) modified: SystemTime,
}

/// A full path of names only.
pub(super) fn is_plain(path: &Path) -> bool {
    let mut parts = path.components();
    parts.next() == Some(Component::RootDir)
        && path.file_name().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// The files that stand behind a path or pattern, and why others are not among them.
///
/// # Errors
/// The folder is not there, or a link stands on the way to it.
pub(super) fn all(pattern: &Path) -> io::Result<(Vec<Log>, Vec<String>)> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return Err(refused("names no file"));
    };
    let folder_open = open_folder(folder)?;
    let mut logs = Vec::new();
    let mut skipped = Vec::new();
    let names = if name.as_bytes().contains(&b'*') {
        names(&folder_open, name)?
    } else {
        vec![name.to_owned()]
    };
    for name in names {
        let path = folder.join(&name);
        match open(&folder_open, &name) {
            Ok((file, found)) => logs.push(Log {
                path,
                file,
                len: found.len(),
                modified: found.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            }),
            Err(error) => skipped.push(format!("{}: {error}", path.display())),
        }
    }
    Ok((logs, skipped))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// Part by part, so that no link on the way is followed: who owns one of these folders could put
/// one in the place of another at any time.
fn open_folder(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut open = openat(CWD, "/", flags, Mode::empty())?;
    for part in folder.components() {
        let Component::Normal(part) = part else {
            continue;
        };
        open = match openat(&open, part, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(open) => open,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let why = format!("{}: no folder, or a link on the way", folder.display());
                return Err(refused(&why));
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(open)
}

fn open(folder: &OwnedFd, name: &OsStr) -> io::Result<(File, fs::Metadata)> {
    // Non-blocking: opening a pipe must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(refused("is a link; links are not followed")),
        Err(error) => return Err(error.into()),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(refused("is no regular file"));
    }
    // Another name may be that of a file which only root can read.
    if found.nlink() != 1 {
        return Err(refused("has another name, too"));
    }
    Ok((file, found))
}

fn names(folder: &OwnedFd, pattern: &OsStr) -> io::Result<Vec<OsString>> {
    // Through what was opened (proc(5)).
    let entries = fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if matches(pattern.as_bytes(), name.as_bytes()) {
            if found.len() == FILES_MAX {
                let why = format!("more than {FILES_MAX} files are found");
                return Err(refused(&why));
            }
            found.push(name);
        }
    }
    Ok(found)
}

/// Whether a name has this pattern: `*` for any bytes, none among them; a leading dot is named.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    let mut parts = pattern.split(|&byte| byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let mut at = 0..=rest.len().saturating_sub(part.len());
        let Some(at) = at.find(|&at| rest.get(at..).is_some_and(|rest| rest.starts_with(part)))
        else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_what_it_says() {
        for (pattern, good, bad) in [
            (
                "*.log",
                &["a.log", "x.y.log"][..],
                &["a.log.1", "log", ".a.log"][..],
            ),
            ("pump*", &["pump", "pump.log.1"], &["a-pump"]),
            ("a*b*c", &["abc", "a1b2c", "abbc"], &["ab", "acb", "abcd"]),
            (".*", &[".hidden"], &["plain"]),
            ("*", &["a"], &[".a"]),
        ] {
            for name in good {
                assert!(
                    matches(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} {name}"
                );
            }
            for name in bad {
                assert!(
                    !matches(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} {name}"
                );
            }
        }
    }

    #[test]
    fn only_full_paths_of_names_are_plain() {
        assert!(is_plain(Path::new("/var/log/a.log")));
        for wrong in ["/", "a.log", "/var/../etc/shadow", "../a"] {
            assert!(!is_plain(Path::new(wrong)), "{wrong}");
        }
    }
}
