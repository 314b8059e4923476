//! What a message says: one table for the members of all messages.
//!
//! All messages are read by one loop into one kind of table, which the caller lends: what is
//! returned has to be moved, and each kind of result would need code of its own.

use super::lines::Walk;
use super::shape::{self, Kind, Set, Shape};
use super::table::Room;
use super::{ErrorKind, StatusDetails};
use crate::limits::MQTT_PAYLOAD_LEN_MAX;
use crate::number::{self, Form};
use crate::scan::Scanner;
use crate::text::EscapedStr;
use crate::words::member;
use crate::{EpochSeconds, ErrorCode, JobId, ThingName, WireStatus};

/// What a message says, or a line of a list.
///
/// Members that a message does not have are absent, and so are those that are `null`.
///
/// ```
/// use jobs_proto::decode::{Kind, Message, Number};
///
/// let payload = br#"{"execution":{"jobId":"Job1","status":"QUEUED","executionNumber":1}}"#;
/// let mut room = [&[][..]; Message::ROOM];
/// let mut message = Message::new(&mut room);
/// assert_eq!(message.read(Kind::Execution, payload), Ok(()));
/// assert_eq!(message.job_id().unwrap().as_str(), "Job1");
/// assert_eq!(message.number(Number::Execution), Some(1));
/// ```
// In this order, because what stands first is reached with the shortest code.
#[derive(Debug)]
#[repr(C)]
pub struct Message<'r, 'a> {
    /// Where the reading has got to.
    pub(super) walk: Walk<'a>,
    /// The value of each member as it stands in the message, without the quotes of texts.
    pub(super) values: &'r mut Room<'a>,
    /// Which of them are there.
    pub(super) present: Set,
    /// Which members were met, be they `null`.
    pub(super) seen: Set,
    /// Where the object stands that is looked into or holds the lists; 0 if there is none.
    pub(super) object_at: usize,
    /// What is read, as far as it may be.
    pub(super) payload: &'a [u8],
}

/// A text of a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Text {
    /// The token of the request that this answers, if it had one.
    ClientToken = member::CLIENT_TOKEN,
    /// Why a request was refused, for people; the text is not stable.
    Message = member::MESSAGE,
}

/// A time in a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Time {
    /// When the service sent the message.
    Timestamp = member::TIMESTAMP,
    /// When the execution was queued.
    Queued = member::QUEUED_AT,
    /// When it was first IN_PROGRESS.
    Started = member::STARTED_AT,
    /// When it last changed.
    LastUpdated = member::LAST_UPDATED_AT,
}

/// A number in a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Number {
    /// Grows with every change of the execution; for `expectedVersion`.
    Version = member::VERSION_NUMBER,
    /// Which execution of the job this is.
    Execution = member::EXECUTION_NUMBER,
    /// Seconds until a timer ends the execution; the service may be up to
    /// [`crate::limits::TIMEOUT_LATENESS_MAX_SECONDS`] late.
    SecondsLeft = member::SECONDS_LEFT,
}

impl Message<'_, '_> {
    /// How many values there is to be room for.
    pub const ROOM: usize = member::RECEIVED;
}

impl<'r, 'a> Message<'r, 'a> {
    /// A message that says nothing.
    #[must_use]
    pub const fn new(room: &'r mut Room<'a>) -> Self {
        Self {
            values: room,
            present: 0,
            seen: 0,
            object_at: 0,
            walk: Walk::new(&[], 0),
            payload: &[],
        }
    }

