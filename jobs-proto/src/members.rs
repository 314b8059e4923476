//! Walking the members of an object.

use crate::decode::ErrorKind;
use crate::scan::Scanner;
use crate::text::EscapedStr;

/// Walks the members of one object.
#[derive(Clone, Debug)]
#[repr(C)]
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
    #[cfg_attr(feature = "fast", inline(always))]
    pub(crate) fn next_key(&mut self) -> Option<EscapedStr<'a>> {
        let scanner = &mut self.scanner;
        if self.opened {
            if !scanner.take(b',') {
                scanner.byte(b'}');
                return None;
            }
        } else {
            self.opened = true;
            if !scanner.take(b'{') {
                scanner.unexpected_or(ErrorKind::WrongType);
                return None;
            }
            if scanner.take(b'}') {
                return None;
            }
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

/// The inside of a checked value, when it is a string.
pub(crate) fn string(text: &[u8]) -> Option<EscapedStr<'_>> {
    match text {
        [b'"', inside @ .., b'"'] => Some(EscapedStr::new(inside)),
        _ => None,
    }
}
