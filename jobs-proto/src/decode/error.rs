//! What is wrong with a payload.

use core::fmt;

use super::Salvage;

/// What is wrong with a payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// The payload ends too early: the receive buffer was too small, or the message was cut.
    Truncated,
    /// A byte that JSON does not allow here.
    Syntax,
    /// A string that is not UTF-8.
    Utf8,
    /// A member is nested deeper than [`crate::limits::DEPTH_MAX`] levels.
    TooDeep,
    /// The payload is longer than [`crate::limits::MQTT_PAYLOAD_LEN_MAX`] bytes.
    TooLong,
    /// A known member comes twice, so that nobody can say which one counts.
    DuplicateKey,
    /// A known member has a value of the wrong type, or a number that does not fit.
    WrongType,
    /// A member that the message cannot do without is missing.
    MissingField,
    /// A job id or thing name breaks the rules for its characters or length.
    InvalidId,
}

impl ErrorKind {
    /// What happened and what to do about it, in one line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "message is cut short: enlarge the receive buffer",
            Self::Syntax => "not JSON",
            Self::Utf8 => "not UTF-8",
            Self::TooDeep => "nested too deep: flatten the job document",
            Self::TooLong => "longer than an MQTT payload can be",
            Self::DuplicateKey => "a member comes twice",
            Self::WrongType => "a member has the wrong type",
            Self::MissingField => "a member is missing",
            Self::InvalidId => "an identifier breaks the rules",
        }
    }
}

/// A payload that could not be read.
///
/// Nothing of a broken message is handed out except what [`Salvage`] holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError<'a> {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where, in bytes from the start of the payload.
    pub offset: usize,
    /// Which job the message was about, when that much is certain.
    pub salvage: Option<Salvage<'a>>,
}

impl fmt::Display for DecodeError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind.as_str(), self.offset)
    }
}

impl core::error::Error for DecodeError<'_> {}

impl From<crate::scan::Fault> for DecodeError<'_> {
    fn from(fault: crate::scan::Fault) -> Self {
        Self {
            kind: fault.kind,
            offset: fault.at,
            salvage: None,
        }
    }
}

/// A member is missing in the object that stands here, or in all of the message.
pub(super) fn missing<'a>(offset: usize) -> DecodeError<'a> {
    DecodeError {
        kind: ErrorKind::MissingField,
        offset,
        salvage: None,
    }
}
