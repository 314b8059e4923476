//! Looking into a job document without parsing it into a tree.

use crate::members::{Members, string};
use crate::number;
use crate::scan::Scanner;
use crate::text::EscapedStr;

/// A read-only view of a JSON object, for handlers that cannot allocate.
///
/// Made for the document of [`crate::decode::JobExecution::job_document`], which is well-formed.
/// Of other bytes it shows what can be read; it never panics. Each look-up walks the object once.
/// A name that comes twice is treated as absent, because two parsers could differ on which one
/// counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Document<'a>(pub &'a [u8]);

impl<'a> Document<'a> {
    /// Whether this is one well-formed JSON object and nothing else.
    #[must_use]
    pub fn is_object(&self) -> bool {
        let mut scanner = Scanner::new(self.0, 0);
        let object = scanner.next_token() == b'{';
        scanner.value();
        scanner.end();
        object && scanner.is_sound()
    }

    /// The value with this name as it stands in the document.
    #[must_use]
    pub fn raw_field(&self, key: &str) -> Option<&'a [u8]> {
        let mut members = Members::new(Scanner::new(self.0, 0));
        let mut found = None;
        while let Some(name) = members.next_key() {
            let value = members.scanner.value();
            if name.eq_str(key) && found.replace(value).is_some() {
                return None;
            }
        }
        found.filter(|_| members.scanner.is_sound())
    }

    /// The string with this name.
    #[must_use]
    pub fn str_field(&self, key: &str) -> Option<EscapedStr<'a>> {
        string(self.raw_field(key)?)
    }

    /// The number with this name, if it is whole, not negative and has at most 19 digits.
    #[must_use]
    pub fn u64_field(&self, key: &str) -> Option<u64> {
        number::unsigned(self.raw_field(key)?)
    }

    /// The number with this name, if it is whole and fits.
    #[must_use]
    pub fn i64_field(&self, key: &str) -> Option<i64> {
        number::signed(self.raw_field(key)?)
    }

    /// The truth value with this name.
    #[must_use]
    pub fn bool_field(&self, key: &str) -> Option<bool> {
        match self.raw_field(key)? {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The object with this name.
    #[must_use]
    pub fn object_field(&self, key: &str) -> Option<Self> {
        let text = self.raw_field(key)?;
        (text.first() == Some(&b'{')).then_some(Self(text))
    }

    /// The elements of the array with this name, each as it stands in the document.
    #[must_use]
    pub fn array_field(&self, key: &str) -> Option<Elements<'a>> {
        let text = self.raw_field(key)?;
        text.strip_prefix(b"[").map(|_| Elements {
            scanner: Scanner::new(text, 0),
        })
    }

    /// The value at the end of a path of names, as it stands in the document.
    ///
    /// ```
    /// use jobs_proto::document::Document;
    ///
    /// let document = Document(br#"{"steps":{"first":{"delay":5}}}"#);
    /// assert_eq!(document.path(&["steps", "first", "delay"]), Some(&b"5"[..]));
    /// ```
    #[must_use]
    pub fn path(&self, keys: &[&str]) -> Option<&'a [u8]> {
        keys.iter()
            .try_fold(self.0, |text, key| Self(text).raw_field(key))
    }
}

/// The elements of an array in a [`Document`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    scanner: Scanner<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let scanner = &mut self.scanner;
        if !matches!(scanner.next_token(), b'[' | b',') {
            return None;
        }
        scanner.bump();
        // The bracket of an empty array is no value, and nothing follows it.
        let value = scanner.value();
        (!value.is_empty()).then_some(value)
    }
}

impl core::iter::FusedIterator for Elements<'_> {}
