//! The grammar that all Jobs topics share.

use core::fmt;

use crate::write::Writer;
use crate::{JobId, ThingName, TooSmall};

/// Why a topic is none of ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TopicError {
    /// No topic of AWS IoT Jobs; leave it to its owner.
    NotJobs,
    /// A Jobs topic of another thing; ignore it.
    OtherThing,
    /// A topic of a job with a name space (AWS IoT Greengrass); ignore it.
    Namespaced,
    /// A Jobs topic in the other direction: a request where a message was expected, or the reverse.
    WrongDirection,
    /// A topic in the Jobs name space that maps to no API.
    Malformed,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJobs => "not a Jobs topic",
            Self::OtherThing => "a Jobs topic of another thing",
            Self::Namespaced => "a Jobs topic with a name space",
            Self::WrongDirection => "a Jobs topic of the other direction",
            Self::Malformed => "a Jobs topic without an API",
        })
    }
}

impl core::error::Error for TopicError {}

/// The API that a topic belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Api<'a> {
    GetPending,
    StartNext,
    DescribeNext,
    Describe(JobId<'a>),
    Update(JobId<'a>),
    Notify,
    NotifyNext,
}

/// What comes last in a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// A request, or a notification.
    Plain,
    Accepted,
    Rejected,
}

impl Ending {
    fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Accepted => "/accepted",
            Self::Rejected => "/rejected",
        }
    }

    fn parse(level: Option<&str>) -> Result<Self, TopicError> {
        match level {
            None => Ok(Self::Plain),
            Some("accepted") => Ok(Self::Accepted),
            Some("rejected") => Ok(Self::Rejected),
            Some(_) => Err(TopicError::Malformed),
        }
    }
}

const PREFIX: &str = "$aws/things/";
const JOBS: &str = "/jobs/";

/// Cuts off the first level.
fn cut(topic: &str) -> (&str, Option<&str>) {
    let slash = topic.as_bytes().iter().position(|byte| *byte == b'/');
    match slash.and_then(|at| topic.split_at_checked(at)) {
        Some((level, rest)) => (level, rest.strip_prefix('/')),
        None => (topic, None),
    }
}

/// Parses what follows `jobs/` in a topic of `thing`.
pub(super) fn parse<'a>(
    topic: &'a str,
    thing: ThingName<'_>,
) -> Result<(Api<'a>, Ending), TopicError> {
    let rest = topic.strip_prefix(PREFIX).ok_or(TopicError::NotJobs)?;
    let (name, tail) = cut(rest);
    let tail = tail
        .and_then(|tail| tail.strip_prefix("jobs/"))
        .ok_or(TopicError::NotJobs)?;
    if name != thing.as_str() {
        return Err(TopicError::OtherThing);
    }
    let (first, rest) = cut(tail);
    let (second, rest) = match rest.map(cut) {
        None => return thing_level(first),
        Some((second, rest)) => (second, rest),
    };
    if second.starts_with("namespace-") {
        return Err(TopicError::Namespaced);
    }
    match (second, rest) {
        ("accepted" | "rejected", None) => {
            let api = match first {
                "get" => Api::GetPending,
                "start-next" => Api::StartNext,
                _ => return Err(TopicError::Malformed),
            };
            Ok((api, Ending::parse(Some(second))?))
        }
        ("get", ending) if first == "$next" => Ok((Api::DescribeNext, Ending::parse(ending)?)),
        ("get", ending) => Ok((Api::Describe(job(first)?), Ending::parse(ending)?)),
        ("update", ending) => Ok((Api::Update(job(first)?), Ending::parse(ending)?)),
        _ => Err(TopicError::Malformed),
    }
}

fn job(level: &str) -> Result<JobId<'_>, TopicError> {
    JobId::new(level).map_err(|_| TopicError::Malformed)
}

fn thing_level<'a>(level: &str) -> Result<(Api<'a>, Ending), TopicError> {
    let api = match level {
        "get" => Api::GetPending,
        "start-next" => Api::StartNext,
        "notify" => Api::Notify,
        "notify-next" => Api::NotifyNext,
        other => {
            let name = other.strip_prefix("notify-").unwrap_or("");
            let name = name.strip_prefix("next-").unwrap_or(name);
            return Err(if name.starts_with("namespace-") {
                TopicError::Namespaced
            } else {
                TopicError::Malformed
            });
        }
    };
    Ok((api, Ending::Plain))
}

pub(super) fn start<'b>(thing: ThingName<'_>, out: &'b mut [u8]) -> Writer<'b> {
    let mut writer = Writer::new(out);
    writer.str(PREFIX);
    writer.str(thing.as_str());
    writer.str(JOBS);
    writer
}

/// Writes a topic of `thing`.
pub(super) fn write<'b>(
    api: Api<'_>,
    ending: Ending,
    thing: ThingName<'_>,
    out: &'b mut [u8],
) -> Result<&'b str, TooSmall> {
    let mut writer = start(thing, out);
    let (job, api) = match api {
        Api::GetPending => (None, "get"),
        Api::StartNext => (None, "start-next"),
        Api::DescribeNext => (None, "$next/get"),
        Api::Describe(job) => (Some(job), "/get"),
        Api::Update(job) => (Some(job), "/update"),
        Api::Notify => (None, "notify"),
        Api::NotifyNext => (None, "notify-next"),
    };
    if let Some(job) = job {
        writer.str(job.as_str());
    }
    writer.str(api);
    writer.str(ending.as_str());
    writer.finish_str()
}

/// The exact length of a topic, in bytes.
pub(super) fn len(result: Result<&str, TooSmall>) -> usize {
    match result {
        Ok(topic) => topic.len(),
        Err(TooSmall { needed }) => needed,
    }
}
