//! Reading the members of an object: known names into slots, the rest stepped over.

use crate::decode::ErrorKind;
use crate::number;
use crate::scan::{Fault, Raw, Scanner};
use crate::text::EscapedStr;
use crate::{EpochSeconds, JobId, ThingName, WireStatus};

/// A member that was met, or not.
pub(crate) type Slot<'a> = Option<Raw<'a>>;

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

    /// The next key, with the scanner before its value; `None` after the closing brace.
    ///
    /// The caller steps over the value before it asks again.
    pub(crate) fn next_key(&mut self) -> Result<Option<EscapedStr<'a>>, Fault> {
        let scanner = &mut self.scanner;
        let first = !self.opened;
        match scanner.next_token() {
            Some(b'{') if first => {}
            Some(_) if first => return Err(scanner.fault(ErrorKind::WrongType)),
            Some(b',') => {}
            Some(b'}') => {
                scanner.bump();
                return Ok(None);
            }
            _ => return Err(scanner.unexpected()),
        }
        self.opened = true;
        scanner.bump();
        if first && scanner.next_token() == Some(b'}') {
            scanner.bump();
            return Ok(None);
        }
        scanner.key().map(Some)
    }

    /// The next member; for objects that were checked before, where no fault is left to report.
    pub(crate) fn next_member(&mut self) -> Option<(EscapedStr<'a>, Raw<'a>)> {
        let key = self.next_key().ok()??;
        let value = self.scanner.value().ok()?;
        Some((key, value))
    }
}

/// An object inside the object that is read, with slots of its own.
pub(crate) struct Nested<'s, 'a> {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where its extent goes.
    pub(crate) whole: &'s mut Slot<'a>,
    pub(crate) names: &'static [&'static str],
    pub(crate) slots: &'s mut [Slot<'a>],
}

fn store<'s, 'a>(
    names: &[&str],
    slots: &'s mut [Slot<'a>],
    key: EscapedStr<'_>,
) -> Option<&'s mut Slot<'a>> {
    let plain = key.as_plain();
    let index = names.iter().position(|name| match plain {
        Some(plain) => plain == *name,
        None => key.eq_str(name),
    })?;
    slots.get_mut(index)
}

/// A name that comes twice makes both values worthless.
fn refuse_second(slot: &mut Slot<'_>, at: usize) -> Result<(), Fault> {
    if slot.is_some() {
        *slot = None;
        return Err(Fault {
            kind: ErrorKind::DuplicateKey,
            at,
        });
    }
    Ok(())
}

/// Reads one object: the value of `names[i]` goes to `slots[i]`.
///
/// What was read before a fault stays in the slots.
pub(crate) fn read<'a>(
    scanner: &mut Scanner<'a>,
    names: &[&str],
    slots: &mut [Slot<'a>],
) -> Result<(), Fault> {
    let mut members = Members::new(scanner.clone());
    let result = read_members(&mut members, names, slots);
    *scanner = members.scanner;
    result
}

fn read_members<'a>(
    members: &mut Members<'a>,
    names: &[&str],
    slots: &mut [Slot<'a>],
) -> Result<(), Fault> {
    while let Some(key) = members.next_key()? {
        read_value(&mut members.scanner, names, slots, key)?;
    }
    Ok(())
}

/// Reads the value that belongs to `key`, into its slot if it has one.
fn read_value<'a>(
    scanner: &mut Scanner<'a>,
    names: &[&str],
    slots: &mut [Slot<'a>],
    key: EscapedStr<'_>,
) -> Result<(), Fault> {
    let mut unknown = None;
    let slot = store(names, slots, key).unwrap_or(&mut unknown);
    refuse_second(slot, scanner.at())?;
    *slot = Some(scanner.value()?);
    Ok(())
}

/// Reads a whole message: one object, one object inside it, and nothing behind.
pub(crate) fn read_message<'a>(
    bytes: &'a [u8],
    names: &[&str],
    slots: &mut [Slot<'a>],
    nested: Nested<'_, 'a>,
) -> Result<(), Fault> {
    let mut members = Members::new(Scanner::new(bytes, 0));
    while let Some(key) = members.next_key()? {
        let at = members.scanner.at();
        if key.eq_str(nested.name) {
            if let Err(fault) = refuse_second(nested.whole, at) {
                nested.slots.fill(None);
                return Err(fault);
            }
            let open = members.scanner.next_token();
            let start = members.scanner.at();
            if open == Some(b'{') {
                read(&mut members.scanner, nested.names, nested.slots)?;
            } else {
                members.scanner.value()?;
            }
            *nested.whole = Some(members.scanner.raw_from(start));
            continue;
        }
        read_value(&mut members.scanner, names, slots, key)?;
    }
    members.scanner.end()
}

/// The value, unless it is missing or `null`.
pub(crate) fn present<'s, 'a>(slot: &'s Slot<'a>) -> Option<&'s Raw<'a>> {
    slot.as_ref().filter(|raw| !raw.is_null())
}

pub(crate) fn time(slot: &Slot<'_>) -> Option<EpochSeconds> {
    EpochSeconds::read(slot.as_ref()?.text)
}

/// Makes values of slots and remembers the first fault.
///
/// Asking once at the end keeps the code small: a test after each of a dozen members costs more
/// flash than the members.
#[derive(Default)]
pub(crate) struct Fields {
    fault: Option<Fault>,
}

impl Fields {
    /// Remembers a fault, unless there was one before.
    pub(crate) fn note(&mut self, raw: &Raw<'_>, kind: ErrorKind) {
        if self.fault.is_none() {
            self.fault = Some(raw.fault(kind));
        }
    }

    pub(crate) fn finish(self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }

    /// The value of the right type, `None` if there is none.
    fn read<'a, T>(
        &mut self,
        slot: &Slot<'a>,
        kind: ErrorKind,
        read: impl FnOnce(&Raw<'a>) -> Option<T>,
    ) -> Option<T> {
        let raw = present(slot)?;
        let value = read(raw);
        if value.is_none() {
            self.note(raw, kind);
        }
        value
    }

    pub(crate) fn string<'a>(&mut self, slot: &Slot<'a>) -> Option<EscapedStr<'a>> {
        self.read(slot, ErrorKind::WrongType, Raw::string)
    }

    /// A whole number, or a string that holds one (AWS sends and takes both).
    pub(crate) fn int(&mut self, slot: &Slot<'_>) -> Option<i64> {
        self.read(slot, ErrorKind::WrongType, |raw| {
            number::signed(number::unquoted(raw.text))
        })
    }

    pub(crate) fn status(&mut self, slot: &Slot<'_>) -> WireStatus {
        self.string(slot)
            .map_or(WireStatus::Absent, WireStatus::read)
    }

    /// An object, as it stands in the message.
    pub(crate) fn object<'a>(&mut self, slot: &Slot<'a>) -> Slot<'a> {
        self.read(slot, ErrorKind::WrongType, |raw| {
            (raw.text.first() == Some(&b'{')).then_some(*raw)
        })
    }

    pub(crate) fn job_id<'a>(&mut self, slot: &Slot<'a>) -> Option<JobId<'a>> {
        let text = self.string(slot)?;
        self.read(slot, ErrorKind::InvalidId, |_| {
            JobId::new(text.as_escaped()).ok()
        })
    }

    pub(crate) fn thing_name<'a>(&mut self, slot: &Slot<'a>) -> Option<ThingName<'a>> {
        let text = self.string(slot)?;
        self.read(slot, ErrorKind::InvalidId, |_| {
            ThingName::new(text.as_escaped()).ok()
        })
    }
}
