//! UpdateJobExecution, to `…/{jobId}/update`.

use super::object::{DETAILS_LEN_MAX, INT_LEN_MAX, Object, TOKEN_LEN_MAX};
use super::{EncodeError, StepMinutes};
use crate::details::Details;
use crate::words::member;
use crate::{ClientToken, UpdateStatus};

/// What an update does to the step timer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StepTimeout {
    /// Replace it: the execution ends when it makes no step in this time.
    Minutes(StepMinutes),
    /// Remove it.
    Cancel,
}

/// Reports the state of an execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update<'a> {
    /// The new state.
    pub status: UpdateStatus,
    /// What to say about it.
    pub status_details: Details<'a>,
    /// Refuse the update if the execution has another version.
    pub expected_version: Option<i64>,
    /// Which execution of the job; the latest if `None`.
    pub execution_number: Option<i64>,
    /// Whether the reply tells the state.
    pub include_job_execution_state: bool,
    /// Whether the reply has the job document.
    pub include_job_document: bool,
    /// The step timer; left alone if `None`.
    pub step_timeout_minutes: Option<StepTimeout>,
    /// Comes back in the reply.
    pub client_token: Option<ClientToken<'a>>,
}

impl Update<'_> {
    /// Longest request, in bytes.
    pub const LEN_MAX: usize = "{,,,,,,,}".len()
        + "\"status\":\"IN_PROGRESS\"".len()
        + DETAILS_LEN_MAX
        + "\"expectedVersion\":".len()
        + INT_LEN_MAX
        + "\"executionNumber\":".len()
        + INT_LEN_MAX
        + "\"includeJobExecutionState\":true".len()
        + "\"includeJobDocument\":true".len()
        + "\"stepTimeoutInMinutes\":10080".len()
        + TOKEN_LEN_MAX;

    /// An update that says nothing but the state.
    #[must_use]
    pub const fn new(status: UpdateStatus) -> Self {
        Self {
            status,
            status_details: Details::Unchanged,
            expected_version: None,
            execution_number: None,
            include_job_execution_state: false,
            include_job_document: false,
            step_timeout_minutes: None,
            client_token: None,
        }
    }

    /// Writes the payload into `out`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooSmall`] with the exact length when `out` is too short,
    /// [`EncodeError::Details`] when the status details are not legal.
    pub fn encode<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        let mut object = Object::new(out);
        object.status(self.status);
        object.details(&self.status_details);
        object.int(member::EXPECTED_VERSION, &self.expected_version);
        object.int(member::EXECUTION_NUMBER, &self.execution_number);
        let yes = |include: bool| include.then_some(true);
        object.bool(member::INCLUDE_STATE, yes(self.include_job_execution_state));
        object.bool(member::INCLUDE_DOCUMENT, yes(self.include_job_document));
        let minutes = match self.step_timeout_minutes {
            None => 0,
            Some(StepTimeout::Cancel) => -1,
            Some(StepTimeout::Minutes(minutes)) => i32::from(minutes.minutes()),
        };
        object.finish(minutes, self.client_token)
    }
}
