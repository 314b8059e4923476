//! All handlers of the program as one, and what they leave in the journal.

use jobs_agent_core::{
    Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Refusal, RunPolicy,
};

use crate::{
    journal::{Journal, What},
    push::{self, ConfigPush, PushPlan},
    runner::{StepPlan, StepRunner},
    update::{self, Update, UpdatePlan},
};

/// All handlers of the program.
#[derive(Clone, Debug)]
pub struct Handlers {
    /// Documents with steps.
    pub steps: StepRunner,
    /// Configuration files.
    pub push: ConfigPush,
    /// Updates.
    pub update: Update,
    /// Where ends of work are noted.
    pub journal: Journal,
}

/// What one of them read out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Of a document with steps.
    Steps(StepPlan),
    /// Of a configuration file.
    Push(PushPlan),
    /// Of an update.
    Update(UpdatePlan),
}

impl JobHandler for Handlers {
    type Plan = Plan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Plan), Refusal> {
        // The old schema takes any operation that is a handler, so it comes last.
        match self.push.plan(offer) {
            Err(Refusal::Unknown) => {}
            decided => return decided.map(|(tag, plan)| (tag, Plan::Push(plan))),
        }
        match self.update.plan(offer) {
            Err(Refusal::Unknown) => {}
            decided => return decided.map(|(tag, plan)| (tag, Plan::Update(plan))),
        }
        self.steps
            .plan(offer)
            .map(|(tag, plan)| (tag, Plan::Steps(plan)))
    }

    fn policy(&self, tag: OperationTag, plan: &Plan) -> RunPolicy {
        match plan {
            Plan::Steps(plan) => self.steps.policy(tag, plan),
            Plan::Push(plan) => self.push.policy(tag, plan),
            Plan::Update(plan) => self.update.policy(tag, plan),
        }
    }

    async fn run<P: JobPort>(&self, plan: Plan, port: &mut P) -> Outcome {
        let outcome = match plan {
            Plan::Steps(plan) => self.steps.run(plan, port).await,
            Plan::Push(plan) => self.push.run(plan, port).await,
            Plan::Update(plan) => self.update.run(plan, port).await,
        };
        self.journal.note(What::finished(port.job_id(), &outcome));
        outcome
    }

    async fn resume<P: JobPort>(
        &self,
        tag: OperationTag,
        from: &Checkpoint,
        plan: Option<Plan>,
        port: &mut P,
    ) -> Outcome {
        let outcome = if tag == OperationTag::of(push::OPERATION) {
            let plan = plan.and_then(|plan| match plan {
                Plan::Push(plan) => Some(plan),
                Plan::Steps(_) | Plan::Update(_) => None,
            });
            self.push.resume(tag, from, plan, port).await
        } else if tag == OperationTag::of(update::OPERATION) {
            let plan = plan.and_then(|plan| match plan {
                Plan::Update(plan) => Some(plan),
                Plan::Steps(_) | Plan::Push(_) => None,
            });
            self.update.resume(tag, from, plan, port).await
        } else {
            let plan = plan.and_then(|plan| match plan {
                Plan::Steps(plan) => Some(plan),
                Plan::Push(_) | Plan::Update(_) => None,
            });
            self.steps.resume(tag, from, plan, port).await
        };
        self.journal.note(What::finished(port.job_id(), &outcome));
        outcome
    }
}
