//! The codes on `…/rejected`, and what each means for the next try.

use crate::text::{self, EscapedStr};
use crate::words::words;

words! {
    /// The names of [`ErrorCode::ALL`] on the wire.
    CODES, find_code, CODE_NAMES:
    "InvalidTopic",
    "InvalidJson",
    "InvalidRequest",
    "InvalidStateTransition",
    "ResourceNotFound",
    "VersionMismatch",
    "InternalError",
    "RequestThrottled",
    "TerminalStateReached",
}

/// Why the service refused a request (AWS IoT developer guide, jobs API, `ErrorCode`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ErrorCode {
    /// The topic lies in the Jobs name space but maps to no API.
    InvalidTopic,
    /// The payload was no JSON object in UTF-8. Carries no client token.
    InvalidJson,
    /// A member of the request is missing, out of range or malformed.
    InvalidRequest,
    /// The execution cannot change to that state; usually it is over already.
    InvalidStateTransition,
    /// There is no such execution for this thing.
    ResourceNotFound,
    /// `expectedVersion` differs from the stored version.
    VersionMismatch,
    /// The service failed.
    InternalError,
    /// Too many requests.
    RequestThrottled,
    /// The execution is over.
    TerminalStateReached,
    /// A code that this version does not know.
    Unknown,
}

/// What a refusal means for the next try.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Retry {
    /// The same request will be refused again: change it or give up.
    Never,
    /// The same request can succeed later: back off and send it again.
    Backoff,
    /// The service asks for fewer requests: back off longer and send it again.
    Throttled,
    /// The execution is over or gone: nothing is left to report.
    Over,
}

impl ErrorCode {
    /// All codes that the service documents.
    pub const ALL: [Self; 9] = [
        Self::InvalidTopic,
        Self::InvalidJson,
        Self::InvalidRequest,
        Self::InvalidStateTransition,
        Self::ResourceNotFound,
        Self::VersionMismatch,
        Self::InternalError,
        Self::RequestThrottled,
        Self::TerminalStateReached,
    ];

    /// The name on the wire; `"Unknown"` for [`ErrorCode::Unknown`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            known => text::nth(CODE_NAMES, known as usize),
        }
    }

    /// The code with this name; any other text is [`ErrorCode::Unknown`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut known = Self::ALL.into_iter();
        known
            .find(|code| code.as_str() == text)
            .unwrap_or(Self::Unknown)
    }

    pub(crate) fn read(text: EscapedStr<'_>) -> Self {
        match find_code(text) {
            0 => Self::InvalidTopic,
            1 => Self::InvalidJson,
            2 => Self::InvalidRequest,
            3 => Self::InvalidStateTransition,
            4 => Self::ResourceNotFound,
            5 => Self::VersionMismatch,
            6 => Self::InternalError,
            7 => Self::RequestThrottled,
            8 => Self::TerminalStateReached,
            _ => Self::Unknown,
        }
    }

    /// What to do with the request that was refused.
    ///
    /// `VersionMismatch` is [`Retry::Never`]: the request needs another version first.
    /// `ResourceNotFound` is [`Retry::Over`]; right after a notification it can also mean that the
    /// execution is not visible yet, so a *describe* may be repeated a few times. A code that is
    /// not known is [`Retry::Backoff`], because giving up on it could lose an outcome.
    #[must_use]
    pub const fn retry_class(self) -> Retry {
        match self {
            Self::InvalidTopic
            | Self::InvalidJson
            | Self::InvalidRequest
            | Self::VersionMismatch => Retry::Never,
            Self::InternalError | Self::Unknown => Retry::Backoff,
            Self::RequestThrottled => Retry::Throttled,
            Self::InvalidStateTransition | Self::TerminalStateReached | Self::ResourceNotFound => {
                Retry::Over
            }
        }
    }
}
