//! All handlers of the program as one, and what they leave in the journal.
//!
//! Where signed documents are asked for, this is where they are opened: no handler ever sees a
//! document that nobody signed.

use std::sync::Arc;

use agent_std::redact::redact;
use jobs_agent_core::{
    Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Reason, Refusal, RunPolicy,
};
use jobs_proto::{JobId, document::Document};
use tokio::sync::Notify;

use crate::{
    certificates::{self, CertificatePlan, Certificates},
    config::Config,
    journal::{Journal, What, now_ms},
    logs::{self, LogPlan, LogUpload},
    push::{self, ConfigPush, PushPlan},
    runner::{StepPlan, StepRunner},
    signed::{Asked, Signed, is_signed},
    step::Steps,
    turns::Turns,
    update::{self, KeyFault, Keys, Update, UpdatePlan},
};

/// All handlers of the program.
#[derive(Clone, Debug)]
pub struct Handlers {
    /// Whose documents are done.
    pub signed: Signed,
    /// Documents with steps.
    pub steps: StepRunner,
    /// Configuration files.
    pub push: ConfigPush,
    /// The device's certificate.
    pub certificates: Certificates,
    /// Logs.
    pub logs: LogUpload,
    /// Updates.
    pub update: Update,
    /// Where ends of work are noted.
    pub journal: Journal,
    /// Whose turn it is at files and targets. To be told which jobs come back after a restart, and
    /// which are over.
    pub turns: Turns,
}

/// What one of them read out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Of a document with steps.
    Steps(StepPlan),
    /// Of a configuration file.
    Push(PushPlan),
    /// Of a certificate.
    Certificate(CertificatePlan),
    /// Of logs.
    Logs(LogPlan),
    /// Of an update.
    Update(UpdatePlan),
}

impl Handlers {
    /// The handlers of this configuration; `again` is told when the connection has to be made
    /// again, with another certificate.
    ///
    /// # Errors
    /// A key cannot be read.
    pub fn new(
        config: &Config,
        steps: &Steps,
        journal: Journal,
        again: Arc<Notify>,
    ) -> Result<Self, KeyFault> {
        let folders = config.step_folders();
        let signed = &config.signed_documents;
        let keys = Keys::read(&signed.keys)?;
        let turns = Turns::default();
        Ok(Self {
            signed: Signed::new(keys, signed.expiry_required, &config.thing),
            steps: StepRunner::new(config.steps.clone(), steps.clone(), &folders),
            push: ConfigPush::new(config.config_push.clone(), steps.clone(), &folders)
                .taking_turns(turns.clone()),
            certificates: Certificates::new(
                config.certificates.rotate,
                &config.thing,
                config.identities(),
                config.key.clone(),
                again,
            ),
            logs: LogUpload::new(config.log_upload.clone()),
            update: Update::new(
                config.update.clone(),
                steps.clone(),
                &folders,
                config.versions(),
            )?
            .taking_turns(turns.clone()),
            journal,
            turns,
        })
    }

    /// What a document would do that has no steps, in words; `None` for one that has, or that
    /// nothing here knows.
    ///
    /// # Errors
    /// Why it would be rejected.
    #[must_use]
    pub fn preview(&self, document: &[u8]) -> Option<Result<String, String>> {
        let offer = Offer {
            job_id: JobId::new("validate-document").ok()?,
            execution_number: None,
            status: None,
            status_details: None,
            document: Document(document),
            resuming: false,
        };
        match self.route(&offer) {
            Ok((_, Plan::Push(plan))) => Some(Ok(plan.to_string())),
            Ok((_, Plan::Certificate(plan))) => Some(Ok(plan.to_string())),
            Ok((_, Plan::Logs(plan))) => Some(Ok(plan.to_string())),
            Ok((_, Plan::Update(plan))) => Some(Ok(plan.to_string())),
            Err(Refusal::Reject(why)) => Some(Err(why.as_str().to_owned())),
            Ok((_, Plan::Steps(_)))
            | Err(Refusal::Unknown | Refusal::NotMine | Refusal::Later { .. }) => None,
        }
    }

