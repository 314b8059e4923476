//! Subscription filters.

use super::path::{self, Api, Ending};
use crate::{ThingName, TooSmall};

/// A subscription filter for messages to one thing.
///
/// All seven together fit one SUBSCRIBE packet
/// ([`crate::limits::FILTERS_PER_SUBSCRIBE_MAX`]). Only the two notifications need a subscription;
/// replies come anyway, but some MQTT clients drop what they did not subscribe to. In MQTT the `+`
/// of [`Filter::DescribeReplies`] matches `$next` too; AWS's own clients name `$next` literally.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Filter {
    /// `…/notify`
    Notify = Api::Notify as isize,
    /// `…/notify-next`
    NotifyNext = Api::NotifyNext as isize,
    /// `…/$next/get/+`
    DescribeNextReplies = Api::DescribeNext as isize,
    /// `…/get/+`
    GetPendingReplies = Api::GetPending as isize,
    /// `…/start-next/+`
    StartNextReplies = Api::StartNext as isize,
    /// `…/+/get/+`
    DescribeReplies = Api::Describe as isize,
    /// `…/+/update/+`
    UpdateReplies = Api::Update as isize,
}

impl Filter {
    /// All seven.
    pub const ALL: [Self; 7] = [
        Self::Notify,
        Self::NotifyNext,
        Self::DescribeNextReplies,
        Self::GetPendingReplies,
        Self::StartNextReplies,
        Self::DescribeReplies,
        Self::UpdateReplies,
    ];

    /// Longest filter, in bytes.
    pub const LEN_MAX: usize = crate::limits::FILTER_LEN_MAX;

    /// Writes the filter for `thing` into `out`.
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
        let replies = Self::DescribeNextReplies as usize;
        let ending = if (*self as usize) < replies {
            Ending::Plain
        } else {
            Ending::Any
        };
        let any_job = matches!(self, Self::DescribeReplies | Self::UpdateReplies);
        let job: &[u8] = if any_job { b"+" } else { b"" };
        path::write(thing, job, *self as usize, ending, out)
    }

    /// The exact length of the filter for `thing`, in bytes.
    #[must_use]
    pub fn encoded_len(&self, thing: ThingName<'_>) -> usize {
        path::len(self.write(thing, &mut []))
    }
}
