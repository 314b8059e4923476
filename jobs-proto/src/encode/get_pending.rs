//! GetPendingJobExecutions, to `…/get`.

use super::EncodeError;
use super::object::{Object, TOKEN_LEN_MAX};
use crate::ClientToken;

/// Asks for the lists of pending executions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GetPending<'a> {
    /// Comes back in the reply.
    pub client_token: Option<ClientToken<'a>>,
}

impl GetPending<'_> {
    /// Longest request, in bytes.
    pub const LEN_MAX: usize = "{}".len() + TOKEN_LEN_MAX;

    /// Writes the payload into `out`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooSmall`] with the exact length when `out` is too short.
    pub fn encode<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        Object::new(out).finish(0, self.client_token)
    }
}
