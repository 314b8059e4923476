//! What was found in a message: the values of known members, checked for their type.
//!
//! All messages are read by one loop into one kind of table, which is what makes the decoders
//! small; each message then takes from the table what it has.

use crate::decode::{ErrorKind, StatusDetails};
use crate::id::{self, Alphabet};
use crate::limits::{JOB_ID_LEN_MAX, MQTT_PAYLOAD_LEN_MAX, THING_NAME_LEN_MAX};
use crate::members::Members;
use crate::number;
use crate::scan::{Fault, Scanner};
use crate::text::EscapedStr;
use crate::words::{self, member};
use crate::{EpochSeconds, ErrorCode, JobId, ThingName, WireStatus};

/// A set of members, one bit for each number.
pub(crate) type Set = u32;

/// The set of these members.
pub(crate) const fn set(members: &[u8]) -> Set {
    let mut set: Set = 0;
    let mut rest = members;
    while let [first, tail @ ..] = rest {
        set |= bit(*first);
        rest = tail;
    }
    set
}

/// The set of this member alone.
pub(crate) const fn bit(member: u8) -> Set {
    1_u32.wrapping_shl(member as u32)
}

/// Members whose value is an object that is looked into on the way.
const NESTED: Set = set(&[member::EXECUTION, member::EXECUTION_STATE]);

/// The value of each member as it stands in the message, by number; none for `null` and for what
/// was not met.
pub(crate) type Values<'a> = [Option<&'a [u8]>; member::RECEIVED];

/// No values yet; not a constant, which would be a copy in flash.
macro_rules! nothing {
    () => {
        [None; $crate::words::member::RECEIVED]
    };
}
pub(crate) use nothing;

/// The values of the members of one object, and of the object in it that is looked into.
#[derive(Debug)]
pub(crate) struct Found<'s, 'a> {
    /// Lent, because what is moved has to be copied.
    values: &'s mut Values<'a>,
    /// Which members were met.
    pub(crate) seen: Set,
    /// The first value of the wrong type.
    wrong: Option<Fault>,
    /// Where the object stands that is looked into or kept for later; 0 if there is none.
    pub(crate) object_at: usize,
}

impl<'s, 'a> Found<'s, 'a> {
    pub(crate) fn new(values: &'s mut Values<'a>) -> Self {
        Self {
            values,
            seen: 0,
            wrong: None,
            object_at: 0,
        }
    }

    /// Forgets what was found.
    pub(crate) fn clear(&mut self) {
        self.values.fill(None);
        self.seen = 0;
    }

    /// Reads a whole message: one object with the `outer` members, in one of them an object with
    /// the `inner` ones, and nothing behind it.
    pub(crate) fn read_message(
        &mut self,
        payload: &'a [u8],
        outer: Set,
        inner: Set,
    ) -> Option<Fault> {
        // Also what is too long is read as far as it may be, for the sake of its job id.
        let mut members = Members::new(Scanner::new(bounded(payload), 0));
        let wrong = self.read(&mut members, outer, inner);
        members.scanner.end();
        if payload.len() > MQTT_PAYLOAD_LEN_MAX {
            return Some(Fault {
                kind: ErrorKind::TooLong,
                at: MQTT_PAYLOAD_LEN_MAX,
            });
        }
        members.scanner.fault().or(wrong)
    }

    /// Reads one object and the one in it that is looked into.
    ///
    /// What was read before a fault stays, but a name that comes twice makes both values
    /// worthless. A value of the wrong type comes second to a fault of the message.
    pub(crate) fn read(
        &mut self,
        members: &mut Members<'a>,
        outer: Set,
        inner: Set,
    ) -> Option<Fault> {
        let mut inside = false;
        loop {
            let Some(key) = members.next_key() else {
                if !inside {
                    return members.scanner.fault().or(self.wrong);
                }
                inside = false;
                continue;
            };
            let scanner = &mut members.scanner;
            let index = words::find_member(key);
            let bit = bit(index) & if inside { inner } else { outer };
            if self.seen & bit != 0 {
                scanner.fail(ErrorKind::DuplicateKey);
                self.put(index, None);
                if bit & NESTED != 0 {
                    self.put(member::JOB_ID, None);
                }
            } else if bit & NESTED != 0 && scanner.next_token() == b'{' {
                self.seen |= bit;
                self.object_at = scanner.at();
                inside = true;
                members.restart();
            } else {
                let value = scanner.value();
                let at = scanner.at().wrapping_sub(value.len());
                if scanner.is_sound() && bit != 0 {
                    self.take(index, value, at);
                }
            }
        }
    }

