//! Members of a job document, each refused in words that name it.

use heapless::String;
use jobs_agent_core::Refusal;
use jobs_proto::document::Document;

use crate::line::{Line, line};

/// REJECTED with this line.
pub(crate) fn refuse(why: &Line) -> Refusal {
    Refusal::Reject(why.reason())
}

/// The required string `key`, of at most `N` bytes.
pub(crate) fn text<const N: usize>(
    document: Document<'_>,
    key: &str,
) -> Result<String<N>, Refusal> {
    let Some(found) = document.str_field(key) else {
        return Err(match document.raw_field(key) {
            Some(_) => refuse(&line(format_args!("`{key}` must be a string"))),
            None => refuse(&line(format_args!("`{key}` is missing, or there twice"))),
        });
    };
    let mut kept = String::new();
    for char in found.chars() {
        if kept.push(char).is_err() {
            return Err(refuse(&line(format_args!(
                "`{key}` is longer than {N} bytes"
            ))));
        }
    }
    Ok(kept)
}

/// The whole number `key` within `min..=max`, `None` if it is not there.
pub(crate) fn number(
    document: Document<'_>,
    key: &str,
    min: u32,
    max: u32,
) -> Result<Option<u32>, Refusal> {
    if document.raw_field(key).is_none() {
        return Ok(None);
    }
    let found = document
        .u64_field(key)
        .and_then(|value| u32::try_from(value).ok());
    match found.filter(|value| (min..=max).contains(value)) {
        Some(value) => Ok(Some(value)),
        None => Err(refuse(&line(format_args!(
            "`{key}` must be a whole number from {min} to {max}"
        )))),
    }
}

/// The truth value `key`, `absent` if it is not there.
pub(crate) fn flag(document: Document<'_>, key: &str, absent: bool) -> Result<bool, Refusal> {
    if document.raw_field(key).is_none() {
        return Ok(absent);
    }
    match document.bool_field(key) {
        Some(value) => Ok(value),
        None => Err(refuse(&line(format_args!("`{key}` must be true or false")))),
    }
}
