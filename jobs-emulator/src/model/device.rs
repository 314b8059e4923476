//! The four operations of the data plane, without their doors.

use super::errors::{DeviceErrorCode, Rejection};
use super::queue::{Changes, ExecutionId};
use super::request::{DescribeRequest, StartRequest, StepTimer, UpdateRequest};
use super::service::Service;
use super::settings::{CheckOrder, TerminalUpdate, UnknownThing};
use super::state::{Execution, ExecutionStatus, StatusDetails};
use super::topic::JobRef;
use super::validate::check_job_id;
use super::wire::Reply;

/// Milliseconds of a timer's unit.
const MINUTE_MS: u64 = 60_000;

/// What a device asks for an execution to become.
struct DeviceChange {
    status: ExecutionStatus,
    details: Option<StatusDetails>,
    step: Option<StepTimer>,
}

impl Service {
    /// Takes one request off a fault that is switched on.
    pub(crate) fn injected_fault(&mut self) -> Result<(), Rejection> {
        if let Some(left) = self.faults.throttle.checked_sub(1) {
            self.faults.throttle = left;
            let text = "Too many requests; wait and send the request again";
            return Err(Rejection::new(DeviceErrorCode::RequestThrottled, text));
        }
        if let Some(left) = self.faults.internal_error.checked_sub(1) {
            self.faults.internal_error = left;
            let text = "The service failed on purpose; send the request again";
            return Err(Rejection::new(DeviceErrorCode::InternalError, text));
        }
        Ok(())
    }

    pub(crate) fn get_pending(&mut self, thing: &str) -> Result<Reply, Rejection> {
        self.check_thing(thing)?;
        let (in_progress, queued) = self.lists(thing, true);
        self.count_read(thing);
        Ok(Reply::Pending {
            in_progress,
            queued,
        })
    }

    pub(crate) fn describe(
        &mut self,
        now_ms: u64,
        thing: &str,
        job: JobRef<'_>,
        request: &DescribeRequest,
    ) -> Result<Reply, Rejection> {
        let found = match job {
            JobRef::Next => self.check_thing(thing).map(|()| self.visible_head(thing)),
            JobRef::Id(job_id) => self.describable(thing, job_id, request.number).map(Some),
        };
        self.count_read(thing);
        let detail = found?.and_then(|(job_id, number)| {
            self.detail(now_ms, thing, &job_id, number, request.with_document)
        });
        Ok(Reply::Execution(detail.map(Box::new)))
    }

    pub(crate) fn start_next(
        &mut self,
        now_ms: u64,
        thing: &str,
        request: StartRequest,
        changes: &mut Changes,
    ) -> Result<Reply, Rejection> {
        self.check_thing(thing)?;
        let head = self.visible_head(thing);
        self.count_read(thing);
        let Some((job_id, number)) = head else {
            return Ok(Reply::Execution(None));
        };
        let queued = self
            .find(thing, &job_id, Some(number))
            .is_some_and(|(_, execution)| execution.status == ExecutionStatus::Queued);
        // An execution that runs already is handed out as it is: details and timer do not count.
        if queued {
            let StartRequest { details, step } = request;
            let change = DeviceChange {
                status: ExecutionStatus::InProgress,
                details,
                step,
            };
            self.apply(now_ms, thing, (&job_id, number), change, changes);
        }
        let detail = self.detail(now_ms, thing, &job_id, number, true);
        Ok(Reply::Execution(detail.map(Box::new)))
    }

    pub(crate) fn update(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        request: UpdateRequest,
        changes: &mut Changes,
    ) -> Result<Reply, Rejection> {
        check_job_id(job_id)?;
        let number = self.updatable(thing, job_id, &request)?;
        let UpdateRequest {
            status,
            details,
            step,
            with_state,
            with_document,
            ..
        } = request;
        let change = DeviceChange {
            status,
            details,
            step,
        };
        // Read before the change: the end of an execution may be the end of its job.
        let document = if with_document {
            self.resolved_document(thing, job_id, number)
        } else {
            None
        };
        self.apply(now_ms, thing, (job_id, number), change, changes);
        let state = self
            .find(thing, job_id, Some(number))
            .map(|(_, e)| Box::new(e.clone()));
        Ok(Reply::Updated {
            state: state.filter(|_| with_state),
            document,
        })
    }

    /// The checks of an update, in the service's order.
    fn updatable(
        &self,
        thing: &str,
        job_id: &str,
        request: &UpdateRequest,
    ) -> Result<u64, Rejection> {
        let latest = self.find(thing, job_id, None);
        let (number, execution) = latest
            .filter(|(number, _)| {
                request
                    .number
                    .is_none_or(|n| u64::try_from(n) == Ok(*number))
            })
            .ok_or_else(|| absent(thing, job_id))?;
        let version = self.check_version(execution, request.expected_version);
        let terminal = self.check_not_terminal(execution);
        let (first, second) = match self.settings.check_order {
            CheckOrder::VersionFirst => (version, terminal),
            CheckOrder::TerminalFirst => (terminal, version),
        };
        first?;
        match request.status {
            ExecutionStatus::Canceled | ExecutionStatus::TimedOut | ExecutionStatus::Removed => {
                Err(Rejection::invalid_request(format!(
                    "A device may not set {}; it may set IN_PROGRESS, SUCCEEDED, FAILED or REJECTED",
                    request.status.as_str()
                )))
            }
            ExecutionStatus::Queued => second.and_then(|()| {
                Err(Rejection::new(
                    DeviceErrorCode::InvalidStateTransition,
                    "An execution cannot go back to QUEUED",
                )
                .with_state(execution))
            }),
            ExecutionStatus::InProgress
            | ExecutionStatus::Succeeded
            | ExecutionStatus::Failed
            | ExecutionStatus::Rejected => second.map(|()| number),
        }
    }

