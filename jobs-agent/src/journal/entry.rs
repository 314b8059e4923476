//! One line of the journal.

use std::time::{SystemTime, UNIX_EPOCH};

use agent_std::{Ending, Happening, Ignored, Refusal, redact::redact};
use jobs_agent_core::{Outcome, REASON_KEY, Status};
use jobs_proto::limits::JOB_ID_LEN_MAX;
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, milliseconds since 1970 by the clock of this machine.
    pub at_ms: u64,
    /// How often it happened again right after.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What happened, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub enum What {
    /// The agent started.
    AgentStarted {
        /// Its version.
        version: String,
    },
    /// The agent ended in order.
    AgentEnded,
    /// The disk was slower than what happened: so many entries are missing about here.
    Lost {
        /// Entries.
        count: u64,
    },
    /// Connected to the broker.
    Connected,
    /// The connection was lost, or could not be made.
    Disconnected {
        /// Why, and what to do about it.
        why: String,
    },
    /// A message about a job changed nothing.
    Ignored {
        /// The job, if the message named one.
        job: Option<String>,
        /// Why.
        why: String,
    },
    /// A job was taken.
    Accepted {
        /// The job.
        job: String,
        /// It was begun before a restart, and goes on.
        resumed: bool,
    },
    /// A job was not taken.
    Refused {
        /// The job.
        job: String,
        /// Why, and what follows from it.
        why: String,
    },
    /// The work on a job began.
    Started {
        /// The job.
        job: String,
        /// Which attempt since its last checkpoint.
        attempt: u8,
    },
    /// The work on a job ended.
    Finished {
        /// The job.
        job: String,
        /// With what.
        outcome: String,
    },
    /// The job is over for this agent.
    Over {
        /// The job.
        job: String,
        /// How the service sees it.
        how: String,
    },
}

impl What {
    /// The job it is about.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        match self {
            Self::AgentStarted { .. }
            | Self::AgentEnded
            | Self::Lost { .. }
            | Self::Connected
            | Self::Disconnected { .. } => None,
            Self::Ignored { job, .. } => job.as_deref(),
            Self::Accepted { job, .. }
            | Self::Refused { job, .. }
            | Self::Started { job, .. }
            | Self::Finished { job, .. }
            | Self::Over { job, .. } => Some(job),
        }
    }

    /// Whether repetitions of it are counted instead of written: what others can cause at will.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        matches!(self, Self::Ignored { .. } | Self::Disconnected { .. })
    }

    /// What of `happening` belongs into a journal.
    #[must_use]
    pub fn of(happening: &Happening<'_>) -> Option<Self> {
        Some(match *happening {
            Happening::Connected { .. } => Self::Connected,
            Happening::Disconnected { why, .. } => Self::Disconnected {
                why: redact(&why.to_string()).into_owned(),
            },
            Happening::Ignored {
                payload, reason, ..
            } => Self::Ignored {
                job: job_in(payload),
                why: ignored(reason)?.to_owned(),
            },
            Happening::Decided {
                job_id,
                resuming,
                refusal,
                ..
            } => match refusal {
                None => Self::Accepted {
                    job: job_id.to_owned(),
                    resumed: resuming,
                },
                Some(refusal) => Self::Refused {
                    job: job_id.to_owned(),
                    why: refused(refusal),
                },
            },
            Happening::Started {
                job_id, attempt, ..
            } => Self::Started {
                job: job_id.to_owned(),
                attempt: attempt.number,
            },
            Happening::Ended { job_id, ending } => Self::Over {
                job: job_id.to_owned(),
                how: over(ending).to_owned(),
            },
            _ => return None,
        })
    }

    /// The end of the work on a job.
    #[must_use]
    pub fn finished(job_id: &str, outcome: &Outcome) -> Self {
        let (word, details) = match outcome {
            Outcome::Succeeded(details) => ("succeeded", Some(details)),
            Outcome::Failed(details) => ("failed", Some(details)),
            Outcome::Rejected(details) => ("rejected", Some(details)),
            Outcome::Reboot(_) => ("wants a reboot to go on", None),
        };
        let reason = details.and_then(|details| details.iter().find(|(key, _)| *key == REASON_KEY));
        let outcome = match reason {
            Some((_, reason)) => format!("{word}: {}", redact(reason)),
            None => word.to_owned(),
        };
        Self::Finished {
            job: job_id.to_owned(),
            outcome,
        }
    }
}

/// `None` for what happens all the time and means nothing.
fn ignored(reason: Ignored) -> Option<&'static str> {
    Some(match reason {
        Ignored::Duplicate => "deduplicated: this execution is being done already",
        Ignored::Left => "left to somebody else before",
        Ignored::Busy => "every slot is taken; the queue is asked again when one is free",
        Ignored::Unreadable => "the message cannot be read, and not even a job id was in it",
        Ignored::Token => "a reply to no request of this agent: old, repeated or foreign",
        Ignored::Topic(_) | Ignored::Irrelevant => return None,
    })
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Unknown => "no handler of this device knows it, or is allowed to do it".to_owned(),
        Refusal::NotMine => "somebody else's: left alone".to_owned(),
        Refusal::Reject(reason) => format!("rejected: {}", redact(reason.as_str())),
        Refusal::Later { retry_ms } => format!("not now; asked again in {retry_ms} ms"),
    }
}

fn over(ending: Ending) -> &'static str {
    match ending {
        Ending::Reported(Status::Succeeded) => "the service has SUCCEEDED",
        Ending::Reported(Status::Failed) => "the service has FAILED",
        Ending::Reported(Status::Rejected) => "the service has REJECTED",
        Ending::AlreadyOver => "it was over at the service already",
        Ending::Refused => "the service refused the report for good",
        Ending::Stopped(_) => "canceled, timed out or removed while it was done",
        Ending::Left => "left to somebody else",
    }
}

/// The job id in a message, as far as it can be read.
fn job_in(payload: &[u8]) -> Option<String> {
    let message: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let id = message.pointer("/execution/jobId")?.as_str()?;
    // Longer ones are none, and each ignored message would leave its own in the journal.
    (id.len() <= JOB_ID_LEN_MAX).then(|| id.to_owned())
}

/// Milliseconds since 1970 by the clock of this machine.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_job_id_does_not_fill_the_journal() {
        let message = |id: &str| format!(r#"{{"execution":{{"jobId":"{id}"}}}}"#);
        assert_eq!(job_in(message("a-1").as_bytes()).as_deref(), Some("a-1"));
        assert_eq!(job_in(message(&"a".repeat(100_000)).as_bytes()), None);
    }
}
