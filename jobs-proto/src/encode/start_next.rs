//! StartNextPendingJobExecution, to `…/start-next`.

use super::EncodeError;
use super::object::{DETAILS_LEN_MAX, Object, TOKEN_LEN_MAX};
use crate::ClientToken;
use crate::details::Details;
use crate::limits::{STEP_TIMEOUT_MAX_MINUTES, STEP_TIMEOUT_MIN_MINUTES};

/// The length of a step timer: 1 to 10 080 minutes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StepMinutes(u16);

impl StepMinutes {
    /// The longest step timer: seven days.
    pub const MAX: Self = Self(STEP_TIMEOUT_MAX_MINUTES);

    /// Checks the range; `None` outside of it.
    #[must_use]
    pub const fn new(minutes: u16) -> Option<Self> {
        if minutes < STEP_TIMEOUT_MIN_MINUTES || minutes > STEP_TIMEOUT_MAX_MINUTES {
            return None;
        }
        Some(Self(minutes))
    }

    /// The minutes.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

/// Asks for the next pending execution and starts it if it is queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StartNext<'a> {
    /// Counts only if the execution is really started by this request.
    pub status_details: Details<'a>,
    /// Ends the execution when it makes no step in this time.
    pub step_timeout_minutes: Option<StepMinutes>,
    /// Comes back in the reply.
    pub client_token: Option<ClientToken<'a>>,
}

impl StartNext<'_> {
    /// Longest request, in bytes.
    pub const LEN_MAX: usize =
        "{,,}".len() + DETAILS_LEN_MAX + "\"stepTimeoutInMinutes\":10080".len() + TOKEN_LEN_MAX;

    /// Writes the payload into `out`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooSmall`] with the exact length when `out` is too short,
    /// [`EncodeError::Details`] when the status details are not legal.
    pub fn encode<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        let mut object = Object::new(out);
        object.details(&self.status_details);
        let minutes = self.step_timeout_minutes.map_or(0, StepMinutes::minutes);
        object.finish(minutes.into(), self.client_token)
    }
}
