//! Identifiers, checked once when they are made.

use core::fmt;

use crate::limits::{CLIENT_TOKEN_LEN_MAX, JOB_ID_LEN_MAX, THING_NAME_LEN_MAX};

/// Why a text is no identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IdError {
    /// The text is empty; at least one character is needed.
    Empty,
    /// The text is too long; shorten it to `max` bytes.
    TooLong {
        /// Longest allowed length, in bytes.
        max: usize,
    },
    /// The byte at `at` is not in the allowed set; replace it.
    BadCharacter {
        /// Offset of the byte.
        at: usize,
    },
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("identifier is empty"),
            Self::TooLong { max } => write!(f, "identifier is longer than {max} bytes"),
            Self::BadCharacter { at } => write!(f, "identifier has an illegal byte at {at}"),
        }
    }
}

impl core::error::Error for IdError {}

/// What an identifier may hold besides `[a-zA-Z0-9_-]`.
#[derive(Clone, Copy)]
pub(crate) struct Extra(u8);

impl Extra {
    /// Nothing else.
    pub(crate) const JOB: Self = Self(b'-');
    /// A colon.
    pub(crate) const THING: Self = Self(b':');
    /// All visible ASCII that JSON leaves alone.
    pub(crate) const TOKEN: Self = Self(b'!');

    #[cfg_attr(not(feature = "fast"), inline(always))]
    const fn admits(self, byte: u8) -> bool {
        let plain = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        plain || byte == self.0 || (self.0 == Self::TOKEN.0 && Self::token_admits(byte))
    }

    const fn token_admits(byte: u8) -> bool {
        byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
    }
}

/// Whether a text is a job id ([`Extra::JOB`]) or one of the names that are longer
/// ([`Extra::THING`]).
#[cfg_attr(not(feature = "fast"), inline(never))]
pub(crate) fn is_valid(text: &[u8], extra: Extra) -> bool {
    let max = if extra.0 == Extra::JOB.0 {
        JOB_ID_LEN_MAX
    } else {
        THING_NAME_LEN_MAX
    };
    #[cfg(feature = "fast")]
    let admits = |byte: &u8| {
        let known = PLAIN.get(usize::from(*byte));
        known.is_some_and(|plain| *plain) || extra.admits(*byte)
    };
    #[cfg(not(feature = "fast"))]
    let admits = |byte: &u8| extra.admits(*byte);
    !text.is_empty() && text.len() <= max && text.iter().all(admits)
}

/// Which bytes every identifier may hold.
#[cfg(feature = "fast")]
static PLAIN: [bool; 256] = plain();

#[cfg(feature = "fast")]
const fn plain() -> [bool; 256] {
    let mut table = [false; 256];
    let mut rest: &mut [bool] = &mut table;
    let mut byte: u8 = 0;
    while let [first, tail @ ..] = rest {
        *first = Extra::JOB.admits(byte);
        byte = byte.wrapping_add(1);
        rest = tail;
    }
    table
}

const fn check(text: &[u8], max: usize, extra: Extra) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > max {
        return Err(IdError::TooLong { max });
    }
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        if !extra.admits(*byte) {
            return Err(IdError::BadCharacter {
                at: text.len().wrapping_sub(rest.len()),
            });
        }
        rest = tail;
    }
    Ok(())
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $max:expr, $extra:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name<'a>(&'a [u8]);

        impl<'a> $name<'a> {
            /// Checks the text and wraps it.
            ///
            /// # Errors
            ///
            /// [`IdError`] when the text is empty, too long or holds an illegal character.
            pub const fn new(text: &'a str) -> Result<Self, IdError> {
                match check(text.as_bytes(), $max, $extra) {
                    Ok(()) => Ok(Self(text.as_bytes())),
                    Err(error) => Err(error),
                }
            }

            /// In place of one that is missing, where an `Option` would have to be moved.
            #[allow(dead_code, reason = "not every identifier is read from messages")]
            pub(crate) const ABSENT: Self = Self(&[]);

            /// Wraps what was checked before, or nothing.
            #[allow(dead_code, reason = "not every identifier is read from messages")]
            pub(crate) const fn checked(text: &'a [u8]) -> Self {
                Self(text)
            }

            /// Whether this is one, and not [`Self::ABSENT`].
            #[allow(dead_code, reason = "not every identifier is read from messages")]
            pub(crate) const fn is_present(&self) -> bool {
                !self.0.is_empty()
            }

            /// The text.
            #[must_use]
            pub const fn as_str(&self) -> &'a str {
                match core::str::from_utf8(self.0) {
                    Ok(text) => text,
                    // What was checked is ASCII.
                    Err(_) => "",
                }
            }

            /// The bytes of the text, which are ASCII; in flash cheaper than [`Self::as_str`].
            #[must_use]
            pub const fn as_bytes(&self) -> &'a [u8] {
                self.0
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl AsRef<str> for $name<'_> {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl<'a> TryFrom<&'a str> for $name<'a> {
            type Error = IdError;

            fn try_from(text: &'a str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
    };
}

identifier! {
    /// A job id: 1–64 bytes of `[a-zA-Z0-9_-]` (official service model, `JobId`).
    ///
    /// It never needs escaping, and it can be a topic level or a file name as it is.
    ///
    /// ```
    /// use jobs_proto::{IdError, JobId};
    ///
    /// const JOB: JobId<'_> = match JobId::new("AFR_OTA-7") { Ok(id) => id, Err(_) => panic!() };
    /// assert_eq!(JOB.as_str(), "AFR_OTA-7");
    /// assert_eq!(JobId::new("../x"), Err(IdError::BadCharacter { at: 0 }));
    /// ```
    JobId, JOB_ID_LEN_MAX, Extra::JOB
}

identifier! {
    /// A thing name: 1–128 bytes of `[a-zA-Z0-9:_-]` (official service model, `ThingName`).
    ThingName, THING_NAME_LEN_MAX, Extra::THING
}

identifier! {
    /// A client token to send: 1–64 bytes of visible ASCII without `"` and `\`.
    ///
    /// The service takes any text and returns it unchanged. This type is narrower, so that a
    /// token travels without escapes and can be compared byte by byte.
    ClientToken, CLIENT_TOKEN_LEN_MAX, Extra::TOKEN
}

impl<'a> JobId<'a> {
    /// The same as [`Self::new`], for bytes.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        is_valid(text, Extra::JOB).then_some(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::{Extra, JobId, ThingName, is_valid};

    #[test]
    fn identifiers_of_messages_and_of_programs_hold_the_same_bytes() {
        for byte in 0..=u8::MAX {
            let bytes = [b'a', byte];
            let text = core::str::from_utf8(&bytes).ok();
            let job = text.is_some_and(|text| JobId::new(text).is_ok());
            let thing = text.is_some_and(|text| ThingName::new(text).is_ok());
            assert_eq!(is_valid(&bytes, Extra::JOB), job, "{byte}");
            assert_eq!(is_valid(&bytes, Extra::THING), thing, "{byte}");
        }
    }
}
