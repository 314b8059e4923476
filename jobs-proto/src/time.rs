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

    /// Reads the text of a JSON number, or of a JSON string that holds one.
    ///
    /// A fraction is cut off and milliseconds become seconds. Negative, exponential and endless
    /// values are `None`: a strange time never fails a message.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let text = number::unquoted(json);
        let others = text.iter().filter(|byte| !byte.is_ascii_digit()).count();
        let end = text.iter().position(|byte| *byte == b'.');
        if others > usize::from(end.is_some()) {
            return None;
        }
        let len = end.unwrap_or(text.len());
        // Dropping three digits is the division by 1000 that small cores lack.
        let seconds = match len {
            ..MILLIS_DIGITS_MIN => len,
            MILLIS_DIGITS_MIN..=DIGITS_MAX => len.wrapping_sub(3),
            _ => return None,
        };
        let seconds = text.get(..seconds)?;
        number::unsigned(seconds).map(Self)
    }
}
