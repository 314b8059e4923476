//! Which execution of which job.

use jobs_proto::{
    EpochSeconds, JobId,
    decode::{JobExecution, JobExecutionSummary, Salvage},
};

/// The execution a message speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobKey<'b> {
    pub(crate) id: JobId<'b>,
    pub(crate) execution_number: Option<i64>,
    pub(crate) queued_at: u64,
}

impl<'b> JobKey<'b> {
    fn new(id: JobId<'b>, number: Option<i64>, queued_at: Option<EpochSeconds>) -> Self {
        Self {
            id,
            execution_number: number,
            queued_at: queued_at.map_or(0, EpochSeconds::as_secs),
        }
    }

    // What is moved here would be moved in half a dozen places.
    #[inline(never)]
    pub(crate) fn of(execution: &JobExecution<'b>) -> Self {
        let number = execution.execution_number;
        Self::new(execution.job_id, number, execution.queued_at)
    }

    pub(crate) fn of_line(line: &JobExecutionSummary<'b>) -> Self {
        Self::new(line.job_id, line.execution_number, line.queued_at)
    }

    pub(crate) fn of_salvage(salvage: &Salvage<'b>) -> Self {
        let number = salvage.execution_number;
        Self::new(salvage.job_id, number, salvage.queued_at)
    }
}

impl JobKey<'_> {
    /// Whether both are the same execution, as far as they tell.
    pub(crate) fn is(&self, other: &JobKey<'_>) -> bool {
        let same_execution = match (self.execution_number, other.execution_number) {
            (Some(ours), Some(theirs)) => ours == theirs,
            // Documentation examples leave the number out; then the id must do.
            (None, _) | (_, None) => true,
        };
        // Sources of one execution differ by a second at times (captured in the C++ walkthrough).
        let same_time = self.queued_at == 0
            || other.queued_at == 0
            || self.queued_at.abs_diff(other.queued_at) <= 1;
        self.id == other.id && same_execution && same_time
    }
}
