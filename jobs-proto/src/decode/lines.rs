//! Lists of executions, read entry by entry.

use super::shape::{HEAD, LINE};
use super::{ErrorKind, Message};
use crate::members::Members;
use crate::scan::Scanner;
use crate::status::find_status;
use crate::words::{self, words};
use crate::{JobStatus, WireStatus};

words! {
    /// The lists of the states that come first in [`JobStatus::ALL`].
    LISTS, find_list: "queuedJobs", "inProgressJobs",
}

/// The number of a list for a state that is not known, behind those of all that are.
const UNKNOWN: u8 = 8;

/// The bits of the states that are known.
const KNOWN: u32 = (1 << UNKNOWN) - 1;

/// How far a message was read, and its lists.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Walk<'a> {
    pub(super) members: Members<'a>,
    /// The list that is being read, as the number of its state; the scanner stands behind its
    /// bracket or behind a line.
    list: u8,
    /// States whose list was met, one bit each.
    met: u32,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(payload: &'a [u8], at: usize) -> Self {
        Self::at(Members::new(Scanner::new(payload, at)))
    }

    /// In no list yet.
    pub(super) const fn at(members: Members<'a>) -> Self {
        Self {
            members,
            list: words::NONE,
            met: 0,
        }
    }

    /// Begins anew, with the object that stands here.
    pub(super) fn begin(&mut self, payload: &'a [u8], at: usize) {
        self.members.scanner.begin(payload, at);
        self.members.restart();
        self.list = words::NONE;
        self.met = 0;
    }
}

impl Message<'_, '_> {
    /// Reads the next line of the lists in place of the last one and returns the state that its
    /// list stands for, also of lists for states that are not known; `None` behind the last line,
    /// and in a message without lists.
    ///
    /// Of the message itself the token and the time stay.
    ///
    /// The lists were checked as a whole when the message was read, so no fault can come up; it
    /// would end the iteration.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub fn next_line(&mut self) -> Option<WireStatus> {
        self.retain(HEAD);
        while self.walk.list == words::NONE {
            if !self.open_list() {
                return None;
            }
        }
        let state = self.walk.list;
        self.object(&LINE, false);
        let scanner = &mut self.walk.members.scanner;
        if scanner.take(b']') {
            self.walk.list = words::NONE;
        } else {
            scanner.byte(b',');
        }
        if !self.scanner().is_sound() {
            return None;
        }
        Some(JobStatus::nth(state).map_or(WireStatus::Unknown, WireStatus::Known))
    }

    /// Goes to the first line of the next list; false if there is none.
    fn open_list(&mut self) -> bool {
        let Some(name) = self.walk.members.next_key() else {
            // What follows belongs to another object.
            self.scanner().close();
            return false;
        };
        // The lists of `notify` are called as the states are, and stand in an object of theirs.
        let list = if self.object_at != 0 {
            find_status(name).min(UNKNOWN)
        } else {
            find_list(name)
        };
        let scanner = &mut self.walk.members.scanner;
        if list == words::NONE {
            scanner.value();
            return true;
        }
        // There can be several lists of states that are not known.
        let bit = 1_u32.wrapping_shl(list.into()) & KNOWN;
        if self.walk.met & bit != 0 {
            scanner.fail(ErrorKind::DuplicateKey);
        }
        self.walk.met |= bit;
        if scanner.take(b'[') {
            if !scanner.take(b']') {
                self.walk.list = list;
            }
        } else if scanner.peek() == b'n' {
            scanner.value();
        } else {
            scanner.unexpected_or(ErrorKind::WrongType);
        }
        true
    }
}
