//! Replacing a file so that a power cut leaves the old content or the new one.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// Replaces `path` with `content`: temporary file, fsync, rename, fsync of the folder.
///
/// # Errors
/// Any of these steps failed; the old content is still there, or the new one is but its folder
/// could not be made durable.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_as(path, content, |_| Ok(()))
}

/// As [`replace`]; `prepare` may change the new file's owner and mode before anything is in it.
///
/// # Errors
/// As [`replace`], and what `prepare` says.
pub fn replace_as(
    path: &Path,
    content: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not the path of a file",
        ));
    };
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".new");
    let temporary = folder.join(temporary);
    // A leftover of a cut may be anything, even a link: it is never written through.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .open(&temporary)?;
    prepare(&file)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_of_a_cut_is_not_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot.json");
        fs::write(dir.path().join(".boot.json.new"), "half").unwrap();
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
