//! Reading the members of an object: known names to where they belong, the rest stepped over.

use crate::decode::{ErrorKind, StatusDetails};
use crate::limits::MQTT_PAYLOAD_LEN_MAX;
use crate::number;
use crate::scan::{Fault, Scanner};
use crate::text::EscapedStr;
use crate::{EpochSeconds, ErrorCode, JobId, ThingName, WireStatus};

/// Walks the members of one object.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    pub(crate) scanner: Scanner<'a>,
    opened: bool,
}

impl<'a> Members<'a> {
    pub(crate) const fn new(scanner: Scanner<'a>) -> Self {
        Self {
            scanner,
            opened: false,
        }
    }

    /// The next thing to read is another object.
    pub(crate) fn restart(&mut self) {
        self.opened = false;
    }

    /// The next key, with the scanner before its value; `None` after the closing brace and after
    /// a fault.
    ///
    /// The caller steps over the value before it asks again.
    pub(crate) fn next_key(&mut self) -> Option<EscapedStr<'a>> {
        let scanner = &mut self.scanner;
        let first = !self.opened;
        self.opened = true;
        let mut token = scanner.next_token();
        if first {
            if token != b'{' {
                scanner.unexpected_or(ErrorKind::WrongType);
                return None;
            }
            scanner.bump();
            token = scanner.next_token();
        }
        if token == b'}' {
            scanner.bump();
            return None;
        }
        if !first {
            scanner.byte(b',');
        }
        let key = scanner.key();
        scanner.is_sound().then_some(key)
    }

    /// The next member; for objects that were checked before, where no fault is left to report.
    pub(crate) fn next_member(&mut self) -> Option<(EscapedStr<'a>, &'a [u8])> {
        let key = self.next_key()?;
        let value = self.scanner.value();
        self.scanner.is_sound().then_some((key, value))
    }
}

