//! Topics on which messages arrive.

use super::TopicError;
use super::path::{self, Api, Ending, Path};
use crate::{JobId, ThingName, TooSmall};

/// Whether a request was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reply {
    /// `…/accepted`
    Accepted,
    /// `…/rejected`
    Rejected,
}

/// A topic on which a message arrives.
///
/// Replies come to the client that asked, whether or not it subscribed to them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InboundTopic<'a> {
    /// `…/notify`: the lists of pending executions changed.
    Notify,
    /// `…/notify-next`: the next execution is another one.
    NotifyNext,
    /// `…/$next/get/…`: the reply never names the job in its topic.
    DescribeNext(Reply),
    /// `…/{jobId}/get/…`
    Describe(JobId<'a>, Reply),
    /// `…/{jobId}/update/…`
    Update(JobId<'a>, Reply),
    /// `…/get/…`
    GetPending(Reply),
    /// `…/start-next/…`
    StartNext(Reply),
}

impl<'a> InboundTopic<'a> {
    /// Longest topic, in bytes.
    pub const LEN_MAX: usize = crate::limits::TOPIC_LEN_MAX;

    /// Tells the message from its topic.
    ///
    /// # Errors
    ///
    /// [`TopicError`] when the topic is no message for `thing`.
    ///
    /// ```
    /// use jobs_proto::ThingName;
    /// use jobs_proto::topic::{InboundTopic, Reply, TopicError};
    ///
    /// let thing = ThingName::new("pump-7").unwrap();
    /// let topic = "$aws/things/pump-7/jobs/$next/get/accepted";
    /// assert_eq!(
    ///     InboundTopic::parse(topic, thing),
    ///     Ok(InboundTopic::DescribeNext(Reply::Accepted))
    /// );
    /// let topic = "$aws/things/pump-8/jobs/notify";
    /// assert_eq!(InboundTopic::parse(topic, thing), Err(TopicError::OtherThing));
    /// ```
    pub fn parse(topic: &'a str, thing: ThingName<'_>) -> Result<Self, TopicError> {
        let path = path::parse(topic, thing)?;
        let reply = match path.ending {
            Ending::Accepted => Reply::Accepted,
            Ending::Rejected => Reply::Rejected,
            Ending::Plain | Ending::Any => {
                return match path.api {
                    Api::Notify => Ok(Self::Notify),
                    Api::NotifyNext => Ok(Self::NotifyNext),
                    Api::DescribeNext
                    | Api::GetPending
                    | Api::StartNext
                    | Api::Describe
                    | Api::Update => Err(TopicError::WrongDirection),
                };
            }
        };
        match path.api {
            Api::DescribeNext => Ok(Self::DescribeNext(reply)),
            Api::GetPending => Ok(Self::GetPending(reply)),
            Api::StartNext => Ok(Self::StartNext(reply)),
            Api::Describe => Ok(Self::Describe(path.job, reply)),
            Api::Update => Ok(Self::Update(path.job, reply)),
            Api::Notify | Api::NotifyNext => Err(TopicError::Malformed),
        }
    }

    /// Writes the topic for `thing` into `out`; for tools that stand on the other side.
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
        let ending = |reply| match reply {
            Reply::Accepted => Ending::Accepted,
            Reply::Rejected => Ending::Rejected,
        };
        let path = match *self {
            Self::GetPending(reply) => Path::new(Api::GetPending, ending(reply)),
            Self::StartNext(reply) => Path::new(Api::StartNext, ending(reply)),
            Self::DescribeNext(reply) => Path::new(Api::DescribeNext, ending(reply)),
            Self::Describe(job, reply) => Path::of(Api::Describe, job, ending(reply)),
            Self::Update(job, reply) => Path::of(Api::Update, job, ending(reply)),
            Self::Notify => Path::new(Api::Notify, Ending::Plain),
            Self::NotifyNext => Path::new(Api::NotifyNext, Ending::Plain),
        };
        path.write(thing, out)
    }

    /// The exact length of the topic for `thing`, in bytes.
    #[must_use]
    pub fn encoded_len(&self, thing: ThingName<'_>) -> usize {
        path::len(self.write(thing, &mut []))
    }
}
