//! What the service answers when it refuses: device-plane codes and HTTP errors.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::state::Execution;

/// An error of the HTTP APIs: status, AWS exception name and a text for people.
///
/// The code is what the AWS CLI and SDKs turn into an exception; send it as `X-Amzn-ErrorType`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
#[error("{code} (HTTP {status}): {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Exception name, for example `ResourceNotFoundException`.
    pub code: &'static str,
    /// What is wrong and what to do; free text, never to be matched on.
    pub message: String,
}

impl ApiError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidRequestException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "ResourceNotFoundException", message)
    }

    pub(crate) fn already_exists(message: impl Into<String>) -> Self {
        Self::new(409, "ResourceAlreadyExistsException", message)
    }

    pub(crate) fn invalid_state(message: impl Into<String>) -> Self {
        Self::new(409, "InvalidStateTransitionException", message)
    }

    pub(crate) fn version_conflict(message: impl Into<String>) -> Self {
        Self::new(409, "VersionConflictException", message)
    }

    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(410, "LimitExceededException", message)
    }

    /// Throttling has another status on each plane: 400 on the control plane, 429 on the data one.
    pub(crate) fn throttled(status: u16) -> Self {
        Self::new(
            status,
            "ThrottlingException",
            "Rate exceeded; wait and send the request again",
        )
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(
            503,
            "ServiceUnavailableException",
            "The service is out of order on purpose; send the request again",
        )
    }
}

/// The error codes of the MQTT API.
///
/// Source: AWS IoT developer guide, jobs-api, "ErrorCode".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceErrorCode {
    /// The topic maps to no API.
    InvalidTopic,
    /// The payload is no UTF-8 JSON object.
    InvalidJson,
    /// The content of the request is wrong.
    InvalidRequest,
    /// The change is impossible from the current status.
    InvalidStateTransition,
    /// No such execution.
    ResourceNotFound,
    /// `expectedVersion` is not the stored version.
    VersionMismatch,
    /// The service failed.
    InternalError,
    /// Too many requests.
    RequestThrottled,
    /// The execution is in a terminal state.
    TerminalStateReached,
}

impl DeviceErrorCode {
    /// The code as it stands in the `code` member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidTopic => "InvalidTopic",
            Self::InvalidJson => "InvalidJson",
            Self::InvalidRequest => "InvalidRequest",
            Self::InvalidStateTransition => "InvalidStateTransition",
            Self::ResourceNotFound => "ResourceNotFound",
            Self::VersionMismatch => "VersionMismatch",
            Self::InternalError => "InternalError",
            Self::RequestThrottled => "RequestThrottled",
            Self::TerminalStateReached => "TerminalStateReached",
        }
    }
}

/// Why a device request was refused, before it is worded for MQTT or for HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) code: DeviceErrorCode,
    pub(crate) message: String,
    /// Sent along for `InvalidStateTransition` and `VersionMismatch`. Boxed: the error path of
    /// every operation would carry its size otherwise.
    pub(crate) state: Option<Box<Execution>>,
}

impl Rejection {
    pub(crate) fn new(code: DeviceErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            state: None,
        }
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(DeviceErrorCode::InvalidRequest, message)
    }

    pub(crate) fn with_state(mut self, execution: &Execution) -> Self {
        self.state = Some(Box::new(execution.clone()));
        self
    }

    /// The same refusal on the HTTPS data plane (errors of the service model `iot-jobs-data`).
    pub(crate) fn into_api_error(self) -> ApiError {
        match self.code {
            DeviceErrorCode::InvalidTopic
            | DeviceErrorCode::InvalidJson
            | DeviceErrorCode::InvalidRequest => ApiError::invalid_request(self.message),
            // The data plane has no error of its own for a stale version; this is its only 409.
            DeviceErrorCode::InvalidStateTransition | DeviceErrorCode::VersionMismatch => {
                ApiError::invalid_state(self.message)
            }
            DeviceErrorCode::ResourceNotFound => ApiError::not_found(self.message),
            DeviceErrorCode::InternalError => ApiError::unavailable(),
            DeviceErrorCode::RequestThrottled => ApiError::throttled(429),
            DeviceErrorCode::TerminalStateReached => {
                ApiError::new(410, "TerminalStateException", self.message)
            }
        }
    }
}
