//! What a call does to the two copies, one step after another.
//!
//! No code here waits: the store asks for the next deed, does it, and says what came of it. Waiting
//! in one place for all of them takes a third of the code of a future for each.

use core::cmp::Ordering;

use super::log::Act;
use crate::board::BOOT_SLOT;

/// The copies, in the order they are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    First,
    Second,
}

use Twin::{First, Second};

/// No slot of jobs, and not that of boots: written to see whether a log can be written.
const PROBE_SLOT: u8 = BOOT_SLOT - 1;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    Load,
    Save,
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Read an item of one copy and of the other, to compare their versions.
    Compare,
    /// Repair a copy, or erase its pages. A log is repaired when it is written to, and may lose
    /// records by that: so write, then compare.
    Begin,
    /// Does it lack an item ...
    Here,
    /// ... that the other has?
    There,
    /// Then copy it.
    Copy,
    /// Read the item that the call is for.
    Fetch,
    /// Write it to one copy, then to the other.
    Write,
    /// Erase one copy, then the other.
    Erase,
}

/// A thing to do to a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) act: Act,
    pub(super) copy: Twin,
    pub(super) key: u8,
    /// What to write: not what was read last, but an item of this version (0: the probe).
    pub(super) put: Option<u32>,
}

/// What comes after a deed.
pub(super) enum Then {
    Next,
    Done,
    /// Neither copy can be read or repaired.
    Unreadable,
}

/// One call.
pub(super) struct Pass {
    aim: Aim,
    slot: u8,
    slots: u8,
    step: Step,
    /// The copy that is read or written, or mended.
    copy: Twin,
    /// Which key is compared or copied.
    number: u8,
    /// The version that was read before in this step, `None` if that failed.
    before: Option<u32>,
    /// The version to write; 0 until that is known.
    version: u32,
    first_lags: bool,
    second_lags: bool,
    /// The copy is made anew, after erasing its pages.
    anew: bool,
    /// Both copies have to be compared once more.
    again: bool,
}

impl Pass {
    /// `in_line`: both copies were compared, and every change since then reached both.
    pub(super) fn new(aim: Aim, slot: u8, slots: u8, in_line: bool) -> Self {
        Self {
            aim,
            slot,
            slots,
            step: match aim {
                Aim::Reset => Step::Erase,
                Aim::Load | Aim::Save if in_line => Step::Fetch,
                Aim::Load | Aim::Save => Step::Compare,
            },
            copy: First,
            number: 0,
            before: None,
            version: 0,
            first_lags: false,
            second_lags: false,
            anew: false,
            again: true,
        }
    }

    /// What to do next.
    pub(super) fn deed(&self) -> Deed {
        let numbered = if self.number < self.slots {
            self.number
        } else {
            BOOT_SLOT
        };
        let other = match self.copy {
            First => Second,
            Second => First,
        };
        let (act, copy, key, put) = match self.step {
            Step::Compare | Step::Here => (Act::Fetch, self.copy, numbered, None),
            Step::There => (Act::Fetch, other, numbered, None),
            Step::Copy => (Act::Store, self.copy, numbered, None),
            Step::Begin if !self.anew => (Act::Store, self.copy, PROBE_SLOT, Some(0)),
            Step::Begin | Step::Erase => (Act::Clear, self.copy, PROBE_SLOT, None),
            Step::Fetch => (Act::Fetch, First, self.slot, None),
            Step::Write => (Act::Store, self.copy, self.slot, Some(self.version)),
        };
        Deed {
            act,
            copy,
            key,
            put,
        }
    }

    /// What came of it: the version that the key has there now, or `None` if the copy cannot be
    /// read, or not be written.
    pub(super) fn did(&mut self, found: Option<u32>) -> Then {
        match (self.step, found) {
            (Step::Compare, found) => return self.compared(found),
            // Both were whole when they were compared. Compared again, and repaired.
            (Step::Fetch, None) if self.again => {
                self.again = false;
                self.compare();
            }
            // Damage may show only when something is written.
            (Step::Begin | Step::Here | Step::There | Step::Copy | Step::Write, None)
                if !self.anew =>
            {
                self.mend(self.copy, true);
            }
            (_, None) => return Then::Unreadable,
            (Step::Begin, Some(_)) => self.step = Step::Here,
            (Step::Here, version) => {
                self.before = version;
                self.step = Step::There;
            }
            (Step::There, version) if self.before < version => self.step = Step::Copy,
            (Step::There | Step::Copy, Some(_)) => self.mended(),
            (Step::Fetch, Some(version)) => {
                if self.aim == Aim::Load {
                    return Then::Done;
                }
                self.version = version.saturating_add(1);
                (self.copy, self.anew) = (First, false);
                self.step = Step::Write;
            }
            (Step::Write | Step::Erase, Some(_)) => match self.copy {
                First => (self.copy, self.anew) = (Second, false),
                Second => return Then::Done,
            },
        }
        Then::Next
    }

    fn compare(&mut self) {
        (self.step, self.copy, self.number) = (Step::Compare, First, 0);
        (self.first_lags, self.second_lags) = (false, false);
    }

    fn compared(&mut self, found: Option<u32>) -> Then {
        if self.copy == First {
            (self.before, self.copy) = (found, Second);
            return Then::Next;
        }
        match (self.before, found) {
            (None, None) => return Then::Unreadable,
            (None, Some(_)) => self.mend(First, true),
            (Some(_), None) => self.mend(Second, true),
            (Some(first), Some(second)) => {
                match first.cmp(&second) {
                    Ordering::Less => self.first_lags = true,
                    Ordering::Equal => {}
                    Ordering::Greater => self.second_lags = true,
                }
                self.copy = First;
                if !self.next_key() {
                    let second = self.second_lags && !self.first_lags;
                    self.mend(if second { Second } else { First }, false);
                }
            }
        }
        Then::Next
    }

    /// Goes on to the next key; `false` after that of the boots, which is the last.
    fn next_key(&mut self) -> bool {
        let is_another = self.number < self.slots;
        if is_another {
            self.number = self.number.saturating_add(1);
        }
        is_another
    }

    /// Brings a copy in line with the other.
    fn mend(&mut self, copy: Twin, anew: bool) {
        if anew {
            error!("records of one flash copy unreadable: made anew from the other");
        }
        (self.copy, self.anew, self.number) = (copy, anew, 0);
        self.step = Step::Begin;
    }

    /// One key of the copy is in line.
    fn mended(&mut self) {
        self.step = if self.next_key() {
            Step::Here
        } else if self.version > 0 {
            Step::Write
        } else {
            Step::Fetch
        };
    }
}
