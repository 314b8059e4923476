//! Which version each target was updated to, so that an older one with a good signature is known.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::durable;

/// The file that remembers.
#[derive(Clone, Debug)]
pub(super) struct Versions(PathBuf);

impl Versions {
    pub(super) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// # Errors
    /// The version is older than the one that is remembered, or nobody can tell.
    pub(super) fn check(&self, target: &str, version: &str) -> Result<(), String> {
        let known = read(&self.0).map_err(|error| {
            let path = self.0.display();
            format!("{path}: {error}: whether this version is an older one is not known")
        })?;
        match known.get(target) {
            Some(last) if order(version, last) == Ordering::Less => Err(format!(
                "version {version} is older than {last}, and `allow_older` is not set"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn remember(&self, target: &str, version: &str) -> io::Result<()> {
        let mut known = read(&self.0)?;
        known.insert(target.to_owned(), version.to_owned());
        durable::replace(&self.0, &serde_json::to_vec(&known)?)
    }
}

fn read(path: &Path) -> io::Result<BTreeMap<String, String>> {
    match fs::read(path) {
        Ok(json) => Ok(serde_json::from_slice(&json)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// Numbers count as numbers, and what stands between them as nothing; a word counts as less than
/// a number or the end, as the pre-releases of semantic versions do.
fn order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (parts(a), parts(b));
    loop {
        let (left, right) = (a.next(), b.next());
        let decided = match (left, right) {
            (None, None) => return Ordering::Equal,
            (left, right) => rank(left).cmp(&rank(right)),
        };
        if decided != Ordering::Equal {
            return decided;
        }
    }
}

/// Words first, then the end, then numbers: by the count of their digits, then by these.
fn rank(part: Option<&str>) -> (u8, usize, &str) {
    match part {
        None => (1, 0, ""),
        Some(part) if part.starts_with(|c: char| c.is_ascii_digit()) => {
            let digits = part.trim_start_matches('0');
            (2, digits.len(), digits)
        }
        Some(word) => (0, 0, word),
    }
}

/// Runs of digits and runs of letters.
fn parts(version: &str) -> impl Iterator<Item = &str> {
    let mut rest = version;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let first = rest.chars().next()?;
        let same =
            |c: char| c.is_ascii_alphanumeric() && c.is_ascii_digit() == first.is_ascii_digit();
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_read_them() {
        let rising = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-rc1",
            "1.0.0-rc2",
            "1.0.0",
            "1.0.0+5",
            "1.0.1",
            "1.2",
            "1.10",
            "2",
            "2026.11.29",
            "2026.12.1",
        ];
        for (at, lower) in rising.iter().enumerate() {
            assert_eq!(order(lower, lower), Ordering::Equal);
            for higher in &rising[at + 1..] {
                assert_eq!(order(lower, higher), Ordering::Less, "{lower} {higher}");
                assert_eq!(order(higher, lower), Ordering::Greater, "{higher} {lower}");
            }
        }
        assert_eq!(order("1.01", "1.1"), Ordering::Equal);
        let long = format!("1.{}", "9".repeat(60));
        assert_eq!(order(&long, "1.10"), Ordering::Greater);
    }

    #[test]
    fn a_memory_that_cannot_be_read_is_no_leave_to_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let versions = Versions::at(dir.path().join("v"));
        assert_eq!(versions.check("a", "1"), Ok(()));
        versions.remember("a", "2").unwrap();
        versions.remember("b", "1").unwrap();
        assert!(versions.check("a", "1").is_err());
        assert_eq!(versions.check("b", "1"), Ok(()));
        fs::write(dir.path().join("v"), "{").unwrap();
        assert!(versions.check("a", "3").is_err());
    }
}
