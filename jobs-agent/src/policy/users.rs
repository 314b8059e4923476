//! Users by name.

use std::{fs, io, path::Path};

use crate::supervise::Ids;

/// Where users are; those of a directory service are not known to this agent, whose static build
/// could not ask it either.
pub(crate) const PASSWD: &str = "/etc/passwd";

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum UserFault {
    /// The list of users cannot be read.
    #[error("{PASSWD}: {0}")]
    Io(#[from] io::Error),
    /// It has no such user.
    #[error("there is no user {0} in {PASSWD}")]
    Unknown(String),
}

/// A user of passwd(5), with the home folder.
///
/// # Errors
/// [`UserFault`]
pub fn find_user(name: &str, passwd: &Path) -> Result<(Ids, String), UserFault> {
    let text = fs::read_to_string(passwd)?;
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let mut fields = fields.skip(1);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((Ids { uid, gid }, fields.nth(1)?.to_owned()))
    });
    found.ok_or_else(|| UserFault::Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let text =
            "root:x:0:0:root:/root:/bin/sh\nana:x:x:1::/:\nanabel:x:1007:1008:A:/home/a:/bin/sh\n";
        fs::write(&path, text).unwrap();
        let (ids, home) = find_user("anabel", &path).unwrap();
        assert_eq!(
            (ids, home.as_str()),
            (
                Ids {
                    uid: 1007,
                    gid: 1008
                },
                "/home/a"
            )
        );
        for name in ["ana", "bel", "", "x"] {
            assert!(
                matches!(find_user(name, &path), Err(UserFault::Unknown(_))),
                "{name}"
            );
        }
    }
}
