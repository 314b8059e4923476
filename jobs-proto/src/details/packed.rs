//! Pairs in one run of bytes, for records that outlive a restart.

use super::{DetailsError, check_key, scrub};
use crate::limits::{STATUS_DETAILS_PAIRS_MAX, STATUS_DETAILS_VALUE_LEN_MAX};

/// Pairs of key and value in one run of bytes: for each the length of the key (one byte), the
/// key, the length of the value (two bytes, low one first), the value.
///
/// The bytes may come from anywhere: what is not well-formed ends the iteration.
///
/// ```
/// use jobs_proto::details::PackedDetails;
///
/// let (mut buf, mut len) = ([0; 64], 0);
/// PackedDetails::push(&mut buf, &mut len, "reason", "exit\n1")?;
/// let details = PackedDetails(&buf[..len]);
/// assert!(details.is_valid());
/// assert!(details.iter().eq([("reason", "exit 1")]));
/// # Ok::<(), jobs_proto::details::DetailsError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PackedDetails<'a>(pub &'a [u8]);

/// What a pair takes besides its texts: the two lengths.
const FRAME_LEN: usize = 3;

impl<'a> PackedDetails<'a> {
    /// Longest form of all pairs at their maximum, in bytes.
    pub const LEN_MAX: usize = STATUS_DETAILS_PAIRS_MAX
        * (FRAME_LEN + crate::limits::STATUS_DETAILS_KEY_LEN_MAX + STATUS_DETAILS_VALUE_LEN_MAX);

    /// Appends a pair behind the first `len` bytes of `buf` and adds its length to `len`.
    ///
    /// The value is scrubbed as by [`scrub`].
    ///
    /// # Errors
    ///
    /// [`DetailsError`] when the pair is illegal or does not fit; `len` is as before then.
    pub fn push(
        buf: &mut [u8],
        len: &mut usize,
        key: &str,
        value: &str,
    ) -> Result<(), DetailsError> {
        append(buf, len, key, value, false)
    }

    /// As [`PackedDetails::push`], but cuts the value where the buffer ends.
    ///
    /// # Errors
    ///
    /// [`DetailsError`] when the pair is illegal or there is no room for the key and one
    /// character; `len` is as before then.
    pub fn push_cut(
        buf: &mut [u8],
        len: &mut usize,
        key: &str,
        value: &str,
    ) -> Result<(), DetailsError> {
        append(buf, len, key, value, true)
    }

    /// The pairs, up to the first byte that is not well-formed.
    #[must_use]
    pub fn iter(&self) -> PackedIter<'a> {
        PackedIter { rest: self.0 }
    }

    /// Whether all bytes are well-formed and the pairs can be sent as they are.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let mut pairs = self.iter();
        let mut count: usize = 0;
        for (key, value) in pairs.by_ref() {
            let again = self.iter().take(count).any(|(other, _)| other == key);
            if again
                || check_key(key.as_bytes()).is_err()
                || value.is_empty()
                || !scrub(value).eq(value.chars())
            {
                return false;
            }
            count = count.saturating_add(1);
        }
        pairs.rest.is_empty() && count <= STATUS_DETAILS_PAIRS_MAX
    }

    /// Whether there is no pair.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &PackedDetails<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = PackedIter<'a>;

    fn into_iter(self) -> PackedIter<'a> {
        self.iter()
    }
}

#[cfg_attr(not(feature = "fast"), inline(always))]
fn append(
    buf: &mut [u8],
    len: &mut usize,
    key: &str,
    value: &str,
    cut: bool,
) -> Result<(), DetailsError> {
    check_key(key.as_bytes())?;
    let (head, room) = buf
        .split_at_mut_checked(*len)
        .ok_or(DetailsError::BufferFull)?;
    let mut count: usize = 0;
    for (other, _) in &PackedDetails(head) {
        if other == key {
            return Err(DetailsError::DuplicateKey);
        }
        count = count.saturating_add(1);
    }
    if count >= STATUS_DETAILS_PAIRS_MAX {
        return Err(DetailsError::TooManyPairs);
    }
    if scrub(value).next().is_none() {
        return Err(DetailsError::EmptyValue);
    }
    let (key_frame, room) = split(room, key.len().saturating_add(1))?;
    let (value_frame, room) = split(room, 2)?;
    let mut value_len: usize = 0;
    for char in scrub(value) {
        let mut utf8 = [0; 4];
        let utf8 = char.encode_utf8(&mut utf8).as_bytes();
        let end = value_len.saturating_add(utf8.len());
        match room.get_mut(value_len..end) {
            Some(place) => place
                .iter_mut()
                .zip(utf8)
                .for_each(|(to, from)| *to = *from),
            None if cut && value_len > 0 => break,
            None => return Err(DetailsError::BufferFull),
        }
        value_len = end;
    }
    let key_len = u8::try_from(key.len()).map_err(|_| DetailsError::BadKey)?;
    let key_bytes = core::iter::once(&key_len).chain(key.as_bytes());
    key_frame
        .iter_mut()
        .zip(key_bytes)
        .for_each(|(to, from)| *to = *from);
    let frame = u16::try_from(value_len)
        .map_err(|_| DetailsError::BufferFull)?
        .to_le_bytes();
    value_frame
        .iter_mut()
        .zip(frame)
        .for_each(|(to, from)| *to = from);
    *len = len
        .saturating_add(FRAME_LEN)
        .saturating_add(key.len())
        .saturating_add(value_len);
    Ok(())
}

fn split(room: &mut [u8], at: usize) -> Result<(&mut [u8], &mut [u8]), DetailsError> {
    room.split_at_mut_checked(at)
        .ok_or(DetailsError::BufferFull)
}

/// The pairs of [`PackedDetails`].
#[derive(Clone, Debug)]
pub struct PackedIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for PackedIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest;
        let (key, value) = take(&mut rest)?;
        let pair = (
            core::str::from_utf8(key).ok()?,
            core::str::from_utf8(value).ok()?,
        );
        self.rest = rest;
        Some(pair)
    }
}

/// Takes the first pair off the bytes, if it is well-formed but for its characters.
#[cfg_attr(not(feature = "fast"), inline(always))]
pub(super) fn take<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (key_len, tail) = rest.split_first()?;
    let (key, tail) = tail.split_at_checked(usize::from(*key_len))?;
    let (value_len, tail) = tail.split_first_chunk()?;
    let (value, tail) = tail.split_at_checked(usize::from(u16::from_le_bytes(*value_len)))?;
    *rest = tail;
    Some((key, value))
}

impl core::iter::FusedIterator for PackedIter<'_> {}
