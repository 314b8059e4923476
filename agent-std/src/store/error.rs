//! What can go wrong with a store, grouped by whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

use super::MAX_RECORD_BYTES;

/// A record could not be read or made durable.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process owns the directory.
    #[error(
        "another agent uses {}: stop it, or give this one a directory of its own (two agents with \
         one store would run each job twice)",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory holds unfinished jobs of another thing.
    #[error(
        "{} holds unfinished jobs of the thing `{owner}`: start that agent once and let them finish, \
         give this one a directory of its own, or remove the directory if those jobs are given up \
         (a copied disk image brings such a directory along)",
        dir.display()
    )]
    OtherThing {
        /// The directory.
        dir: PathBuf,
        /// The thing.
        owner: String,
    },
    /// The operating system does not let us.
    #[error(
        "not allowed to {doing} {}: {source}; make the directory writable for the user the agent \
         runs as, on a file system that is mounted read-write",
        path.display()
    )]
    Denied {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// The disk or the quota is used up.
    #[error("no space to {doing} {}: {source}; free some space or raise the quota", path.display())]
    Full {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// Anything else the operating system reports, such as a failing disk.
    #[error("could not {doing} {}: {source}; check the disk and the system log", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// The caller's record is too large.
    #[error("a record of {bytes} bytes is over the limit of {MAX_RECORD_BYTES}: keep less in it")]
    TooLarge {
        /// Its size, in bytes.
        bytes: usize,
    },
    /// A file in a slot's place was not written by this store.
    #[error("{} is not a record ({why}): move it out of the way and look what put it there", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why it cannot be a record.
        why: &'static str,
    },
    /// The thread that owns the store has ended.
    #[error("the store is closed: this is a mistake in the program, which used it after closing")]
    Closed,
}

impl StoreError {
    /// Sorts an error of the operating system by whose fault it is.
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied {
                doing,
                path,
                source,
            },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                doing,
                path,
                source,
            },
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_says_what_to_do() {
        let text = |kind: io::ErrorKind| {
            StoreError::io("write", Path::new("/var/lib/a/slot-0.tmp"), kind.into()).to_string()
        };
        assert!(text(io::ErrorKind::ReadOnlyFilesystem).contains("mounted read-write"));
        assert!(text(io::ErrorKind::PermissionDenied).contains("writable for the user"));
        assert!(text(io::ErrorKind::StorageFull).contains("free some space"));
        assert!(text(io::ErrorKind::Other).contains("check the disk"));
        assert!(text(io::ErrorKind::Other).contains("/var/lib/a/slot-0.tmp"));
    }
}
