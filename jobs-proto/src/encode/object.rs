//! The members of a request.

use super::EncodeError;
use crate::details::{Details, DetailsError};
use crate::limits::{
    CLIENT_TOKEN_LEN_MAX, STATUS_DETAILS_KEY_LEN_MAX, STATUS_DETAILS_PAIRS_MAX,
    STATUS_DETAILS_VALUE_LEN_MAX,
};
use crate::status::STATUSES;
use crate::words::{self, MEMBERS, member};
use crate::write::Writer;
use crate::{ClientToken, UpdateStatus};

/// Writes one JSON object.
pub(super) struct Object<'b> {
    writer: Writer<'b>,
    /// Why its details are not legal; told at the end.
    error: Option<DetailsError>,
}

/// Longest decimal number, in bytes: `i64::MIN`.
pub(super) const INT_LEN_MAX: usize = 20;

/// Longest member `clientToken`, in bytes.
pub(super) const TOKEN_LEN_MAX: usize = "\"clientToken\":\"\"".len() + CLIENT_TOKEN_LEN_MAX;

/// Longest member `statusDetails`, in bytes; every character of a value takes four.
pub(super) const DETAILS_LEN_MAX: usize = "\"statusDetails\":{}".len()
    + STATUS_DETAILS_PAIRS_MAX
        * ("\"\":\"\"".len() + STATUS_DETAILS_KEY_LEN_MAX + STATUS_DETAILS_VALUE_LEN_MAX)
    + (STATUS_DETAILS_PAIRS_MAX - 1) * ",".len();

impl<'b> Object<'b> {
    pub(super) fn new(out: &'b mut [u8]) -> Self {
        Self {
            writer: Writer::new(out),
            error: None,
        }
    }

    #[cfg_attr(not(feature = "fast"), inline(never))]
    fn key(&mut self, member: u8) {
        let writer = &mut self.writer;
        writer.byte(if writer.len() == 0 { b'{' } else { b',' });
        writer.byte(b'"');
        writer.bytes(words::nth(MEMBERS, usize::from(member)));
        writer.bytes(b"\":");
    }

    /// A text that needs no escaping.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    fn text(&mut self, member: u8, text: &[u8]) {
        self.key(member);
        self.writer.byte(b'"');
        self.writer.bytes(text);
        self.writer.byte(b'"');
    }

    pub(super) fn status(&mut self, status: UpdateStatus) {
        let name = words::nth(STATUSES, status as usize);
        self.text(member::STATUS, name);
    }

    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(super) fn int(&mut self, member: u8, value: &Option<i64>) {
        if let Some(value) = value {
            self.key(member);
            self.writer.int(*value);
        }
    }

    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(super) fn bool(&mut self, member: u8, value: Option<bool>) {
        if let Some(value) = value {
            let name: &[u8] = if value { b"true" } else { b"false" };
            self.key(member);
            self.writer.bytes(name);
        }
    }

    pub(super) fn details(&mut self, details: &Details<'_>) {
        if !details.is_unchanged() {
            self.key(member::STATUS_DETAILS);
            self.error = details.write(&mut self.writer).err();
        }
    }

    /// Writes what all requests end with: a step timer in minutes (none if 0, removed if -1) and
    /// the token.
    #[inline(never)]
    pub(super) fn finish(
        mut self,
        minutes: i32,
        token: Option<ClientToken<'_>>,
    ) -> Result<&'b [u8], EncodeError> {
        if minutes != 0 {
            self.int(member::STEP_TIMEOUT, &Some(i64::from(minutes)));
        }
        if let Some(token) = token {
            self.text(member::CLIENT_TOKEN, token.as_bytes());
        }
        if self.writer.len() == 0 {
            self.writer.byte(b'{');
        }
        self.writer.byte(b'}');
        match self.error {
            Some(error) => Err(EncodeError::Details(error)),
            None => Ok(self.writer.finish()?),
        }
    }
}
