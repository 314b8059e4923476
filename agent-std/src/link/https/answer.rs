//! What an answer over HTTP means, in the words of the MQTT API.
//!
//! Three rules, because an answer can end a job:
//!
//! * A refusal counts as final only under the service's own name for it. A bare 404 of whatever
//!   stands in between must not make the agent give up a job.
//! * An acceptance counts only if its body is what the service says to that request.
//! * What cannot be read is a failure of the service, which is asked again later.

use std::borrow::Cow;

use bytes::Bytes;
use jobs_proto::ErrorCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::call::Ask;
use super::message;
use super::options::PAUSE_MAX_S;
use crate::link::LinkError;

/// An answer, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The header `x-amzn-errortype`.
    pub(super) error_type: Option<String>,
    /// The header `Retry-After`, where it counts seconds.
    pub(super) retry_after_s: Option<u64>,
    /// The body; `None` if it was too large to take.
    pub(super) body: Option<Bytes>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The payload of the `accepted` message, without its token.
    Accepted(Bytes),
    /// The code of the `rejected` message, and the pause that was asked for.
    Rejected {
        code: ErrorCode,
        pause_s: Option<u64>,
        /// The status over HTTP.
        status: u16,
        /// For the log.
        name: String,
    },
    /// Too large for us: nobody hears of it, as of an MQTT message that the broker drops. The agent
    /// asks without the document then, and answers the job (P6).
    Unheard,
    /// Not allowed, until somebody changes that.
    Denied(String),
    /// Whoever answers is no Jobs service.
    Stranger(String),
}

impl Verdict {
    /// Why nothing more is to be asked for now; `None` if it is about this request only.
    pub(super) fn end(&self, ask: Ask) -> Option<LinkError> {
        match self {
            Self::Rejected {
                pause_s: Some(wait_s),
                ..
            } => Some(LinkError::Throttled { wait_s: *wait_s }),
            Self::Denied(cause) => Some(LinkError::Denied {
                action: ask.action(),
                cause: cause.clone(),
            }),
            Self::Stranger(cause) => Some(LinkError::NotJobs {
                cause: cause.clone(),
            }),
            Self::Accepted(_) | Self::Rejected { pause_s: None, .. } | Self::Unheard => None,
        }
    }
}

/// The members that tell an error, in the forms that AWS services have.
#[derive(Default, Deserialize)]
struct Fault<'a> {
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "__type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "Output")]
    output: Option<Box<Self>>,
}

/// Reads an answer to `ask`.
pub(super) fn judge(ask: Ask, answer: &Answer) -> Verdict {
    let fault = answer
        .body
        .as_deref()
        .and_then(|body| serde_json::from_slice::<Fault<'_>>(body).ok())
        .unwrap_or_default();
    let accepted = (200..300).contains(&answer.status);
    let inner = fault
        .output
        .as_ref()
        .and_then(|inner| inner.kind.as_deref());
    let told = answer
        .error_type
        .as_deref()
        .or(fault.kind.as_deref())
        .or(inner);
    let told = told.or_else(|| fault.code.as_deref().filter(|_| !accepted));
    // `com.amazon.coral.service#NameException:http://…` in one form or another.
    let name = told.map(|told| {
        let name = told.rsplit('#').next().unwrap_or_default();
        let name = name.split(':').next().unwrap_or_default();
        name.strip_suffix("Exception").unwrap_or(name)
    });
    match name {
        None if accepted => taken(ask, answer),
        name => refused(answer, name.unwrap_or_default()),
    }
}

fn refused(answer: &Answer, name: &str) -> Verdict {
    let status = answer.status;
    let code = match (name, status) {
        ("InvalidRequest", _) => ErrorCode::InvalidRequest,
        ("ResourceNotFound", _) => ErrorCode::ResourceNotFound,
        ("TerminalState", _) => ErrorCode::TerminalStateReached,
        ("InvalidStateTransition", _) => ErrorCode::InvalidStateTransition,
        ("Throttling", _) | (_, 429) => ErrorCode::RequestThrottled,
        ("Forbidden" | "Unauthorized" | "AccessDenied" | "CertificateValidation", _)
        | (_, 401 | 403) => return Verdict::Denied(told(status, name)),
        // The wrong host answers like this, some with status 200.
        ("UnknownOperation", _) => return Verdict::Stranger(told(status, name)),
        _ => ErrorCode::InternalError,
    };
    let pause_s = answer.retry_after_s.map(|wait_s| wait_s.min(PAUSE_MAX_S));
    let asked_for = matches!(code, ErrorCode::RequestThrottled) || status == 503;
    Verdict::Rejected {
        code,
        pause_s: pause_s.filter(|_| asked_for),
        status,
        name: told(status, name),
    }
}

fn told(status: u16, name: &str) -> String {
    // A stranger's words: short, and printable.
    let name: String = name.escape_default().take(64).collect();
    format!("HTTP status {status} {name}").trim_end().to_owned()
}

fn taken(ask: Ask, answer: &Answer) -> Verdict {
    let Some(body) = &answer.body else {
        return Verdict::Unheard;
    };
    let payload = match ask {
        Ask::List => message::list(body),
        Ask::Next | Ask::Start => message::execution(body),
        Ask::Job => message::execution(body).filter(|_| message::names_an_execution(body)),
        // An acceptance is the end of an outcome's record: nothing but an object will do.
        Ask::Update if body.is_empty() => Some(Bytes::from_static(b"{}")),
        Ask::Update => is_object(body).then(|| body.clone()),
    };
    match payload {
        Some(payload) => Verdict::Accepted(payload),
        None => Verdict::Rejected {
            code: ErrorCode::InternalError,
            pause_s: None,
            status: answer.status,
            name: told(answer.status, "with a body that is no answer"),
        },
    }
}

/// Whether this is one whole JSON object.
fn is_object(body: &[u8]) -> bool {
    let begins = body.trim_ascii_start().first() == Some(&b'{');
    begins && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

#[cfg(test)]
mod tests;
