//! The grammar that all Jobs topics share.

use core::fmt;

use crate::text;
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

/// The API that a topic belongs to; the order is that of [`NAMES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Api {
    GetPending,
    StartNext,
    Notify,
    NotifyNext,
    DescribeNext,
    /// Of the job in [`Path::job`].
    Describe,
    /// Of the job in [`Path::job`].
    Update,
}

/// What follows the job, or `jobs/`; the first four have no other levels.
const NAMES: [&str; 7] = [
    "get",
    "start-next",
    "notify",
    "notify-next",
    "$next/get",
    "/get",
    "/update",
];

/// What comes last in a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Accepted,
    Rejected,
    /// A request, or a notification.
    Plain,
}

const ENDINGS: [&str; 2] = ["/accepted", "/rejected"];

/// What follows `jobs/` in a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Path<'a> {
    pub(super) api: Api,
    pub(super) job: JobId<'a>,
    pub(super) ending: Ending,
}

impl<'a> Path<'a> {
    /// A path without a job.
    pub(super) const fn new(api: Api, ending: Ending) -> Self {
        Self::of(api, JobId::ABSENT, ending)
    }

    pub(super) const fn of(api: Api, job: JobId<'a>, ending: Ending) -> Self {
        Self { api, job, ending }
    }
}

const PREFIX: &str = "$aws/things/";
const JOBS: &str = "/jobs/";

/// Parses what follows `jobs/` in a topic of `thing`.
pub(super) fn parse<'a>(topic: &'a str, thing: ThingName<'_>) -> Result<Path<'a>, TopicError> {
    let rest = topic.as_bytes().strip_prefix(PREFIX.as_bytes());
    let rest = rest.ok_or(TopicError::NotJobs)?;
    let mut levels = rest.split(|byte| *byte == b'/');
    let mut next = || levels.next();
    let (name, jobs, first) = (next(), next(), next());
    let Some(first) = first.filter(|_| jobs == Some(b"jobs")) else {
        return Err(TopicError::NotJobs);
    };
    if name != Some(thing.as_str().as_bytes()) {
        return Err(TopicError::OtherThing);
    }
    let (second, third, more) = (next(), next(), next());
    let last = third.or(second);
    let ending = match last.and_then(|level| text::find(&["accepted", "rejected"], level)) {
        Some(0) => Ending::Accepted,
        Some(_) => Ending::Rejected,
        None => Ending::Plain,
    };
    let answers = ending != Ending::Plain;
    let inner = if third.is_none() && answers {
        None
    } else {
        second
    };
    let api = match inner {
        None => match text::find(&NAMES, first) {
            Some(0) => Some(Api::GetPending),
            Some(1) => Some(Api::StartNext),
            Some(2) if !answers => Some(Api::Notify),
            Some(3) if !answers => Some(Api::NotifyNext),
            _ => None,
        },
        Some(_) if more.is_some() || third.is_some() && !answers => None,
        Some(b"get") if first == b"$next" => Some(Api::DescribeNext),
        Some(b"get") => Some(Api::Describe),
        Some(b"update") => Some(Api::Update),
        Some(_) => None,
    };
    let job = match api {
        Some(Api::Describe | Api::Update) => JobId::read(first),
        _ => Some(JobId::ABSENT),
    };
    match (api, job) {
        (Some(api), Some(job)) => Ok(Path { api, job, ending }),
        _ => Err(malformed(first, second)),
    }
}

/// The fault of a topic in which these levels mean nothing.
fn malformed(first: &[u8], second: Option<&[u8]>) -> TopicError {
    let level = second.unwrap_or_else(|| {
        let name = first.strip_prefix(b"notify-").unwrap_or(b"");
        name.strip_prefix(b"next-").unwrap_or(name)
    });
    if level.starts_with(b"namespace-") {
        TopicError::Namespaced
    } else {
        TopicError::Malformed
    }
}

/// Writes a topic of `thing` that ends with these texts.
pub(super) fn write<'b>(
    thing: ThingName<'_>,
    tail: &[&str],
    out: &'b mut [u8],
) -> Result<&'b str, TooSmall> {
    let mut writer = Writer::new(out);
    writer.str(PREFIX);
    writer.str(thing.as_str());
    writer.str(JOBS);
    for text in tail {
        writer.str(text);
    }
    writer.finish_str()
}

impl Path<'_> {
    /// Writes a topic of `thing`.
    pub(super) fn write<'b>(
        self,
        thing: ThingName<'_>,
        out: &'b mut [u8],
    ) -> Result<&'b str, TooSmall> {
        let api = text::nth(&NAMES, self.api as usize);
        let ending = text::nth(&ENDINGS, self.ending as usize);
        write(thing, &[self.job.as_str(), api, ending], out)
    }
}

/// The exact length of a topic, in bytes.
pub(super) fn len(result: Result<&str, TooSmall>) -> usize {
    match result {
        Ok(topic) => topic.len(),
        Err(TooSmall { needed }) => needed,
    }
}
