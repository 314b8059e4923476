//! What happens in an agent, for whoever keeps a journal of it.

use jobs_agent_core::{Attempt, Ending, Ignored, Refusal};

use crate::link::LinkError;

/// Something that happened, in the order in which it did; lent for the time of the call.
///
/// What is in it may quote a job document, so [`redact`](crate::redact) what you write down.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// The broker accepted a connection.
    Connected {
        /// The broker kept the session.
        session_present: bool,
    },
    /// A connection ended, or an attempt to connect failed.
    Disconnected {
        /// Why, and what to do about it.
        why: &'a LinkError,
        /// Somebody has to look at this.
        permanent: bool,
    },
    /// A message changed nothing.
    Ignored {
        /// Its topic.
        topic: &'a str,
        /// What was in it.
        payload: &'a [u8],
        /// Why it changed nothing.
        reason: Ignored,
    },
    /// A job was offered, and the handlers have decided.
    Decided {
        /// The job.
        job_id: &'a str,
        /// Which execution of it.
        execution_number: Option<i64>,
        /// It was begun before a restart.
        resuming: bool,
        /// Why it is not taken; `None` if it is.
        refusal: Option<&'a Refusal>,
    },
    /// A handler starts.
    Started {
        /// The job.
        job_id: &'a str,
        /// Which execution of it.
        execution_number: Option<i64>,
        /// Which attempt since its last checkpoint.
        attempt: Attempt,
    },
    /// A job is over for this agent.
    Ended {
        /// The job.
        job_id: &'a str,
        /// How it ended.
        ending: Ending,
    },
}

/// Hears of what happens; see [`Agent::observe`](crate::Agent::observe).
pub(crate) type Observer = Box<dyn Fn(&Happening<'_>) + Send + Sync>;
