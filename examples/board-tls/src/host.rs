//! The name of the server, and whether a certificate's name is for it.

use crate::Refusal;

/// Longest host name, in bytes (RFC 1035, 2.3.4, without the root's dot).
pub const HOST_NAME_LEN_MAX: usize = 253;

/// Longest part of a host name between dots, in bytes (RFC 1035, 2.3.4).
pub const LABEL_LEN_MAX: usize = 63;

/// A DNS name that a server must prove to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostName<'a>(&'a str);

impl<'a> HostName<'a> {
    /// Takes a name such as `abc-ats.iot.eu-central-1.amazonaws.com`.
    ///
    /// # Errors
    /// [`Refusal::NotAHostName`] for an empty or overlong name, other characters than ASCII
    /// letters, digits, `-` and `_`, a dot at the end, or a last label of digits only (an address).
    pub fn new(name: &'a str) -> Result<Self, Refusal> {
        let address = name
            .rsplit('.')
            .next()
            .is_none_or(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if name.len() > HOST_NAME_LEN_MAX || address || !name.split('.').all(is_label) {
            return Err(Refusal::NotAHostName);
        }
        Ok(Self(name))
    }

    /// The name as it was given.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether a certificate's `dNSName` is for this host.
    ///
    /// Letters of either case are equal. `*.rest` stands for exactly one label before `rest`, and
    /// `rest` has at least two labels itself; a `*` anywhere else matches nothing.
    pub(crate) fn is_named_by(self, presented: &[u8]) -> bool {
        if presented.len() > HOST_NAME_LEN_MAX {
            return false;
        }
        let Some(rest) = presented.strip_prefix(b"*.") else {
            return self.0.as_bytes().eq_ignore_ascii_case(presented);
        };
        let Some((_, host_rest)) = self.0.split_once('.') else {
            return false;
        };
        rest.contains(&b'.') && host_rest.as_bytes().eq_ignore_ascii_case(rest)
    }
}

fn is_label(label: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty()
        && label.len() <= LABEL_LEN_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn named(host: &str, presented: &str) -> bool {
        HostName::new(host)
            .unwrap()
            .is_named_by(presented.as_bytes())
    }

    #[test]
    fn names_are_equal_whatever_their_case() {
        assert!(named("Broker.Example.com", "broker.example.COM"));
        assert!(!named("broker.example.com", "broker.example.co"));
        assert!(!named("broker.example.com", "xbroker.example.com"));
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        assert!(named("a.iot.example.com", "*.iot.example.com"));
        assert!(!named("a.b.iot.example.com", "*.iot.example.com"));
        assert!(!named("iot.example.com", "*.iot.example.com"));
        assert!(!named(
            ".iot.example.com".trim_start_matches('.'),
            "*.example"
        ));
    }

    #[test]
    fn a_wildcard_must_be_a_whole_left_most_label_under_two_others() {
        assert!(!named("ab.example.com", "a*.example.com"));
        assert!(!named("a.b.example.com", "a.*.example.com"));
        assert!(!named("example.com", "*.com"));
        assert!(!named("example.com", "*"));
        assert!(!named("a.example.com", "*.*.com"));
    }

    #[test]
    fn what_is_no_dns_name_is_refused() {
        for name in [
            "", ".", "a..b", "a.", "10.0.0.1", "a b.c", "a.b\0", "-a.b", "*.a.b", "é.fr",
        ] {
            assert_eq!(HostName::new(name), Err(Refusal::NotAHostName), "{name:?}");
        }
        let long = String::from_iter(core::iter::repeat_n("ab.", 85));
        assert!(HostName::new(&long[..HOST_NAME_LEN_MAX - 2]).is_ok());
        assert!(HostName::new(&long[1..]).is_err());
        let label = "a".repeat(LABEL_LEN_MAX + 1);
        assert!(HostName::new(&label).is_err());
    }
}
