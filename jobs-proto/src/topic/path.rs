//! The grammar that all Jobs topics share.

use core::fmt;

use crate::text::same;
use crate::words::{self, Words, words};
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

/// The API that a topic belongs to, in the order of [`NAMES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Api {
    Notify,
    NotifyNext,
    DescribeNext,
    /// Of the job in [`Path::job`].
    Describe,
    /// Of the job in [`Path::job`].
    Update,
    GetPending,
    StartNext,
}

impl Api {
    /// The one with this number in [`NAMES`]; a table would cost flash.
    const fn nth(index: usize) -> Option<Self> {
        match index {
            0 => Some(Self::Notify),
            1 => Some(Self::NotifyNext),
            2 => Some(Self::DescribeNext),
            3 => Some(Self::Describe),
            4 => Some(Self::Update),
            5 => Some(Self::GetPending),
            6 => Some(Self::StartNext),
            _ => None,
        }
    }
}

words! {
    /// What follows `jobs/`; a job stands before a slash. The first that a topic ends with counts.
    NAMES: "notify", "notify-next", "$next/get", "/get", "/update", "get", "start-next",
}

/// What comes last in a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Accepted,
    Rejected,
    /// Of a filter: both.
    Any,
    /// A request, or a notification.
    Plain,
}

impl Ending {
    /// The one with this number in [`ENDINGS`].
    const fn nth(index: usize) -> Self {
        match index {
            0 => Self::Accepted,
            1 => Self::Rejected,
            2 => Self::Any,
            _ => Self::Plain,
        }
    }
}

words! {
    /// In the order of [`Ending`], where nothing comes last.
    ENDINGS: "/accepted", "/rejected", "/+",
}

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

const PREFIX: &[u8] = b"$aws/things/";
const JOBS: &[u8] = b"/jobs/";

/// Parses what follows `jobs/` in a topic of `thing`.
#[inline(never)]
pub(super) fn parse<'a>(topic: &'a str, thing: ThingName<'_>) -> Result<Path<'a>, TopicError> {
    let topic = topic.as_bytes();
    let rest = behind(PREFIX, topic).unwrap_or(&[]);
    let name_len = rest.iter().position(|byte| *byte == b'/').unwrap_or(0);
    let (name, rest) = rest.split_at_checked(name_len).unwrap_or((&[], &[]));
    let Some(tail) = behind(JOBS, rest) else {
        return Err(TopicError::NotJobs);
    };
    if !same(name, thing.as_bytes()) {
        return Err(TopicError::OtherThing);
    }
    path(tail).ok_or_else(|| malformed(tail))
}

/// What follows this beginning of a text.
#[cfg_attr(not(feature = "fast"), inline(never))]
fn behind<'a>(start: &[u8], text: &'a [u8]) -> Option<&'a [u8]> {
    let (begin, rest) = text.split_at_checked(start.len())?;
    same(begin, start).then_some(rest)
}

/// Parses what follows `jobs/`.
fn path(tail: &[u8]) -> Option<Path<'_>> {
    let mut job = tail;
    let ending = Ending::nth(strip(ENDINGS, &mut job));
    let api = Api::nth(strip(NAMES, &mut job))?;
    let fits = if matches!(api, Api::Describe | Api::Update) {
        JobId::read(job).is_some()
    } else {
        job.is_empty()
    };
    // Nobody answers a notification.
    let answered = !matches!(api, Api::Notify | Api::NotifyNext);
    let ends = ending == Ending::Plain || (answered && ending != Ending::Any);
    (fits && ends).then_some(Path::of(api, JobId::checked(job), ending))
}

/// Takes the first word off the text that it ends with; returns the number of the word, or how
/// many there are.
#[cfg_attr(not(feature = "fast"), inline(always))]
fn strip(words: Words, text: &mut &[u8]) -> usize {
    let mut index: usize = 0;
    loop {
        // Behind the last word there is an empty one, with which every text ends.
        let word = words::nth(words, index);
        let cut = text.len().wrapping_sub(word.len());
        if let Some((rest, end)) = text.split_at_checked(cut)
            && same(end, word)
        {
            *text = rest;
            return index;
        }
        index = index.wrapping_add(1);
    }
}

/// The fault of a topic in which what follows `jobs/` means nothing.
fn malformed(tail: &[u8]) -> TopicError {
    const NAMESPACE: &[u8] = b"namespace-";
    /// With what stands before it.
    const LEN: usize = 1 + NAMESPACE.len();
    // A level of its own, or the end of `notify-` and `notify-next-`.
    let begins = |part: &[u8]| match part {
        [b'/' | b'-', name @ ..] => same(name, NAMESPACE),
        _ => false,
    };
    if tail.windows(LEN).any(begins) {
        TopicError::Namespaced
    } else {
        TopicError::Malformed
    }
}

/// Writes a topic of `thing` that ends with a job, a word of [`NAMES`] and another one.
#[inline(never)]
pub(super) fn write<'b>(
    thing: ThingName<'_>,
    job: &[u8],
    name: usize,
    ending: Ending,
    out: &'b mut [u8],
) -> Result<&'b [u8], TooSmall> {
    let mut writer = Writer::new(out);
    writer.bytes(PREFIX);
    writer.bytes(thing.as_bytes());
    writer.bytes(JOBS);
    writer.bytes(job);
    writer.bytes(words::nth(NAMES, name));
    writer.bytes(words::nth(ENDINGS, ending as usize));
    writer.finish()
}

impl Path<'_> {
    /// Writes a topic of `thing`.
    pub(super) fn write<'b>(
        self,
        thing: ThingName<'_>,
        out: &'b mut [u8],
    ) -> Result<&'b [u8], TooSmall> {
        let (job, name) = (self.job.as_bytes(), self.api as usize);
        write(thing, job, name, self.ending, out)
    }
}

/// The topic as text; it is ASCII.
pub(super) fn text(result: Result<&[u8], TooSmall>) -> Result<&str, TooSmall> {
    let topic = result?;
    let needed = topic.len();
    core::str::from_utf8(topic).map_err(|_| TooSmall { needed })
}

/// The exact length of a topic, in bytes.
pub(super) fn len(result: Result<&[u8], TooSmall>) -> usize {
    match result {
        Ok(topic) => topic.len(),
        Err(TooSmall { needed }) => needed,
    }
}