/// Where the value of a member belongs, and what it has to be.
///
/// `null` means that there is none, as if the member were missing.
pub(crate) enum Out<'s, 'a> {
    /// A string.
    Text(&'s mut Option<EscapedStr<'a>>),
    /// A whole number, or a string that holds one (AWS sends and takes both).
    Int(&'s mut Option<i64>),
    /// A hint in seconds, so that a strange value is none.
    Seconds(&'s mut Option<u32>),
    /// A time; a strange one is none.
    Time(&'s mut Option<EpochSeconds>),
    /// The state of an execution.
    Status(&'s mut WireStatus),
    /// Why a request was refused.
    Code(&'s mut Option<ErrorCode>),
    /// An object of details.
    Details(&'s mut Option<StatusDetails<'a>>),
    /// Any value, as it stands in the message.
    Json(&'s mut Option<&'a [u8]>),
    /// A job id; empty if there is none.
    Job(&'s mut JobId<'a>),
    /// A thing name.
    Thing(&'s mut Option<ThingName<'a>>),
    /// An object; where it stands in the message, 0 if there is none.
    Place(&'s mut usize),
    /// An object whose members go to the inner target.
    Inner,
}

impl<'a> Out<'_, 'a> {
    /// Puts the value where it belongs; tells what is wrong with it. No text clears the place.
    pub(crate) fn put(&mut self, text: &'a [u8], at: usize) -> Option<ErrorKind> {
        let text = if text == b"null" { &[] } else { text };
        let string = string(text);
        let int = number::signed(number::unquoted(text));
        let object = text.first() == Some(&b'{');
        let mut wrong = ErrorKind::WrongType;
        let good = match self {
            Self::Text(out) => {
                **out = string;
                string.is_some()
            }
            Self::Int(out) => {
                **out = int;
                int.is_some()
            }
            Self::Seconds(out) => {
                **out = int.and_then(|seconds| u32::try_from(seconds).ok());
                true
            }
            Self::Time(out) => {
                **out = EpochSeconds::read(text);
                true
            }
            Self::Status(out) => {
                **out = string.map_or(WireStatus::Absent, WireStatus::read);
                string.is_some()
            }
            Self::Code(out) => {
                **out = string.map(ErrorCode::read);
                string.is_some()
            }
            Self::Details(out) => {
                **out = object.then_some(StatusDetails::new(text));
                object
            }
            Self::Json(out) => {
                **out = (!text.is_empty()).then_some(text);
                true
            }
            Self::Job(out) => {
                let text = string.map_or("", |text| text.as_escaped());
                **out = JobId::new(text).unwrap_or(JobId::ABSENT);
                if string.is_some() {
                    wrong = ErrorKind::InvalidId;
                }
                out.is_present()
            }
            Self::Thing(out) => {
                let text = string.map_or("", |text| text.as_escaped());
                **out = ThingName::new(text).ok();
                if string.is_some() {
                    wrong = ErrorKind::InvalidId;
                }
                out.is_some()
            }
            Self::Place(out) => {
                **out = if object { at } else { 0 };
                object
            }
            Self::Inner => object,
        };
        (!good && !text.is_empty()).then_some(wrong)
    }
}

/// The inside of a checked value, when it is a string.
pub(crate) fn string(text: &[u8]) -> Option<EscapedStr<'_>> {
    let [b'"', inside @ .., b'"'] = text else {
        return None;
    };
    core::str::from_utf8(inside).ok().map(EscapedStr::new)
}

/// The members of one object that are wanted.
pub(crate) struct Target<'s, 'a> {
    pub(crate) names: &'static [&'static str],
    /// Where the value of `names[i]` goes.
    pub(crate) outs: &'s mut [Out<'s, 'a>],
    /// Which members were met, one bit for each name from the lowest on.
    pub(crate) seen: u32,
    /// Where the object stands; 0 if it is the message itself, or was not met.
    pub(crate) at: usize,
}

impl<'s, 'a> Target<'s, 'a> {
    pub(crate) fn new(names: &'static [&'static str], outs: &'s mut [Out<'s, 'a>]) -> Self {
        Self {
            names,
            outs,
            seen: 0,
            at: 0,
        }
    }

    /// For messages in which no object is looked into on the way.
    pub(crate) fn none() -> Self {
        Self::new(&[], &mut [])
    }
}

/// Reads one object and, in the member that is [`Out::Inner`], the members of the object there.
///
/// What was read before a fault stays where it was put, but a name that comes twice makes both
/// values worthless. A value of the wrong type comes second to a fault of the message.
pub(crate) fn read<'s, 'a>(
    members: &mut Members<'a>,
    outer: &mut Target<'s, 'a>,
    inner: &mut Target<'s, 'a>,
) -> Option<Fault> {
    let mut wrong = None;
    let mut inside = false;
    loop {
        let target = if inside { &mut *inner } else { &mut *outer };
        let Some(key) = members.next_key() else {
            if !inside {
                return members.scanner.fault().or(wrong);
            }
            inside = false;
            continue;
        };
        let scanner = &mut members.scanner;
        let index = key.find_in(target.names);
        let known = index.and_then(|index| target.outs.get_mut(usize::from(index)));
        let (Some(index), Some(out)) = (index, known) else {
            scanner.value();
            continue;
        };
        let bit = 1_u32.wrapping_shl(u32::from(index));
        let nested = matches!(out, Out::Inner);
        if target.seen & bit != 0 {
            scanner.fail(ErrorKind::DuplicateKey);
            out.put(&[], 0);
            if nested {
                inner.outs.iter_mut().for_each(|out| {
                    out.put(&[], 0);
                });
            }
        } else if nested && scanner.next_token() == b'{' {
            target.seen |= bit;
            inner.at = scanner.at();
            inside = true;
            members.restart();
        } else {
            let text = scanner.value();
            let at = scanner.at().wrapping_sub(text.len());
            if scanner.is_sound() {
                target.seen |= bit;
                let kind = out.put(text, at);
                wrong = wrong.or_else(|| kind.map(|kind| Fault { kind, at }));
            }
        }
    }
}

/// As much of a payload as is looked at.
pub(crate) fn bounded(payload: &[u8]) -> &[u8] {
    payload.get(..MQTT_PAYLOAD_LEN_MAX).unwrap_or(payload)
}

/// Reads a whole message: one object, and nothing behind it.
pub(crate) fn read_message<'s, 'a>(
    payload: &'a [u8],
    outer: &mut Target<'s, 'a>,
    inner: &mut Target<'s, 'a>,
) -> Option<Fault> {
    // Also what is too long is read as far as it may be, for the sake of its job id.
    let mut members = Members::new(Scanner::new(bounded(payload), 0));
    let wrong = read(&mut members, outer, inner);
    members.scanner.end();
    if payload.len() > MQTT_PAYLOAD_LEN_MAX {
        return Some(Fault {
            kind: ErrorKind::TooLong,
            at: MQTT_PAYLOAD_LEN_MAX,
        });
    }
    members.scanner.fault().or(wrong)
}
