//! DescribeJobExecution, to `…/{jobId}/get` or `…/$next/get`.

use super::EncodeError;
use super::object::{INT_LEN_MAX, Object, TOKEN_LEN_MAX};
use crate::ClientToken;
use crate::words::member;

/// Asks for one execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Describe<'a> {
    /// Which execution of the job; the latest if `None`.
    pub execution_number: Option<i64>,
    /// Whether the reply has the job document; the service says yes if `None`.
    pub include_job_document: Option<bool>,
    /// Comes back in the reply.
    pub client_token: Option<ClientToken<'a>>,
}

impl Describe<'_> {
    /// Longest request, in bytes.
    pub const LEN_MAX: usize = "{,,}".len()
        + "\"executionNumber\":".len()
        + INT_LEN_MAX
        + "\"includeJobDocument\":false".len()
        + TOKEN_LEN_MAX;

    /// Writes the payload into `out`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooSmall`] with the exact length when `out` is too short.
    pub fn encode<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        let mut object = Object::new(out);
        object.int(member::EXECUTION_NUMBER, &self.execution_number);
        object.bool(member::INCLUDE_DOCUMENT, self.include_job_document);
        object.finish(0, self.client_token)
    }
}
