//! What is wrong with a payload.

use core::fmt;

use super::{Message, Number, Text, Time};
use crate::{EpochSeconds, EscapedStr, JobId};

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

impl<'a> DecodeError<'a> {
    /// Of a message that was refused for this reason.
    pub(super) fn of(kind: ErrorKind, message: &Message<'_, 'a>) -> Self {
        Self {
            kind,
            offset: message.fault_at(),
            salvage: message.job_id().map(|job_id| Salvage {
                job_id,
                execution_number: message.number(Number::Execution),
                queued_at: message.time(Time::Queued),
                client_token: message.text(Text::ClientToken),
            }),
        }
    }
}

/// Which job a broken message was about.
///
/// The members before the fault are read by the strict parser. When the job id is not among them,
/// the rest is searched with brackets and strings as the only landmarks; it then counts only if
/// it is there exactly once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Salvage<'a> {
    /// The job.
    pub job_id: JobId<'a>,
    /// Which execution of the job, if it was readable.
    pub execution_number: Option<i64>,
    /// When the execution was queued, if it was readable.
    pub queued_at: Option<EpochSeconds>,
    /// The token of the request that this answers, if it was readable.
    pub client_token: Option<EscapedStr<'a>>,
}
