//! Lists of executions as an iterator.

use super::lines::Walk;
use super::{Message, Number, Time};
use crate::{EpochSeconds, JobId, JobStatus, WireStatus};

/// One line of a list of executions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobExecutionSummary<'a> {
    /// The job.
    pub job_id: JobId<'a>,
    /// The state, told by the list in which the line stood.
    pub status: WireStatus,
    /// Which execution of the job this is; old examples lack it.
    pub execution_number: Option<i64>,
    /// When it was queued.
    pub queued_at: Option<EpochSeconds>,
    /// When it was first IN_PROGRESS.
    pub started_at: Option<EpochSeconds>,
    /// When it last changed.
    pub last_updated_at: Option<EpochSeconds>,
    /// Grows with every change.
    pub version_number: Option<i64>,
}

/// The lines of one or of all lists of a message, read while iterating.
#[derive(Clone, Debug)]
pub struct Summaries<'a> {
    walk: Walk<'a>,
    /// Where the object stands that holds the lists; 0 if that is the message.
    object_at: usize,
    /// Only lines of this state.
    wanted: Option<JobStatus>,
}

impl<'a> Summaries<'a> {
    /// Of a message that was read.
    pub(super) fn of(message: &Message<'_, 'a>) -> Self {
        Self {
            walk: message.walk.clone(),
            object_at: message.object_at,
            wanted: None,
        }
    }

    pub(super) fn only(&self, wanted: Option<JobStatus>) -> Self {
        Self {
            wanted,
            ..self.clone()
        }
    }
}

impl<'a> Iterator for Summaries<'a> {
    type Item = JobExecutionSummary<'a>;

    /// The payload was checked as a whole, so no fault can come up; it would end the iteration.
    fn next(&mut self) -> Option<Self::Item> {
        let mut room = [&[][..]; Message::ROOM];
        let mut line = Message::new(&mut room);
        line.object_at = self.object_at;
        loop {
            core::mem::swap(&mut line.walk, &mut self.walk);
            let status = line.next_line();
            core::mem::swap(&mut line.walk, &mut self.walk);
            let status = status?;
            if self.wanted.is_none_or(|wanted| status.is(wanted)) {
                return Some(JobExecutionSummary {
                    job_id: line.job_id()?,
                    status,
                    execution_number: line.number(Number::Execution),
                    queued_at: line.time(Time::Queued),
                    started_at: line.time(Time::Started),
                    last_updated_at: line.time(Time::LastUpdated),
                    version_number: line.number(Number::Version),
                });
            }
        }
    }
}

impl core::iter::FusedIterator for Summaries<'_> {}