    /// Reads a payload, in place of what is here.
    ///
    /// Of a message about one execution that is refused, the job, its execution number, when it
    /// was queued and the token stay, when that much is certain: see [`super::Salvage`]. Of other
    /// messages that are refused nothing stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind`] when the payload is no such message; [`Message::fault_at`] tells where.
    #[cfg_attr(feature = "fast", inline)]
    pub fn read(&mut self, kind: Kind, payload: &'a [u8]) -> Result<(), ErrorKind> {
        let shape = Shape::of(kind);
        self.retain(0);
        self.object_at = 0;
        // Also what is too long is read as far as it may be, for the sake of its job id.
        self.payload = payload.get(..MQTT_PAYLOAD_LEN_MAX).unwrap_or(payload);
        self.rewind();
        self.object(shape, false);
        self.scanner().end();
        if shape.has_lists() && self.scanner().is_sound() {
            // Everything once, so that later readers meet no fault.
            self.rewind();
            while self.next_line().is_some() {}
        }
        if payload.len() > MQTT_PAYLOAD_LEN_MAX {
            self.scanner()
                .overrule(ErrorKind::TooLong, MQTT_PAYLOAD_LEN_MAX);
        }
        if let Some(fault) = self.scanner().fault() {
            self.salvage(shape, fault);
            return Err(fault.kind);
        }
        if shape.has_lists() {
            self.rewind();
        }
        Ok(())
    }

    /// Goes back to the first line of the lists.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub fn rewind(&mut self) {
        self.walk.begin(self.payload, self.object_at);
    }

    pub(super) fn scanner(&mut self) -> &mut Scanner<'a> {
        &mut self.walk.members.scanner
    }

    /// Where the fault is for which the message was refused, in bytes from its start.
    #[must_use]
    pub fn fault_at(&self) -> usize {
        self.walk
            .members
            .scanner
            .fault()
            .map_or(0, |fault| fault.at)
    }

    /// Whether the message has an execution.
    #[must_use]
    pub fn has_execution(&self) -> bool {
        self.has(shape::bit(member::JOB_ID))
    }

    /// Whether the message has the state of an execution, or an execution.
    #[must_use]
    pub fn has_state(&self) -> bool {
        self.object_at != 0
    }

    /// The job; every execution and every line has one.
    #[must_use]
    #[cfg_attr(not(feature = "fast"), inline(always))]
    pub fn job_id(&self) -> Option<JobId<'a>> {
        self.value(member::JOB_ID).map(JobId::checked)
    }

    /// The thing; no captured MQTT message has it.
    #[must_use]
    pub fn thing_name(&self) -> Option<ThingName<'a>> {
        self.value(member::THING_NAME).map(ThingName::checked)
    }

    /// The state of the execution. A line has none: its list tells the state.
    #[must_use]
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub fn status(&self) -> WireStatus {
        // An empty text is a name too, if one that nobody knows.
        self.text_of(member::STATUS)
            .map_or(WireStatus::Absent, WireStatus::read)
    }

    /// Why a request was refused.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.text_of(member::CODE)
            .map_or(ErrorCode::Unknown, ErrorCode::read)
    }

    #[cfg_attr(not(feature = "fast"), inline(always))]
    fn text_of(&self, index: u8) -> Option<EscapedStr<'a>> {
        self.value(index).map(EscapedStr::new)
    }

    /// A text.
    #[must_use]
    pub fn text(&self, which: Text) -> Option<EscapedStr<'a>> {
        self.text_of(which as u8)
    }

    /// A time; a strange one is none.
    #[must_use]
    pub fn time(&self, which: Time) -> Option<EpochSeconds> {
        self.int(which as u8)
            .map(|seconds| EpochSeconds(seconds.cast_unsigned()))
    }

    /// A whole number, or a text that holds one (AWS sends and takes both).
    #[must_use]
    pub fn number(&self, which: Number) -> Option<i64> {
        self.int(which as u8)
    }

    #[cfg_attr(feature = "fast", inline(always))]
    #[cfg_attr(not(feature = "fast"), inline(never))]
    fn int(&self, index: u8) -> Option<i64> {
        let form = if index < member::TIMES {
            Form::Int
        } else {
            Form::Time
        };
        number::read(self.value(index)?, form)
    }

    /// What was last reported about the execution; `None` if nothing ever was.
    #[must_use]
    #[cfg_attr(not(feature = "fast"), inline(always))]
    pub fn status_details(&self) -> Option<StatusDetails<'a>> {
        self.value(member::STATUS_DETAILS).map(StatusDetails::new)
    }

    /// The job document: well-formed JSON, byte for byte as received.
    #[must_use]
    pub fn job_document(&self) -> Option<&'a [u8]> {
        self.value(member::JOB_DOCUMENT)
    }
}