    /// Keeps the value of a known member that is met for the first time.
    #[cfg_attr(feature = "fast", inline(always))]
    pub(crate) fn take(&mut self, index: u8, value: &'a [u8], at: usize) {
        let bit = bit(index);
        self.seen |= bit;
        // The value is well-formed, so that its first byte tells its type.
        let first = value.first().copied().unwrap_or(b'n');
        if first == b'n' {
            return;
        }
        let inside = number::unquoted(value);
        let mut kind = ErrorKind::WrongType;
        let good = if bit & TEXTS != 0 {
            first == b'"'
        } else if bit & OBJECTS != 0 {
            first == b'{'
        } else if bit & IDS != 0 {
            if first == b'"' {
                kind = ErrorKind::InvalidId;
            }
            let (max, alphabet) = if index == member::JOB_ID {
                (JOB_ID_LEN_MAX, Alphabet::Job)
            } else {
                (THING_NAME_LEN_MAX, Alphabet::Thing)
            };
            first == b'"' && id::check(inside, max, alphabet).is_ok()
        } else {
            bit & INTS == 0 || number::signed(inside).is_some()
        };
        if good {
            self.put(index, Some(value));
            if bit & JOBS != 0 {
                self.object_at = at;
            }
        } else if self.wrong.is_none() {
            self.wrong = Some(Fault { kind, at });
        }
    }

    fn put(&mut self, index: u8, value: Option<&'a [u8]>) {
        if let Some(place) = self.values.get_mut(usize::from(index)) {
            *place = value;
        }
    }

    /// The value as it stands in the message.
    fn value(&self, index: u8) -> Option<&'a [u8]> {
        *self.values.get(usize::from(index))?
    }

    /// The value without its quotes; empty if there is none.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    fn inside(&self, index: u8) -> &'a [u8] {
        number::unquoted(self.value(index).unwrap_or(&[]))
    }

    /// Any value, as it stands in the message.
    pub(crate) fn json(&self, index: u8) -> Option<&'a [u8]> {
        self.value(index)
    }

    /// A string.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn text(&self, index: u8) -> Option<EscapedStr<'a>> {
        let text = number::unquoted(self.value(index)?);
        Some(EscapedStr::new(text))
    }

    /// A whole number, or a string that holds one (AWS sends and takes both).
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn int(&self, index: u8, out: &mut Option<i64>) {
        *out = number::signed(self.inside(index));
    }

    /// A time; a strange one is none.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn time(&self, index: u8, out: &mut Option<EpochSeconds>) {
        *out = EpochSeconds::read(self.inside(index));
    }

    /// When the service sent the message.
    pub(crate) fn timestamp(&self) -> Option<EpochSeconds> {
        EpochSeconds::read(self.inside(member::TIMESTAMP))
    }

    /// A hint in seconds, so that a strange value is none.
    pub(crate) fn seconds(&self, index: u8) -> Option<u32> {
        u32::try_from(number::signed(self.inside(index))?).ok()
    }

    pub(crate) fn status(&self) -> WireStatus {
        // An empty text is a name too, if one that nobody knows.
        self.text(member::STATUS)
            .map_or(WireStatus::Absent, WireStatus::read)
    }

    pub(crate) fn code(&self) -> ErrorCode {
        ErrorCode::read(EscapedStr::new(self.inside(member::CODE)))
    }

    pub(crate) fn details(&self) -> Option<StatusDetails<'a>> {
        self.value(member::STATUS_DETAILS).map(StatusDetails::new)
    }

    /// The job id; [`JobId::ABSENT`] if there is none.
    pub(crate) fn job(&self) -> JobId<'a> {
        JobId::checked(self.inside(member::JOB_ID))
    }

    pub(crate) fn thing(&self) -> Option<ThingName<'a>> {
        match self.inside(member::THING_NAME) {
            [] => None,
            name => Some(ThingName::checked(name)),
        }
    }

    pub(crate) fn has(&self, index: u8) -> bool {
        self.value(index).is_some()
    }
}

/// The numbers that executions have, alone and in lists.
pub(crate) struct Numbers {
    pub(crate) queued_at: Option<EpochSeconds>,
    pub(crate) started_at: Option<EpochSeconds>,
    pub(crate) last_updated_at: Option<EpochSeconds>,
    pub(crate) version_number: Option<i64>,
    pub(crate) execution_number: Option<i64>,
}

impl Numbers {
    pub(crate) const NONE: Self = Self {
        queued_at: None,
        started_at: None,
        last_updated_at: None,
        version_number: None,
        execution_number: None,
    };

    /// Written where they are wanted: to return them would take three times the code.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) fn read(&mut self, found: &Found<'_, '_>) {
        found.time(member::QUEUED_AT, &mut self.queued_at);
        found.time(member::STARTED_AT, &mut self.started_at);
        found.time(member::LAST_UPDATED_AT, &mut self.last_updated_at);
        found.int(member::VERSION_NUMBER, &mut self.version_number);
        found.int(member::EXECUTION_NUMBER, &mut self.execution_number);
    }
}

const IDS: Set = set(&[member::JOB_ID, member::THING_NAME]);
const JOBS: Set = bit(member::JOBS);
const TEXTS: Set = set(&[
    member::CLIENT_TOKEN,
    member::STATUS,
    member::CODE,
    member::MESSAGE,
]);
const OBJECTS: Set = set(&[
    member::EXECUTION,
    member::STATUS_DETAILS,
    member::EXECUTION_STATE,
    member::JOBS,
]);
const INTS: Set = set(&[member::VERSION_NUMBER, member::EXECUTION_NUMBER]);

/// As much of a payload as is looked at.
pub(crate) fn bounded(payload: &[u8]) -> &[u8] {
    payload.get(..MQTT_PAYLOAD_LEN_MAX).unwrap_or(payload)
}
