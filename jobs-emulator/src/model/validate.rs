//! Checks of request members: types, lengths, patterns, ranges.
//!
//! The AWS CLI and SDKs check types and minima only, so patterns and maxima are the service's
//! task. Limits are those of the service models `iot` and `iot-jobs-data`.

use serde_json::{Map, Value};

use super::errors::{ApiError, Rejection};
use super::state::StatusDetails;

/// Longest thing or group name, in bytes.
const NAME_MAX: usize = 128;
/// Longest job id, in bytes.
const JOB_ID_MAX: usize = 64;
/// Longest `statusDetails` key, in bytes.
const DETAILS_KEY_MAX: usize = 128;
/// Longest `statusDetails` value, in characters.
const DETAILS_VALUE_MAX: usize = 1024;
/// Longest timer, in minutes: one week.
pub(crate) const TIMEOUT_MAX_MINUTES: u64 = 10_080;

/// A member that breaks a rule of the service model; worded for the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

impl From<Invalid> for Rejection {
    fn from(invalid: Invalid) -> Self {
        Self::invalid_request(invalid.0)
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::invalid_request(invalid.0)
    }
}

/// The members of a request object. `null` counts as absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Members<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Members<'a> {
    pub(crate) fn value(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(self, key: &str) -> Result<Option<&'a str>, Invalid> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Invalid(format!("'{key}' must be a string"))),
        }
    }

    /// An integer, as a number or as decimal text: AWS's own C library sends `expectedVersion` as
    /// text, and query parameters always are.
    pub(crate) fn integer(self, key: &str) -> Result<Option<i64>, Invalid> {
        let parsed = match self.value(key) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        parsed
            .map(Some)
            .ok_or_else(|| Invalid(format!("'{key}' must be an integer")))
    }

    /// An integer within bounds, both included.
    pub(crate) fn bounded(self, key: &str, min: u64, max: u64) -> Result<Option<u64>, Invalid> {
        let Some(number) = self.integer(key)? else {
            return Ok(None);
        };
        match u64::try_from(number) {
            Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => Err(Invalid(format!("'{key}' must be from {min} to {max}"))),
        }
    }

    pub(crate) fn boolean(self, key: &str) -> Result<Option<bool>, Invalid> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(Invalid(format!("'{key}' must be true or false"))),
        }
    }

    pub(crate) fn object(self, key: &str) -> Result<Option<Self>, Invalid> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Members(object))),
            Some(_) => Err(Invalid(format!("'{key}' must be an object"))),
        }
    }

    pub(crate) fn list(self, key: &str) -> Result<Option<&'a [Value]>, Invalid> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(Invalid(format!("'{key}' must be a list"))),
        }
    }

    /// A list of objects under `criteriaList`-like keys.
    pub(crate) fn objects(self, key: &str) -> Result<Option<Vec<Self>>, Invalid> {
        let Some(list) = self.list(key)? else {
            return Ok(None);
        };
        list.iter()
            .map(|item| match item {
                Value::Object(object) => Ok(Members(object)),
                _ => Err(Invalid(format!("every entry of '{key}' must be an object"))),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    pub(crate) fn required<T>(key: &str, value: Option<T>) -> Result<T, Invalid> {
        // The wording is the one devices have reported seeing.
        value.ok_or_else(|| {
            Invalid(format!(
                "Value null at '{key}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    pub(crate) fn thing_name(self) -> Result<&'a str, Invalid> {
        let name = Self::required("thingName", self.text("thingName")?)?;
        check_name("thingName", name)?;
        Ok(name)
    }

    pub(crate) fn group_name(self) -> Result<&'a str, Invalid> {
        let name = Self::required("thingGroupName", self.text("thingGroupName")?)?;
        check_name("thingGroupName", name)?;
        Ok(name)
    }

    pub(crate) fn job_id(self) -> Result<&'a str, Invalid> {
        let job_id = Self::required("jobId", self.text("jobId")?)?;
        check_job_id(job_id)?;
        Ok(job_id)
    }

    /// Text for people: bounded, no control characters.
    pub(crate) fn prose(self, key: &str, max: usize) -> Result<Option<String>, Invalid> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        if text.chars().count() > max {
            return Err(Invalid(format!(
                "'{key}' may have at most {max} characters"
            )));
        }
        if text.chars().any(is_other) {
            return Err(Invalid(format!(
                "'{key}' may not contain control characters"
            )));
        }
        Ok(Some(text.to_owned()))
    }

    pub(crate) fn status_details(self, max_pairs: usize) -> Result<Option<StatusDetails>, Invalid> {
        match self.object("statusDetails")? {
            None => Ok(None),
            Some(map) => map.into_status_details(max_pairs).map(Some),
        }
    }

    fn into_status_details(self, max_pairs: usize) -> Result<StatusDetails, Invalid> {
        if self.0.len() > max_pairs {
            return Err(Invalid(format!(
                "'statusDetails' may have at most {max_pairs} pairs"
            )));
        }
        let mut details = StatusDetails::new();
        for (key, value) in self.0 {
            if !is_token(key, DETAILS_KEY_MAX, ":_-") {
                return Err(Invalid(format!(
                    "keys of 'statusDetails' have 1 to {DETAILS_KEY_MAX} characters of a-z A-Z 0-9 : _ -"
                )));
            }
            let Value::String(text) = value else {
                return Err(Invalid(format!("'statusDetails.{key}' must be a string")));
            };
            if text.is_empty() || text.chars().count() > DETAILS_VALUE_MAX {
                return Err(Invalid(format!(
                    "'statusDetails.{key}' must have 1 to {DETAILS_VALUE_MAX} characters"
                )));
            }
            if text.chars().any(is_other) {
                return Err(Invalid(format!(
                    "'statusDetails.{key}' may not contain control characters (newlines neither)"
                )));
            }
            details.insert(key.clone(), text.clone());
        }
        Ok(details)
    }
}

pub(crate) fn check_name(key: &str, name: &str) -> Result<(), Invalid> {
    if is_token(name, NAME_MAX, ":_-") {
        return Ok(());
    }
    Err(Invalid(format!(
        "'{key}' must have 1 to {NAME_MAX} characters of a-z A-Z 0-9 : _ -"
    )))
}

pub(crate) fn check_job_id(job_id: &str) -> Result<(), Invalid> {
    if is_token(job_id, JOB_ID_MAX, "_-") {
        return Ok(());
    }
    Err(Invalid(format!(
        "'jobId' must have 1 to {JOB_ID_MAX} characters of a-z A-Z 0-9 _ -"
    )))
}

/// Whether `text` has 1 to `max` ASCII letters, digits and characters of `extra`.
pub(crate) fn is_token(text: &str, max: usize, extra: &str) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

/// Unicode category C, which `[^\p{C}]+` of the service model shuts out: control, format and
/// private-use characters and non-characters. Code points not yet assigned pass: a table of
/// them would age with every Unicode version.
pub(crate) fn is_other(c: char) -> bool {
    let code = u32::from(c);
    c.is_control()
        || matches!(code,
            0x00AD | 0x0600..=0x0605 | 0x061C | 0x06DD | 0x070F | 0x0890..=0x0891 | 0x08E2
            | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xE000..=0xF8FF
            | 0xFDD0..=0xFDEF | 0xFEFF | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE007F | 0xF0000..=0x10_FFFF)
        || code & 0xFFFE == 0xFFFE
}