    /// Which handler takes this document.
    #[expect(
        clippy::result_large_err,
        reason = "a refusal carries its reason by value"
    )]
    fn route(&self, offer: &Offer<'_>) -> Result<(OperationTag, Plan), Refusal> {
        // The old schema takes any operation that is a handler, so it comes last.
        match self.push.plan(offer) {
            Err(Refusal::Unknown) => {}
            decided => return decided.map(|(tag, plan)| (tag, Plan::Push(plan))),
        }
        match self.update.plan(offer) {
            Err(Refusal::Unknown) => {}
            decided => return decided.map(|(tag, plan)| (tag, Plan::Update(plan))),
        }
        match self.certificates.plan(offer) {
            Err(Refusal::Unknown) => {}
            decided => return decided.map(|(tag, plan)| (tag, Plan::Certificate(plan))),
        }
        match self.logs.plan(offer) {
            Err(Refusal::Unknown) => {}
            decided => return decided.map(|(tag, plan)| (tag, Plan::Logs(plan))),
        }
        self.steps
            .plan(offer)
            .map(|(tag, plan)| (tag, Plan::Steps(plan)))
    }
}

impl JobHandler for Handlers {
    type Plan = Plan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Plan), Refusal> {
        let reject = |why: &str| Refusal::Reject(Reason::new(&redact(why)));
        if !self.signed.is_required() {
            return self.route(offer);
        }
        if !is_signed(offer.document.0) {
            // What nothing here would do anyway is somebody else's.
            return match self.route(offer) {
                Err(other @ (Refusal::Unknown | Refusal::NotMine)) => Err(other),
                Ok(_) | Err(Refusal::Reject(_) | Refusal::Later { .. }) => {
                    Err(reject("this device does signed documents only"))
                }
            };
        }
        let asked = Asked {
            job_id: Some(offer.job_id.as_str()),
            resuming: offer.resuming,
            now_s: now_ms() / 1_000,
        };
        let inner = self.signed.open(offer.document.0, asked);
        let inner = inner.map_err(|why| reject(&why))?;
        self.route(&Offer {
            document: Document(&inner),
            ..*offer
        })
    }

    fn policy(&self, tag: OperationTag, plan: &Plan) -> RunPolicy {
        match plan {
            Plan::Steps(plan) => self.steps.policy(tag, plan),
            Plan::Push(plan) => self.push.policy(tag, plan),
            Plan::Certificate(plan) => self.certificates.policy(tag, plan),
            Plan::Logs(plan) => self.logs.policy(tag, plan),
            Plan::Update(plan) => self.update.policy(tag, plan),
        }
    }

    async fn run<P: JobPort>(&self, plan: Plan, port: &mut P) -> Outcome {
        let outcome = match plan {
            Plan::Steps(plan) => self.steps.run(plan, port).await,
            Plan::Push(plan) => self.push.run(plan, port).await,
            Plan::Certificate(plan) => self.certificates.run(plan, port).await,
            Plan::Logs(plan) => self.logs.run(plan, port).await,
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
        // A plan of another kind than the record's is none.
        let outcome = if tag == OperationTag::of(push::OPERATION) {
            let plan = match plan {
                Some(Plan::Push(plan)) => Some(plan),
                _ => None,
            };
            self.push.resume(tag, from, plan, port).await
        } else if tag == OperationTag::of(certificates::ROTATE) {
            let plan = match plan {
                Some(Plan::Certificate(plan)) => Some(plan),
                _ => None,
            };
            self.certificates.resume(tag, from, plan, port).await
        } else if tag == OperationTag::of(logs::OPERATION) {
            let plan = match plan {
                Some(Plan::Logs(plan)) => Some(plan),
                _ => None,
            };
            self.logs.resume(tag, from, plan, port).await
        } else if tag == OperationTag::of(update::OPERATION) {
            let plan = match plan {
                Some(Plan::Update(plan)) => Some(plan),
                _ => None,
            };
            self.update.resume(tag, from, plan, port).await
        } else {
            let plan = match plan {
                Some(Plan::Steps(plan)) => Some(plan),
                _ => None,
            };
            self.steps.resume(tag, from, plan, port).await
        };
        self.journal.note(What::finished(port.job_id(), &outcome));
        outcome
    }
}
