//! When a story is over, and what is told of it.

use super::{THING, World};
use crate::{
    observer::Report,
    scenario::{Action, Scenario},
};

impl<const JOBS: usize> World<'_, JOBS> {
    pub(super) fn is_settled(&self, scenario: &Scenario) -> bool {
        let told = self.next_action == scenario.actions.len();
        let over = job_ids(scenario).all(|id| {
            self.service
                .execution(THING, id, None)
                .is_none_or(|execution| execution.deadline_ms.is_none() && is_over(&execution))
                || self.is_left(scenario, id)
        });
        told && over && self.board.agent.is_idle() && self.link.next_ms().is_none()
    }

    /// Whether nobody here is to do this job.
    fn is_left(&self, scenario: &Scenario, id: &str) -> bool {
        scenario.leave_unclaimed
            && scenario.actions.iter().any(|(_, action)| match action {
                Action::CreateJob {
                    id: created,
                    document,
                    ..
                } => {
                    let operation = document["operation"].as_str().unwrap_or_default();
                    created == id && !scenario.scripts.contains_key(operation)
                }
                Action::CancelJob(_)
                | Action::DeleteJob(_)
                | Action::Service(_)
                | Action::FailWrites(_)
                | Action::Inject { .. }
                | Action::Link(_) => false,
            })
    }

    pub(super) fn report(self, scenario: &Scenario, settled: bool) -> Report {
        let execution = |id: &str| self.service.execution(THING, id, None);
        Report {
            statuses: job_ids(scenario)
                .map(|id| (id.to_string(), execution(id).map(|e| e.status.as_str())))
                .collect(),
            details: job_ids(scenario)
                .filter_map(|id| Some((id.to_string(), execution(id)?.status_details?)))
                .collect(),
            settled,
            outputs: self.outputs,
            crashed: self.crashed,
            found: self.found,
            published: self.link.published(),
            subscribed: self.link.subscribed(),
            writes: self.board.store.writes(),
            end_ms: self.now_ms,
            observer: self.observer,
        }
    }
}

fn is_over(execution: &jobs_emulator::model::ExecutionView) -> bool {
    !matches!(execution.status.as_str(), "QUEUED" | "IN_PROGRESS")
}

fn job_ids(scenario: &Scenario) -> impl Iterator<Item = &str> {
    scenario
        .actions
        .iter()
        .filter_map(|(_, action)| match action {
            Action::CreateJob { id, .. } => Some(id.as_str()),
            Action::CancelJob(_)
            | Action::DeleteJob(_)
            | Action::Service(_)
            | Action::FailWrites(_)
            | Action::Inject { .. }
            | Action::Link(_) => None,
        })
}
