//! What the service does to executions by itself: queue, end, cancel, complete.

use super::queue::Changes;
use super::service::Service;
use super::state::{Execution, ExecutionStatus, JobStatus, RetriesUsed, TargetSelection};

impl Service {
    /// Finds an execution: that number, or the latest.
    pub(crate) fn find(
        &self,
        thing: &str,
        job_id: &str,
        number: Option<u64>,
    ) -> Option<(u64, &Execution)> {
        let numbers = self.executions.get(thing)?.get(job_id)?;
        match number {
            Some(number) => numbers.get(&number).map(|execution| (number, execution)),
            None => numbers
                .last_key_value()
                .map(|(number, execution)| (*number, execution)),
        }
    }

    pub(crate) fn find_mut(
        &mut self,
        thing: &str,
        job_id: &str,
        number: u64,
    ) -> Option<&mut Execution> {
        self.executions
            .get_mut(thing)?
            .get_mut(job_id)?
            .get_mut(&number)
    }

    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial = self.serial.saturating_add(1);
        self.serial
    }

    /// Queues a new execution of a job on a thing.
    pub(crate) fn queue_execution(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        used: RetriesUsed,
        changes: &mut Changes,
    ) {
        changes.touch(self, thing);
        let serial = self.next_serial();
        let hidden_reads = self.faults.read_lag;
        let Some(job) = self.jobs.get_mut(job_id) else {
            return;
        };
        job.members.insert(thing.to_owned());
        job.notified = job.notified.saturating_add(1);
        job.open = job.open.saturating_add(1);
        let numbers = self
            .executions
            .entry(thing.to_owned())
            .or_default()
            .entry(job_id.to_owned())
            .or_default();
        let number = numbers
            .last_key_value()
            .map_or(1, |(last, _)| last.saturating_add(1));
        let execution = Execution {
            status: ExecutionStatus::Queued,
            details: None,
            version: 1,
            queued_at_ms: now_ms,
            serial,
            started_at_ms: None,
            updated_at_ms: now_ms,
            force_canceled: false,
            job_deadline_ms: None,
            step_deadline_ms: None,
            retries_used: used,
            hidden_reads,
        };
        numbers.insert(number, execution);
    }

    /// Ends an open execution from the service's side.
    pub(crate) fn end_execution(
        &mut self,
        now_ms: u64,
        thing: &str,
        (job_id, number): (&str, u64),
        status: ExecutionStatus,
        forced: bool,
        changes: &mut Changes,
    ) {
        changes.touch(self, thing);
        let Some(execution) = self.find_mut(thing, job_id, number) else {
            return;
        };
        if execution.status.is_terminal() {
            return;
        }
        execution.force_canceled = forced;
        execution.changed(now_ms, status);
        self.after_end(now_ms, thing, job_id, number, changes);
    }

    /// What follows from the end of an execution: event, retry, abort, completion of the job.
    pub(crate) fn after_end(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        number: u64,
        changes: &mut Changes,
    ) {
        if let Some(job) = self.jobs.get_mut(job_id) {
            job.open = job.open.saturating_sub(1);
        }
        self.execution_event(now_ms, thing, job_id, number, changes);
        self.retry(now_ms, thing, job_id, number, changes);
        self.check_abort(now_ms, job_id, changes);
        self.check_completed(now_ms, job_id, changes);
    }

    /// The latest execution of each thing of a job.
    pub(crate) fn latest_of_job(
        &self,
        job_id: &str,
    ) -> impl Iterator<Item = (&str, u64, &Execution)> {
        let members = self.jobs.get(job_id).map(|job| &job.members);
        members.into_iter().flatten().filter_map(move |thing| {
            let (number, execution) = self.find(thing, job_id, None)?;
            Some((thing.as_str(), number, execution))
        })
    }

    /// How many things stand in one of some states, by their latest execution.
    pub(crate) fn count_latest(&self, job_id: &str, wanted: &[ExecutionStatus]) -> u64 {
        let found = self
            .latest_of_job(job_id)
            .filter(|(_, _, e)| wanted.contains(&e.status));
        u64::try_from(found.count()).unwrap_or(u64::MAX)
    }

    /// Puts a job to CANCELED and ends its QUEUED executions, with force also the running ones.
    pub(crate) fn stop_job(
        &mut self,
        now_ms: u64,
        job_id: &str,
        force: bool,
        changes: &mut Changes,
    ) {
        let Some(job) = self.jobs.get_mut(job_id) else {
            return;
        };
        job.status = JobStatus::Canceled;
        job.updated_at_ms = now_ms;
        job.completed_at_ms = Some(now_ms);
        job.force_canceled = job.force_canceled || force;
        job.waiting.clear();
        job.next_rollout_ms = None;
        job.due_retries.clear();
        let open: Vec<(String, u64)> = self
            .latest_of_job(job_id)
            .filter(|(_, _, execution)| match execution.status {
                ExecutionStatus::Queued => true,
                ExecutionStatus::InProgress => force,
                ExecutionStatus::Succeeded
                | ExecutionStatus::Failed
                | ExecutionStatus::TimedOut
                | ExecutionStatus::Rejected
                | ExecutionStatus::Removed
                | ExecutionStatus::Canceled => false,
            })
            .map(|(thing, number, _)| (thing.to_owned(), number))
            .collect();
        self.job_event(now_ms, job_id, "cancellation_in_progress", changes);
        for (thing, number) in open {
            let id = (job_id, number);
            self.end_execution(
                now_ms,
                &thing,
                id,
                ExecutionStatus::Canceled,
                force,
                changes,
            );
        }
        self.job_event(now_ms, job_id, "canceled", changes);
    }

    /// A snapshot job is COMPLETED when nothing of it is open any more; a continuous one never is.
    pub(crate) fn check_completed(&mut self, now_ms: u64, job_id: &str, changes: &mut Changes) {
        let Some(job) = self.jobs.get(job_id) else {
            return;
        };
        let over = job.status == JobStatus::InProgress
            && job.selection == TargetSelection::Snapshot
            && job.waiting.is_empty()
            && job.due_retries.is_empty()
            && job.open == 0;
        if !over {
            return;
        }
        if let Some(job) = self.jobs.get_mut(job_id) {
            job.status = JobStatus::Completed;
            job.updated_at_ms = now_ms;
            job.completed_at_ms = Some(now_ms);
        }
        self.job_event(now_ms, job_id, "completed", changes);
    }
}
