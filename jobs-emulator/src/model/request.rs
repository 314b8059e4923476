//! Requests of the data plane, from either door.

use serde_json::{Map, Value};

use super::errors::{DeviceErrorCode, Rejection};
use super::settings::{EmptyPayload, Settings};
use super::state::{ExecutionStatus, StatusDetails};
use super::validate::{Invalid, Members, TIMEOUT_MAX_MINUTES};

/// Value of `stepTimeoutInMinutes` that removes the timer; only an update may send it.
const CANCEL_STEP_TIMER: i64 = -1;

/// Reads an MQTT payload as a JSON object.
pub(crate) fn parse_payload(
    settings: &Settings,
    payload: &[u8],
) -> Result<Map<String, Value>, Rejection> {
    if payload.is_empty() && settings.empty_payload == EmptyPayload::AsEmptyObject {
        return Ok(Map::new());
    }
    match serde_json::from_slice(payload) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Rejection::new(
            DeviceErrorCode::InvalidJson,
            "The payload must be a JSON object; send {} when there is nothing to say",
        )),
        Err(error) => Err(Rejection::new(
            DeviceErrorCode::InvalidJson,
            format!("The payload is no UTF-8 JSON: {error}"),
        )),
    }
}

/// The client token to echo.
pub(crate) fn client_token(
    settings: &Settings,
    members: Members<'_>,
) -> Result<Option<String>, Invalid> {
    match members.text("clientToken")? {
        Some(token) if token.len() > settings.client_token_max_bytes => Err(Invalid(format!(
            "'clientToken' may have at most {} bytes",
            settings.client_token_max_bytes
        ))),
        token => Ok(token.map(str::to_owned)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepTimer {
    Minutes(u64),
    Cancel,
}

fn step_timer(members: Members<'_>, may_cancel: bool) -> Result<Option<StepTimer>, Invalid> {
    let Some(minutes) = members.integer("stepTimeoutInMinutes")? else {
        return Ok(None);
    };
    if may_cancel && minutes == CANCEL_STEP_TIMER {
        return Ok(Some(StepTimer::Cancel));
    }
    match u64::try_from(minutes) {
        Ok(minutes) if (1..=TIMEOUT_MAX_MINUTES).contains(&minutes) => {
            Ok(Some(StepTimer::Minutes(minutes)))
        }
        Ok(_) | Err(_) => Err(Invalid(format!(
            "'stepTimeoutInMinutes' must be from 1 to {TIMEOUT_MAX_MINUTES}, or -1 in an update"
        ))),
    }
}

/// `DescribeJobExecution`.
#[derive(Clone, Debug)]
pub(crate) struct DescribeRequest {
    pub(crate) number: Option<i64>,
    pub(crate) with_document: bool,
}

impl DescribeRequest {
    pub(crate) fn parse(members: Members<'_>) -> Result<Self, Invalid> {
        Ok(Self {
            number: members.integer("executionNumber")?,
            with_document: members.boolean("includeJobDocument")?.unwrap_or(true),
        })
    }
}

/// `StartNextPendingJobExecution`.
#[derive(Clone, Debug)]
pub(crate) struct StartRequest {
    pub(crate) details: Option<StatusDetails>,
    pub(crate) step: Option<StepTimer>,
}

impl StartRequest {
    pub(crate) fn parse(settings: &Settings, members: Members<'_>) -> Result<Self, Invalid> {
        Ok(Self {
            details: members.status_details(settings.status_details_max_pairs)?,
            step: step_timer(members, false)?,
        })
    }
}

/// `UpdateJobExecution`.
#[derive(Clone, Debug)]
pub(crate) struct UpdateRequest {
    pub(crate) status: ExecutionStatus,
    pub(crate) details: Option<StatusDetails>,
    pub(crate) expected_version: Option<i64>,
    pub(crate) number: Option<i64>,
    pub(crate) with_state: bool,
    pub(crate) with_document: bool,
    pub(crate) step: Option<StepTimer>,
}

impl UpdateRequest {
    pub(crate) fn parse(settings: &Settings, members: Members<'_>) -> Result<Self, Invalid> {
        let name = Members::required("status", members.text("status")?)?;
        let status = ExecutionStatus::from_name(name)
            .ok_or_else(|| Invalid(format!("'{name}' is no status of a job execution")))?;
        Ok(Self {
            status,
            details: members.status_details(settings.status_details_max_pairs)?,
            expected_version: members.integer("expectedVersion")?,
            number: members.integer("executionNumber")?,
            with_state: members
                .boolean("includeJobExecutionState")?
                .unwrap_or(false),
            with_document: members.boolean("includeJobDocument")?.unwrap_or(false),
            step: step_timer(members, true)?,
        })
    }
}
