//! The `statusDetails` of an execution, as the service returns them.

use crate::members::{Members, string};
use crate::scan::Scanner;
use crate::text::EscapedStr;

/// The `statusDetails` of an execution: text by name, in the order of the message.
///
/// The service keeps only texts. A member of another type is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusDetails<'a> {
    text: &'a [u8],
}

impl<'a> StatusDetails<'a> {
    /// The caller has checked that this is an object.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text }
    }

    /// The JSON object as it was received.
    #[must_use]
    pub fn as_json(&self) -> &'a [u8] {
        self.text
    }

    /// The pairs of name and text.
    #[must_use]
    pub fn iter(&self) -> StatusDetailsIter<'a> {
        StatusDetailsIter {
            members: Members::new(Scanner::new(self.text, 0)),
        }
    }

    /// The text with this name; the first one, if there are several.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<EscapedStr<'a>> {
        self.iter()
            .find_map(|(name, value)| name.eq_str(key).then_some(value))
    }
}

impl<'a> IntoIterator for &StatusDetails<'a> {
    type Item = (EscapedStr<'a>, EscapedStr<'a>);
    type IntoIter = StatusDetailsIter<'a>;

    fn into_iter(self) -> StatusDetailsIter<'a> {
        self.iter()
    }
}

/// The pairs of [`StatusDetails`].
#[derive(Clone, Debug)]
pub struct StatusDetailsIter<'a> {
    members: Members<'a>,
}

impl<'a> Iterator for StatusDetailsIter<'a> {
    type Item = (EscapedStr<'a>, EscapedStr<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, value) = self.members.next_member()?;
            if let Some(value) = string(value) {
                return Some((name, value));
            }
        }
    }
}

impl core::iter::FusedIterator for StatusDetailsIter<'_> {}
