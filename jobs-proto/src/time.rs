//! Points in time on the wire.

use crate::number;

/// Seconds since 1970-01-01T00:00:00Z, as the service counts them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EpochSeconds(pub u64);

/// From this many digits on a time counts milliseconds (the service sends ten digits; old
/// examples of the AWS IoT developer guide have thirteen).
const MILLIS_DIGITS_MIN: usize = 12;

/// Longer than this no time is believable.
const DIGITS_MAX: usize = 15;

impl EpochSeconds {
    /// The seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Reads the text of a number.
    ///
    /// A fraction is cut off and milliseconds become seconds. Negative, exponential and endless
    /// values are `None`: a strange time never fails a message.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let (mut seconds, len) = number::leading(text);
        match text.get(len..)? {
            [] => {}
            [b'.', fraction @ ..] if fraction.iter().all(u8::is_ascii_digit) => {}
            _ => return None,
        }
        if len >= MILLIS_DIGITS_MIN {
            // Dropping three digits is the division by 1000 that small cores lack.
            (seconds, _) = number::leading(text.get(..len.wrapping_sub(3))?);
        }
        (seconds != number::NONE && len <= DIGITS_MAX).then_some(Self(seconds))
    }
}
