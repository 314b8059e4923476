//! `statusDetails` to send: scrubbed, bounded and ready for the wire.
//!
//! The service refuses a whole update for one newline in one value (official service model,
//! `DetailsValue`: `[^\p{C}]+`). So values are scrubbed on the way ([`scrub`]), and only what
//! cannot be repaired is an error.

mod packed;
mod scrub;

pub use packed::{PackedDetails, PackedIter};
pub use scrub::{Scrubbed, scrub};

use core::fmt;

use crate::id::{self, Extra};
use crate::limits::{STATUS_DETAILS_KEY_LEN_MAX, STATUS_DETAILS_PAIRS_MAX, THING_NAME_LEN_MAX};
use crate::text::same;
use crate::write::Writer;

/// The `statusDetails` member of a request.
///
/// The service replaces the whole map: what is still needed has to be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Details<'a> {
    /// Leave the member out; the stored map stays as it is.
    #[default]
    Unchanged,
    /// Replace the map by these pairs of key and value.
    Pairs(&'a [(&'a str, &'a str)]),
    /// Replace the map by these pairs of key and value.
    Packed(PackedDetails<'a>),
}

/// Why a pair is no part of `statusDetails`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DetailsError {
    /// A key is empty, longer than 128 bytes or not of `[a-zA-Z0-9:_-]`; rename it.
    BadKey,
    /// A key comes twice; leave one out.
    DuplicateKey,
    /// A value is empty, or nothing is left of it after scrubbing; leave the pair out.
    EmptyValue,
    /// More than [`STATUS_DETAILS_PAIRS_MAX`] pairs; leave some out.
    TooManyPairs,
    /// The buffer for packed pairs is full; lend a longer one.
    BufferFull,
}

impl fmt::Display for DetailsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadKey => "key must be 1 to 128 of a-z A-Z 0-9 : _ -",
            Self::DuplicateKey => "key comes twice",
            Self::EmptyValue => "value has no printable character",
            Self::TooManyPairs => "more than 10 pairs",
            Self::BufferFull => "no room for the pair",
        })
    }
}

impl core::error::Error for DetailsError {}

// One rule for both.
const _: () = assert!(STATUS_DETAILS_KEY_LEN_MAX == THING_NAME_LEN_MAX);

#[cfg_attr(not(feature = "fast"), inline(always))]
pub(crate) fn check_key(key: &[u8]) -> Result<(), DetailsError> {
    if id::is_valid(key, Extra::THING) {
        Ok(())
    } else {
        Err(DetailsError::BadKey)
    }
}

impl<'a> Details<'a> {
    /// The pair with this number, as bytes.
    #[inline(never)]
    fn pair(&self, index: usize) -> Option<(&'a [u8], &'a [u8])> {
        match self {
            Self::Unchanged => None,
            Self::Pairs(pairs) => {
                let (key, value) = pairs.get(index)?;
                Some((key.as_bytes(), value.as_bytes()))
            }
            Self::Packed(packed) => {
                let mut rest = packed.0;
                let mut left = index;
                loop {
                    let pair = packed::take(&mut rest)?;
                    if left == 0 {
                        return Some(pair);
                    }
                    left = left.wrapping_sub(1);
                }
            }
        }
    }

    /// Writes the object; nothing for [`Details::Unchanged`]. A packed value ends where it is not
    /// UTF-8.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), DetailsError> {
        let mut separator = b'{';
        let mut index: usize = 0;
        while let Some((key, value)) = self.pair(index) {
            check_key(key)?;
            if index >= STATUS_DETAILS_PAIRS_MAX {
                return Err(DetailsError::TooManyPairs);
            }
            for other in 0..index {
                if self.pair(other).is_some_and(|(other, _)| same(other, key)) {
                    return Err(DetailsError::DuplicateKey);
                }
            }
            index = index.wrapping_add(1);
            writer.byte(separator);
            separator = b',';
            writer.byte(b'"');
            writer.bytes(key);
            writer.bytes(b"\":\"");
            let before = writer.len();
            let mut left = Scrubbed::new(value);
            while let Some(text) = left.run() {
                // Scrubbing leaves nothing else that JSON escapes.
                if matches!(text, b"\"" | b"\\") {
                    writer.byte(b'\\');
                }
                writer.bytes(text);
            }
            if writer.len() == before {
                return Err(DetailsError::EmptyValue);
            }
            writer.byte(b'"');
        }
        if index == 0 {
            writer.byte(separator);
        }
        writer.byte(b'}');
        Ok(())
    }

    pub(crate) const fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }
}
