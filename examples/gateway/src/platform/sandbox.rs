//! The folder that jobs may write into.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use handlers::{Files, RelativePath};

use jobs_agent::durable;

/// A folder; nothing is written outside of it, not even through a symbolic link.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    root: PathBuf,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    /// A folder on the way is a link.
    #[error("{0} is a symbolic link; the job folder follows none")]
    Link(String),
    /// The file system said no.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The writing thread ended early.
    #[error("the write was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Sandbox {
    /// The sandbox in this folder, which is made if missing.
    ///
    /// # Errors
    /// The folder cannot be made or resolved.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self {
            root: root.canonicalize()?,
        })
    }

    /// Where the sandbox is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), SandboxError> {
        let mut at = self.root.clone();
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            at.push(segment);
            let is_folder = segments.peek().is_some();
            match fs::symlink_metadata(&at) {
                Ok(found) if found.is_symlink() && is_folder => {
                    return Err(SandboxError::Link(segment.to_owned()));
                }
                // A link in the place of the file itself is replaced, not followed.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && is_folder => {
                    fs::create_dir(&at)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(durable::replace(&at, content)?)
    }
}

impl Files for Sandbox {
    type Error = SandboxError;

    async fn replace(&self, path: &RelativePath, content: &[u8]) -> Result<(), SandboxError> {
        let (this, path, content) = (self.clone(), path.as_str().to_owned(), content.to_vec());
        // fsync may take long on a worn card; the agent goes on meanwhile.
        tokio::task::spawn_blocking(move || this.write(&path, &content)).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_with_the_folders_they_are_in() {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::open(&dir.path().join("jobs")).unwrap();
        sandbox.write("a/b/c.txt", b"x").unwrap();
        sandbox.write("a/b/c.txt", b"yz").unwrap();
        assert_eq!(fs::read(dir.path().join("jobs/a/b/c.txt")).unwrap(), b"yz");
    }

    #[test]
    fn a_link_that_leads_out_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::open(&dir.path().join("jobs")).unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, sandbox.root().join("door")).unwrap();
        let refused = sandbox.write("door/x", b"x");
        assert!(matches!(refused, Err(SandboxError::Link(name)) if name == "door"));
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::open(&dir.path().join("jobs")).unwrap();
        let outside = dir.path().join("outside.txt");
        fs::write(&outside, "mine").unwrap();
        std::os::unix::fs::symlink(&outside, sandbox.root().join("x")).unwrap();
        sandbox.write("x", b"theirs").unwrap();
        assert_eq!(fs::read(&outside).unwrap(), b"mine");
        assert_eq!(fs::read(sandbox.root().join("x")).unwrap(), b"theirs");
    }
}
