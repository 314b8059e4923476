//! A path that cannot lead out of the folder it is joined to.

use core::fmt;

use heapless::String;

/// Most bytes of a path: deep enough for settings, small enough for littlefs' default of 255.
pub const PATH_LEN_MAX: usize = 128;

/// A relative path of plain segments between single slashes.
///
/// ```
/// use handlers::{PathFault, RelativePath};
///
/// assert_eq!(RelativePath::new("conf/wifi.json").unwrap().as_str(), "conf/wifi.json");
/// assert_eq!(RelativePath::new("conf/../../etc/passwd"), Err(PathFault::Dots));
/// ```
///
/// Symbolic links are a matter of the file system: [`Files`](crate::Files) looks after them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelativePath(String<PATH_LEN_MAX>);

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// Nothing, or nothing between two slashes, or a slash at the end.
    Empty,
    /// More than [`PATH_LEN_MAX`] bytes.
    TooLong,
    /// Starts at the root.
    Absolute,
    /// A segment `.` or `..`, or one that ends in a dot or a space (some file systems drop them).
    Dots,
    /// A character that some file system takes as something else: backslash, colon, control.
    Character,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "name a file, with something between slashes",
            Self::TooLong => "longer than 128 bytes",
            Self::Absolute => "must be relative to the job folder, not start with a slash",
            Self::Dots => "must stay inside the job folder: no `.` or `..`, no dot at an end",
            Self::Character => "has a backslash, a colon or a control character",
        })
    }
}

impl core::error::Error for PathFault {}

impl RelativePath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`PathFault`] names the rule that is broken.
    pub fn new(text: &str) -> Result<Self, PathFault> {
        if text.starts_with('/') {
            return Err(PathFault::Absolute);
        }
        if text
            .chars()
            .any(|char| char.is_control() || matches!(char, '\\' | ':'))
        {
            return Err(PathFault::Character);
        }
        for segment in text.split('/') {
            if segment.is_empty() {
                return Err(PathFault::Empty);
            }
            if segment.ends_with(['.', ' ']) {
                return Err(PathFault::Dots);
            }
        }
        String::try_from(text)
            .map(Self)
            .map_err(|_| PathFault::TooLong)
    }

    /// The path, with slashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_leave_the_folder_are_refused() {
        use PathFault::{Absolute, Character, Dots, Empty};
        for (path, fault) in [
            ("", Empty),
            ("/", Absolute),
            ("/etc/passwd", Absolute),
            ("//server/share", Absolute),
            (".", Dots),
            ("..", Dots),
            ("../x", Dots),
            ("a/..", Dots),
            ("a/../b", Dots),
            ("a/./b", Dots),
            ("a/.../b", Dots),
            ("a/.. /b", Dots),
            ("a./b", Dots),
            ("a//b", Empty),
            ("a/", Empty),
            ("..\\x", Character),
            ("C:x", Character),
            ("x\0.txt", Character),
            ("x\n", Character),
            ("x\u{85}", Character),
        ] {
            assert_eq!(RelativePath::new(path), Err(fault), "{path:?}");
        }
    }

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for path in [
            "job-output.txt",
            "a/b/c",
            ".config/x",
            "..x",
            "mit leerzeichen.txt",
            "日本",
        ] {
            assert_eq!(RelativePath::new(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn the_length_is_counted_in_bytes() {
        let longest = "x".repeat(PATH_LEN_MAX);
        assert!(RelativePath::new(&longest).is_ok());
        assert_eq!(
            RelativePath::new(&std::format!("{longest}x")),
            Err(PathFault::TooLong)
        );
        assert_eq!(RelativePath::new(&"ä".repeat(65)), Err(PathFault::TooLong));
    }
}