    fn check_version(&self, execution: &Execution, expected: Option<i64>) -> Result<(), Rejection> {
        match expected {
            Some(expected) if u64::try_from(expected) != Ok(execution.version) => {
                Err(Rejection::new(
                    DeviceErrorCode::VersionMismatch,
                    format!(
                        "Expected version {expected} but found version {}",
                        execution.version
                    ),
                )
                .with_state(execution))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_not_terminal(&self, execution: &Execution) -> Result<(), Rejection> {
        if !execution.status.is_terminal() {
            return Ok(());
        }
        let text = format!("The execution is over: {}", execution.status.as_str());
        Err(match self.settings.terminal_update {
            TerminalUpdate::InvalidStateTransition => {
                Rejection::new(DeviceErrorCode::InvalidStateTransition, text).with_state(execution)
            }
            TerminalUpdate::TerminalStateReached => {
                Rejection::new(DeviceErrorCode::TerminalStateReached, text)
            }
        })
    }

    /// Stores a change of the device and everything that follows from it.
    fn apply(
        &mut self,
        now_ms: u64,
        thing: &str,
        (job_id, number): (&str, u64),
        change: DeviceChange,
        changes: &mut Changes,
    ) {
        changes.touch(self, thing);
        let timeout = self
            .jobs
            .get(job_id)
            .and_then(|job| job.in_progress_timeout_minutes);
        let Some(execution) = self.find_mut(thing, job_id, number) else {
            return;
        };
        if change.status == ExecutionStatus::InProgress && execution.started_at_ms.is_none() {
            execution.started_at_ms = Some(now_ms);
            execution.job_deadline_ms = timeout.map(|minutes| after_minutes(now_ms, minutes));
            changes.started(thing);
        }
        match change.step {
            Some(StepTimer::Minutes(minutes)) => {
                execution.step_deadline_ms = Some(after_minutes(now_ms, minutes));
            }
            Some(StepTimer::Cancel) => execution.step_deadline_ms = None,
            None => {}
        }
        // Replaced as a whole: keys that are not sent again are gone.
        if change.details.is_some() {
            execution.details = change.details;
        }
        execution.changed(now_ms, change.status);
        if change.status.is_terminal() {
            self.after_end(now_ms, thing, job_id, number, changes);
        }
    }

    fn check_thing(&self, thing: &str) -> Result<(), Rejection> {
        match self.settings.unknown_thing {
            UnknownThing::ResourceNotFound if !self.things.contains_key(thing) => {
                Err(Rejection::new(
                    DeviceErrorCode::ResourceNotFound,
                    format!("Thing {thing} is not registered; create it first"),
                ))
            }
            UnknownThing::ResourceNotFound | UnknownThing::NoWork => Ok(()),
        }
    }

    fn describable(
        &self,
        thing: &str,
        job_id: &str,
        number: Option<i64>,
    ) -> Result<ExecutionId, Rejection> {
        check_job_id(job_id)?;
        let number = number.map(|n| u64::try_from(n).map_err(|_| absent(thing, job_id)));
        let (number, execution) = self
            .find(thing, job_id, number.transpose()?)
            .filter(|(_, execution)| execution.hidden_reads == 0)
            .ok_or_else(|| absent(thing, job_id))?;
        if execution.status.is_terminal() {
            return Err(Rejection::new(
                DeviceErrorCode::TerminalStateReached,
                format!("The execution is over: {}", execution.status.as_str()),
            ));
        }
        Ok((job_id.to_owned(), number))
    }

    fn visible_head(&self, thing: &str) -> Option<ExecutionId> {
        self.pending(thing)
            .into_iter()
            .find(|(_, execution)| execution.hidden_reads == 0)
            .map(|(id, _)| id)
    }

    /// Lets a lagging read catch up by one.
    fn count_read(&mut self, thing: &str) {
        for execution in self
            .executions
            .get_mut(thing)
            .into_iter()
            .flatten()
            .flat_map(|(_, n)| n.values_mut())
        {
            execution.hidden_reads = execution.hidden_reads.saturating_sub(1);
        }
    }
}

fn absent(thing: &str, job_id: &str) -> Rejection {
    Rejection::new(
        DeviceErrorCode::ResourceNotFound,
        format!("Job {job_id} has no such execution on thing {thing}"),
    )
}

const fn after_minutes(now_ms: u64, minutes: u64) -> u64 {
    now_ms.saturating_add(minutes.saturating_mul(MINUTE_MS))
}
