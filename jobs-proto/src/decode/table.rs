//! The one loop that reads the members of all messages.

#[cfg(feature = "fast")]
use super::lines::Walk;
use super::shape::{self, NESTED, Set, Shape};
use super::{ErrorKind, Message, salvage};
use crate::id::{self, Extra};
use crate::number;
use crate::words::{self, member};

/// Room for the values of a message.
///
/// A plain array, made where it is wanted: what is moved has to be copied.
pub type Room<'a> = [&'a [u8]; Message::ROOM];

impl<'a> Message<'_, 'a> {
    /// Reads one object and the one in it that is looked into.
    ///
    /// What was read before a fault stays, but a name that comes twice makes both values
    /// worthless. `loose` means that values may be broken.
    #[cfg(not(feature = "fast"))]
    #[inline(never)]
    pub(super) fn object(&mut self, shape: &Shape, loose: bool) {
        self.object_here(shape, loose);
    }

    /// The same on a copy: what is never lent can stay in registers, and nothing else is as quick.
    #[cfg(feature = "fast")]
    #[inline(never)]
    pub(super) fn object(&mut self, shape: &Shape, loose: bool) {
        let mut copy = Message {
            walk: Walk::at(self.walk.members.clone()),
            values: &mut *self.values,
            ..*self
        };
        copy.object_here(shape, loose);
        let Message {
            walk,
            present,
            seen,
            object_at,
            ..
        } = copy;
        self.walk.members = walk.members;
        self.present = present;
        self.seen = seen;
        self.object_at = object_at;
    }

    #[inline(always)]
    fn object_here(&mut self, shape: &Shape, loose: bool) {
        let start = self.scanner().at();
        self.walk.members.restart();
        let mut inside = false;
        loop {
            let Some(key) = self.walk.members.next_key() else {
                if inside {
                    inside = false;
                    continue;
                }
                break;
            };
            let scanner = &mut self.walk.members.scanner;
            let index = words::find_member(key);
            let bit = shape::bit(index) & if inside { shape.inner } else { shape.outer };
            if self.seen & bit != 0 {
                scanner.fail(ErrorKind::DuplicateKey);
                self.present &= !bit;
                if bit & NESTED != 0 {
                    self.present = 0;
                }
            } else if bit & NESTED != 0 && scanner.next_token() == b'{' {
                self.seen |= bit;
                self.object_at = scanner.at();
                inside = true;
                self.walk.members.restart();
            } else {
                let value = if loose {
                    scanner.apart(salvage::value)
                } else {
                    scanner.value()
                };
                if bit != 0 && !value.is_empty() {
                    self.take(index, value, loose);
                }
            }
        }
        // The guide calls an execution "empty" when it means absent.
        let lacks = shape.needed & !self.present != 0;
        if lacks && (shape.needed & shape.inner == 0 || self.seen & shape.inner != 0) {
            let at = start.max(self.object_at);
            self.scanner().fail_at(ErrorKind::MissingField, at);
        }
    }

    /// Keeps the value of a known member that is met for the first time.
    #[cfg_attr(feature = "fast", inline(always))]
    fn take(&mut self, index: u8, value: &'a [u8], loose: bool) {
        let bit = shape::bit(index);
        self.seen |= bit;
        // The value is well-formed, so that its first byte tells its type.
        let first = value.first().copied().unwrap_or(b'n');
        if first == b'n' {
            return;
        }
        let mut kept = value;
        if first == b'"'
            && index != member::JOB_DOCUMENT
            && let [_, inside @ .., _] = value
        {
            kept = inside;
        }
        let mut kind = ErrorKind::WrongType;
        let good = match index {
            ..member::IDS => first == b'"',
            member::IDS..member::OBJECTS => {
                let extra = if index == member::JOB_ID {
                    Extra::JOB
                } else {
                    Extra::THING
                };
                if first == b'"' {
                    kind = ErrorKind::InvalidId;
                }
                first == b'"' && id::is_valid(kept, extra)
            }
            member::OBJECTS..member::INTS => {
                let object = first == b'{';
                if object && index == member::JOBS {
                    self.object_at = self.start_of(value);
                }
                object
            }
            member::INTS..member::ANY => number::signed(kept).is_some(),
            _ => true,
        };
        if !good {
            if !loose {
                let at = self.start_of(value);
                self.scanner().fail_at(kind, at);
            }
            return;
        }
        if let Some(place) = self.values.get_mut(usize::from(index)) {
            *place = kept;
            self.present |= bit;
        }
    }

    /// Where the value begins that was just stepped over.
    fn start_of(&mut self, value: &[u8]) -> usize {
        self.scanner().at().wrapping_sub(value.len())
    }

    /// Keeps nothing but these members.
    pub(super) fn retain(&mut self, members: Set) {
        self.present &= members;
        self.seen &= members;
    }

    pub(super) fn value(&self, index: u8) -> Option<&'a [u8]> {
        let value = *self.values.get(usize::from(index))?;
        self.has(shape::bit(index)).then_some(value)
    }

    /// Whether one of these members was met, be it `null`.
    pub(super) fn has_met(&self, members: Set) -> bool {
        self.seen & members != 0
    }

    /// Whether one of these members is there.
    pub(super) fn has(&self, members: Set) -> bool {
        self.present & members != 0
    }
}
