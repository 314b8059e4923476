//! The members of a request.

use super::EncodeError;
use crate::ClientToken;
use crate::details::{Details, DetailsError};
use crate::limits::{
    CLIENT_TOKEN_LEN_MAX, STATUS_DETAILS_KEY_LEN_MAX, STATUS_DETAILS_PAIRS_MAX,
    STATUS_DETAILS_VALUE_LEN_MAX,
};
use crate::write::Writer;

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
        let mut writer = Writer::new(out);
        writer.byte(b'{');
        Self {
            writer,
            error: None,
        }
    }

    fn key(&mut self, key: &str) {
        if self.writer.len() > 1 {
            self.writer.byte(b',');
        }
        self.writer.key(key);
    }

    /// A text that needs no escaping.
    pub(super) fn plain(&mut self, key: &str, text: &str) {
        self.key(key);
        self.writer.byte(b'"');
        self.writer.str(text);
        self.writer.byte(b'"');
    }

    pub(super) fn token(&mut self, token: Option<ClientToken<'_>>) {
        if let Some(token) = token {
            self.plain("clientToken", token.as_str());
        }
    }

    pub(super) fn int(&mut self, key: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.key(key);
            self.writer.int(value);
        }
    }

    pub(super) fn bool(&mut self, key: &str, value: bool) {
        self.key(key);
        self.writer.str(if value { "true" } else { "false" });
    }

    pub(super) fn details(&mut self, details: &Details<'_>) {
        if !details.is_unchanged() {
            self.key("statusDetails");
            self.error = details.write(&mut self.writer).err();
        }
    }

    pub(super) fn finish(mut self) -> Result<&'b [u8], EncodeError> {
        self.writer.byte(b'}');
        match self.error {
            Some(error) => Err(EncodeError::Details(error)),
            None => Ok(self.writer.finish()?),
        }
    }
}
