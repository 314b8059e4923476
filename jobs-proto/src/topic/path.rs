//! The grammar that all Jobs topics share.

use core::fmt;

use crate::scan::{END, Scanner};
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
    GetPending,
    StartNext,
    /// Of the job in [`Path::job`].
    Describe,
    DescribeNext,
    /// Of the job in [`Path::job`].
    Update,
    Notify,
    NotifyNext,
}

impl Api {
    const ALL: [Self; 7] = [
        Self::GetPending,
        Self::StartNext,
        Self::Describe,
        Self::DescribeNext,
        Self::Update,
        Self::Notify,
        Self::NotifyNext,
    ];
}

words! {
    /// What follows `jobs/`; a job stands before a slash.
    NAMES:
    "get", "start-next", "/get", "$next/get", "/update", "notify", "notify-next",
}

/// What comes last in a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Accepted,
    Rejected,
    /// A request, or a notification.
    Plain,
}

impl Ending {
    /// In the order of [`ENDINGS`], where nothing comes last.
    const ALL: [Self; 3] = [Self::Accepted, Self::Rejected, Self::Plain];
}

words! {
    ENDINGS: "/accepted", "/rejected",
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
    let mut scanner = Scanner::new(topic.as_bytes(), 0);
    scanner.word(PREFIX);
    let start = scanner.at();
    while !matches!(scanner.peek(), b'/' | END) {
        scanner.bump();
    }
    let name = scanner.from(start);
    scanner.word(JOBS);
    if !scanner.is_sound() {
        return Err(TopicError::NotJobs);
    }
    if name != thing.as_bytes() {
        return Err(TopicError::OtherThing);
    }
    let tail = scanner.rest();
    let (ending, body) = strip(ENDINGS, tail, false);
    let (api, job) = strip(NAMES, body, true);
    match (Api::ALL.get(api), Ending::ALL.get(ending)) {
        // Nobody answers a notification.
        (Some(Api::Notify | Api::NotifyNext), Some(Ending::Accepted | Ending::Rejected))
        | (None, _)
        | (_, None) => Err(malformed(tail)),
        (Some(api), Some(ending)) => Ok(Path::of(*api, JobId::checked(job), *ending)),
    }
}

/// The number of the first word that ends the text, and what it leaves of it.
///
/// Behind the last word there is an empty one, with which every text ends. `whole` means that a
/// word that begins with a slash has to leave a job id, and any other one nothing.
#[inline(never)]
fn strip(words: Words, text: &[u8], whole: bool) -> (usize, &[u8]) {
    let mut index: usize = 0;
    loop {
        let word = words::nth(words, index);
        if let Some(rest) = text.strip_suffix(word) {
            let fits = match word {
                _ if !whole => true,
                [b'/', ..] => JobId::read(rest).is_some(),
                _ => rest.is_empty(),
            };
            if fits || word.is_empty() {
                return (index, rest);
            }
        }
        index = index.wrapping_add(1);
    }
}

/// The fault of a topic in which what follows `jobs/` means nothing.
fn malformed(tail: &[u8]) -> TopicError {
    let level = match tail.iter().position(|byte| *byte == b'/') {
        Some(end) => tail.get(end.wrapping_add(1)..).unwrap_or(&[]),
        None => {
            let level = tail.strip_prefix(b"notify-").unwrap_or(&[]);
            level.strip_prefix(b"next-").unwrap_or(level)
        }
    };
    if level.starts_with(b"namespace-") {
        TopicError::Namespaced
    } else {
        TopicError::Malformed
    }
}

/// Writes a topic of `thing` that ends with a job, a word and another one.
#[inline(never)]
pub(super) fn write<'b>(
    thing: ThingName<'_>,
    job: JobId<'_>,
    words: Words,
    index: usize,
    ending: Ending,
    out: &'b mut [u8],
) -> Result<&'b [u8], TooSmall> {
    let mut writer = Writer::new(out);
    writer.bytes(PREFIX);
    writer.bytes(thing.as_bytes());
    writer.bytes(JOBS);
    writer.bytes(job.as_bytes());
    writer.bytes(words::nth(words, index));
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
        write(thing, self.job, NAMES, self.api as usize, self.ending, out)
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
