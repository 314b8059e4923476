//! Files that may be executed.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Why a file is not executed.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It is not there, or cannot be looked at.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// A link, a folder, a device, a socket.
    #[error("{0} is no regular file; links are not followed")]
    Kind(PathBuf),
    /// It may not be executed.
    #[error("{0} is not executable: chmod 700 it")]
    NotExecutable(PathBuf),
    /// Somebody else can change what it does.
    #[error("{0} can be written by its group or by everybody: chmod go-w it")]
    Writable(PathBuf),
    /// Somebody else owns it.
    #[error("{0} belongs to user {1}, who is neither root nor the agent's user")]
    Owner(PathBuf, u32),
    /// No folder of the search path has it.
    #[error("no program {0} in {1}")]
    NotFound(String, String),
}

/// A handler, checked just before it runs: a regular file that only root or the agent's own user
/// can change, in a folder of which the same is true, and in whose place nobody else can put another.
///
/// # Errors
/// [`FileFault`] says which rule is broken.
pub(crate) fn handler(dir: &Path, name: &str) -> Result<PathBuf, FileFault> {
    private(dir, &look(dir, false)?)?;
    unmoved(dir)?;
    let path = dir.join(name);
    let found = look(&path, false)?;
    if !found.is_file() {
        return Err(FileFault::Kind(path));
    }
    private(&path, &found)?;
    if found.permissions().mode() & 0o111 == 0 {
        return Err(FileFault::NotExecutable(path));
    }
    Ok(path)
}

/// A program by its name or full path. Links are followed here: the folders of the search path are
/// the system's.
///
/// # Errors
/// [`FileFault`] when there is none.
pub(crate) fn command(program: &str, search: &str) -> Result<PathBuf, FileFault> {
    if program.starts_with('/') {
        let path = PathBuf::from(program);
        let found = look(&path, true)?;
        return if found.is_file() {
            Ok(path)
        } else {
            Err(FileFault::Kind(path))
        };
    }
    let dirs = search.split(':').filter(|dir| dir.starts_with('/'));
    dirs.map(|dir| Path::new(dir).join(program))
        .find(|path| {
            fs::metadata(path)
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
        .ok_or_else(|| FileFault::NotFound(program.to_owned(), search.to_owned()))
}

fn look(path: &Path, follow: bool) -> Result<fs::Metadata, FileFault> {
    let found = if follow {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    };
    found.map_err(|source| FileFault::Io {
        path: path.to_owned(),
        source,
    })
}

fn private(path: &Path, found: &fs::Metadata) -> Result<(), FileFault> {
    if found.file_type().is_symlink() {
        return Err(FileFault::Kind(path.to_owned()));
    }
    if found.permissions().mode() & 0o022 != 0 {
        return Err(FileFault::Writable(path.to_owned()));
    }
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != me {
        return Err(FileFault::Owner(path.to_owned(), found.uid()));
    }
    Ok(())
}

/// Every folder above `dir`, by its name and by where links lead, is one in which only root or the
/// agent's own user can rename what they own.
fn unmoved(dir: &Path) -> Result<(), FileFault> {
    let real = fs::canonicalize(dir).map_err(|source| FileFault::Io {
        path: dir.to_owned(),
        source,
    })?;
    let above = |dir: &Path| -> Vec<PathBuf> {
        let above = dir.ancestors().skip(1);
        let above = above.filter(|above| !above.as_os_str().is_empty());
        above.map(Path::to_owned).collect()
    };
    for folder in above(dir).into_iter().chain(above(&real)) {
        let found = look(&folder, true)?;
        // In a sticky folder everybody can only rename what is his (inode(7)).
        if !(found.is_dir() && found.permissions().mode() & STICKY != 0 && found.uid() == 0) {
            private(&folder, &found)?;
        }
    }
    Ok(())
}

/// The bit of a sticky folder.
const STICKY: u32 = 0o1000;

/// The `ID` of os-release(5).
pub(crate) fn operating_system() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let id = text.lines().find_map(|line| line.strip_prefix("ID="))?;
    Some(id.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("h.sh"), "#!/bin/sh\n").unwrap();
        mode(&dir.path().join("h.sh"), 0o700);
        dir
    }

    #[test]
    fn a_private_executable_file_is_a_handler() {
        let dir = folder();
        assert_eq!(
            handler(dir.path(), "h.sh").unwrap(),
            dir.path().join("h.sh")
        );
    }

    #[test]
    fn a_link_is_no_handler_wherever_it_leads() {
        let dir = folder();
        symlink("/bin/sh", dir.path().join("door")).unwrap();
        symlink("h.sh", dir.path().join("near")).unwrap();
        for name in ["door", "near"] {
            assert!(
                matches!(handler(dir.path(), name), Err(FileFault::Kind(_))),
                "{name}"
            );
        }
        let link = dir.path().join("folder");
        symlink(dir.path(), &link).unwrap();
        assert!(matches!(handler(&link, "h.sh"), Err(FileFault::Kind(_))));
    }

    #[test]
    fn a_folder_a_socket_and_a_device_are_no_handlers() {
        let dir = folder();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        for name in ["sub", "socket"] {
            assert!(
                matches!(handler(dir.path(), name), Err(FileFault::Kind(_))),
                "{name}"
            );
        }
        // Devices stand in a folder of the system's.
        assert!(matches!(
            handler(Path::new("/dev"), "null"),
            Err(FileFault::Kind(_))
        ));
    }

    #[test]
    fn what_others_can_write_is_not_run() {
        let dir = folder();
        mode(&dir.path().join("h.sh"), 0o720);
        assert!(matches!(
            handler(dir.path(), "h.sh"),
            Err(FileFault::Writable(_))
        ));
        mode(&dir.path().join("h.sh"), 0o600);
        assert!(matches!(
            handler(dir.path(), "h.sh"),
            Err(FileFault::NotExecutable(_))
        ));
        mode(&dir.path().join("h.sh"), 0o700);
        mode(dir.path(), 0o777);
        assert!(matches!(
            handler(dir.path(), "h.sh"),
            Err(FileFault::Writable(_))
        ));
        mode(dir.path(), 0o700);
    }

    #[test]
    fn a_folder_that_others_can_swap_for_another_holds_no_handlers() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("a/handlers");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("h.sh"), "#!/bin/sh\n").unwrap();
        mode(&dir.join("h.sh"), 0o700);
        for (above, others, good) in [
            ("a", 0o755, true),
            // Whoever can write here can put a folder of his own in the place of this one.
            ("a", 0o777, false),
            ("a", 0o775, false),
            // Unless the folder is sticky, as /tmp is.
            ("a", 0o1777, true),
        ] {
            mode(&outer.path().join(above), others);
            assert_eq!(handler(&dir, "h.sh").is_ok(), good, "{others:o}");
        }
        mode(&outer.path().join("a"), 0o777);
        let door = outer.path().join("door");
        symlink(outer.path().join("a"), &door).unwrap();
        assert!(
            handler(&door.join("handlers"), "h.sh").is_err(),
            "by a link"
        );
    }

    #[test]
    fn commands_are_found_by_name_or_full_path() {
        assert!(command("sh", "/usr/bin:/bin").unwrap().ends_with("sh"));
        assert_eq!(command("/bin/sh", "").unwrap(), Path::new("/bin/sh"));
        assert!(matches!(command("/dev/null", ""), Err(FileFault::Kind(_))));
        assert!(matches!(
            command("sh", "relative::"),
            Err(FileFault::NotFound(..))
        ));
    }
}
