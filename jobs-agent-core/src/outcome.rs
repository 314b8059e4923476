//! What a handler says: progress on the way, and the outcome at the end.

use heapless::{String, Vec, VecView};
pub use jobs_proto::details::DetailsError;
use jobs_proto::details::PackedDetails;

use crate::checkpoint::{BODY_LEN_MAX, Checkpoint};

/// Most bytes of the packed details of one progress report.
pub const PROGRESS_LEN_MAX: usize = 96;

/// Most bytes of a reason; longer ones are cut at a character boundary.
pub const REASON_LEN_MAX: usize = 160;

/// The key under which a reason is reported, as AWS's own agents do.
pub const REASON_KEY: &str = "reason";

/// How a job ended, or that it needs a reboot to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done: SUCCEEDED with these statusDetails.
    Succeeded(Details),
    /// Tried and failed: FAILED with these statusDetails. The service may retry.
    Failed(Details),
    /// Cannot be done here: REJECTED with these statusDetails. Never retried.
    Rejected(Details),
    /// Reset the device, then go on with `resume` from this checkpoint (P4).
    Reboot(Checkpoint),
}

impl Outcome {
    /// SUCCEEDED without details.
    #[must_use]
    pub fn succeeded() -> Self {
        Self::Succeeded(Details::new())
    }

    /// FAILED with a reason that a person can read.
    #[must_use]
    pub fn failed(reason: &str) -> Self {
        Self::Failed(Details::reason(reason))
    }

    /// REJECTED with a reason that a person can read.
    #[must_use]
    pub fn rejected(reason: &str) -> Self {
        Self::Rejected(Details::reason(reason))
    }
}

/// A short text for people; cut, never refused.
///
/// ```
/// use jobs_agent_core::Reason;
/// assert_eq!(Reason::new("no such slot").as_str(), "no such slot");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reason(String<REASON_LEN_MAX, u16>);

impl Reason {
    /// Keeps as much of `text` as fits.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(REASON_LEN_MAX);
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let mut kept = String::new();
        // Within the capacity: cannot fail.
        let _ = kept.push_str(text.get(..end).unwrap_or_default());
        Self(kept)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// statusDetails of an outcome: string pairs that the service will accept.
pub type Details = Pairs<BODY_LEN_MAX>;

/// statusDetails of a progress report.
pub type Progress = Pairs<PROGRESS_LEN_MAX>;

/// Up to ten string pairs in `N` bytes, checked and scrubbed when they are put in.
///
/// ```
/// use jobs_agent_core::{Details, Progress};
/// let details = Details::new().with("version", "1.1.0").with("note", "two\nlines");
/// assert_eq!(details.iter().next(), Some(("version", "1.1.0")));
/// let progress = Progress::percent(42);
/// assert_eq!(progress.iter().next(), Some(("progress", "42")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pairs<const N: usize> {
    packed: Vec<u8, N, u16>,
}

impl<const N: usize> Pairs<N> {
    /// No pairs: the service keeps what it has.
    #[must_use]
    pub const fn new() -> Self {
        Self { packed: Vec::new() }
    }

    /// One pair `reason`.
    #[must_use]
    pub fn reason(text: &str) -> Self {
        Self::new().with(REASON_KEY, text)
    }

    /// One pair `progress`, a whole number of percent.
    #[must_use]
    pub fn percent(percent: u8) -> Self {
        // Bit by bit: a division is 400 bytes of flash on cores that have none.
        let (mut tens, mut ones, mut weight) = (0, percent, 80);
        while weight >= 10 {
            tens <<= 1;
            if ones >= weight {
                ones = ones.wrapping_sub(weight);
                tens |= 1;
            }
            weight >>= 1;
        }
        let digits = [b'0' | tens, b'0' | ones];
        let text = match &digits {
            _ if percent >= 100 => b"100",
            [b'0', one @ ..] => &one[..],
            both => &both[..],
        };
        Self::new().with("progress", core::str::from_utf8(text).unwrap_or_default())
    }

    /// Adds a pair; one that does not fit is left out ([`Pairs::push`] tells).
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let _ = self.push(key, value);
        self
    }

    /// Adds a pair: the value is scrubbed of control characters and cut to what the service
    /// takes, and cut further where the room ends.
    ///
    /// # Errors
    /// [`DetailsError`] says why the pair was left out.
    pub fn push(&mut self, key: &str, value: &str) -> Result<(), DetailsError> {
        put_pair(&mut self.packed, key, value)
    }

    /// The pairs, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        PackedDetails(&self.packed).iter()
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// The pairs as they are stored in a record.
    pub(crate) fn packed(&self) -> &[u8] {
        &self.packed
    }
}

/// Appends a pair to packed ones, see [`Pairs::push`].
pub(crate) fn put_pair(
    packed: &mut VecView<u8, u16>,
    key: &str,
    value: &str,
) -> Result<(), DetailsError> {
    let mut len = packed.len();
    // Up to the capacity: cannot fail.
    let _ = packed.resize_default(packed.capacity());
    let pushed = PackedDetails::push_cut(packed, &mut len, key, value);
    packed.truncate(len);
    pushed
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_percentage_is_written_as_a_whole_number_up_to_100() {
        for percent in 0..=u8::MAX {
            let written = percent.min(100).to_string();
            let progress = Progress::percent(percent);
            assert!(progress.iter().eq([("progress", written.as_str())]));
        }
    }
}
