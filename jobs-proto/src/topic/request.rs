//! Topics that a device publishes to.

use super::path::{self, Api, Ending};
use super::{InboundTopic, Reply, TopicError};
use crate::{JobId, ThingName, TooSmall};

/// A topic that a device publishes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RequestTopic<'a> {
    /// `…/$next/get`: DescribeJobExecution of the next one.
    DescribeNext,
    /// `…/{jobId}/get`: DescribeJobExecution.
    Describe(JobId<'a>),
    /// `…/{jobId}/update`: UpdateJobExecution.
    Update(JobId<'a>),
    /// `…/get`: GetPendingJobExecutions.
    GetPending,
    /// `…/start-next`: StartNextPendingJobExecution.
    StartNext,
}

impl<'a> RequestTopic<'a> {
    /// Longest request topic, in bytes.
    pub const LEN_MAX: usize = crate::limits::REQUEST_TOPIC_LEN_MAX;

    /// Writes the topic for `thing` into `out`.
    ///
    /// # Errors
    ///
    /// [`TooSmall`] with the exact length when `out` is too short.
    pub fn encode<'b>(&self, thing: ThingName<'_>, out: &'b mut [u8]) -> Result<&'b str, TooSmall> {
        path::text(self.write(thing, out))
    }

    /// The same as bytes, which are ASCII: the check that they are a text costs flash.
    ///
    /// # Errors
    ///
    /// [`TooSmall`] with the exact length when `out` is too short.
    pub fn write<'b>(&self, thing: ThingName<'_>, out: &'b mut [u8]) -> Result<&'b [u8], TooSmall> {
        path::write(thing, self.job(), self.api() as usize, Ending::Plain, out)
    }

    /// The exact length of the topic for `thing`, in bytes.
    #[must_use]
    pub fn encoded_len(&self, thing: ThingName<'_>) -> usize {
        path::len(self.write(thing, &mut []))
    }

    /// Tells the request from its topic; for tools that stand on the other side.
    ///
    /// # Errors
    ///
    /// [`TopicError`] when the topic is no request of `thing`.
    pub fn parse(topic: &'a str, thing: ThingName<'_>) -> Result<Self, TopicError> {
        let path = path::parse(topic, thing)?;
        match (path.api, path.ending) {
            (Api::GetPending, Ending::Plain) => Ok(Self::GetPending),
            (Api::StartNext, Ending::Plain) => Ok(Self::StartNext),
            (Api::Describe, Ending::Plain) => Ok(Self::Describe(path.job)),
            (Api::DescribeNext, Ending::Plain) => Ok(Self::DescribeNext),
            (Api::Update, Ending::Plain) => Ok(Self::Update(path.job)),
            (Api::Notify | Api::NotifyNext, _)
            | (_, Ending::Accepted | Ending::Rejected | Ending::Any) => {
                Err(TopicError::WrongDirection)
            }
        }
    }

    /// The topic on which the answer comes.
    #[must_use]
    pub const fn reply(self, reply: Reply) -> InboundTopic<'a> {
        match self {
            Self::GetPending => InboundTopic::GetPending(reply),
            Self::StartNext => InboundTopic::StartNext(reply),
            Self::Describe(job) => InboundTopic::Describe(job, reply),
            Self::DescribeNext => InboundTopic::DescribeNext(reply),
            Self::Update(job) => InboundTopic::Update(job, reply),
        }
    }

    // Two small questions: one answer with both would be a table of jumps.
    const fn api(&self) -> Api {
        match self {
            Self::DescribeNext => Api::DescribeNext,
            Self::Describe(_) => Api::Describe,
            Self::Update(_) => Api::Update,
            Self::GetPending => Api::GetPending,
            Self::StartNext => Api::StartNext,
        }
    }

    const fn job(&self) -> &'a [u8] {
        match self {
            Self::Describe(job) | Self::Update(job) => job.as_bytes(),
            Self::DescribeNext | Self::GetPending | Self::StartNext => &[],
        }
    }
}
