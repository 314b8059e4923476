//! Handlers for the ordinary case: a document type and an async closure.
//!
//! Built on [`JobHandler`] alone and so independent of the driver: while it polls the closure's
//! future, [`JobHandler::run`] serves what the closure asks of its [`Job`].

mod job;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jobs_agent_core::{
    Checkpoint, JobHandler, JobPort, OPERATION_KEY, Offer, OperationTag, Outcome, Reason, Refusal,
    RunPolicy,
};
use jobs_proto::document::Document;
use serde::de::DeserializeOwned;

pub use job::{CheckpointError, Job};

use crate::redact::redact;

/// What a typed handler may return: an [`Outcome`], or a `Result` with one, whose error becomes
/// FAILED with the error's text as the reason.
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<E: std::fmt::Display> IntoOutcome for Result<Outcome, E> {
    fn into_outcome(self) -> Outcome {
        // Whatever a library says may quote a presigned URL.
        self.unwrap_or_else(|error| Outcome::failed(&redact(&error.to_string())))
    }
}

type Working = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A document that was read, and the closure that waits for its job.
pub struct Begin(Box<dyn FnOnce(Job) -> Working + Send>);

impl std::fmt::Debug for Begin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Begin(..)")
    }
}

type Read = Box<dyn Fn(Document<'_>) -> Result<Begin, Reason> + Send + Sync>;

struct Typed {
    operation: String,
    policy: RunPolicy,
    read: Read,
}

/// Typed handlers by the document's `operation` member.
///
/// A document that does not fit its type is answered REJECTED, with the place and the reason. A
/// checkpoint of such a handler always asks for the document again, so that the closure gets it on
/// every run; what was done before it learns from [`Job::resumed_from`].
///
/// ```
/// use agent_std::{Handlers, Job, Outcome};
///
/// #[derive(serde::Deserialize)]
/// struct SetPoint {
///     celsius: f32,
/// }
///
/// let handlers = Handlers::new().on("setPoint", |wanted: SetPoint, job: Job| async move {
///     job.report_percent(50);
///     if wanted.celsius > 90.0 {
///         return Outcome::rejected("too hot");
///     }
///     Outcome::succeeded()
/// });
/// # let _ = handlers;
/// ```
#[derive(Default)]
pub struct Handlers {
    routes: Vec<Typed>,
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operations = self.routes.iter().map(|typed| &typed.operation);
        f.debug_set().entries(operations).finish()
    }
}

impl Handlers {
    /// No handler: every job is unclaimed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does jobs whose document has `"operation": operation`: the document is read as `D`, then
    /// `work` is called when the job's start is durable and confirmed. A later one for the same
    /// operation replaces an earlier one.
    ///
    /// The closure's future may be dropped at any await (shutdown, or a stop that it did not
    /// obey) and is called again from the beginning after a restart.
    #[must_use]
    pub fn on<D, W, F>(self, operation: impl Into<String>, work: W) -> Self
    where
        D: DeserializeOwned + Send + 'static,
        W: Fn(D, Job) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.on_with(operation, RunPolicy::DEFAULT, work)
    }

    /// As [`on`](Self::on), with a policy.
    #[must_use]
    pub fn on_with<D, W, F>(
        mut self,
        operation: impl Into<String>,
        policy: RunPolicy,
        work: W,
    ) -> Self
    where
        D: DeserializeOwned + Send + 'static,
        W: Fn(D, Job) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let operation = operation.into();
        let work = Arc::new(work);
        let read: Read = Box::new(move |document| {
            let document: D = read_document(document)?;
            let work = Arc::clone(&work);
            Ok(Begin(Box::new(move |job| {
                Box::pin(async move { work(document, job).await.into_outcome() })
            })))
        });
        self.routes.retain(|typed| typed.operation != operation);
        self.routes.push(Typed {
            operation,
            policy,
            read,
        });
        self
    }
}

fn read_document<D: DeserializeOwned>(document: Document<'_>) -> Result<D, Reason> {
    let mut json = serde_json::Deserializer::from_slice(document.0);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        // The message quotes values.
        let text = error.inner().to_string();
        let text = redact(&text);
        Reason::new(&match path.as_str() {
            "." => format!("job document: {text}"),
            path => format!("job document, {path}: {text}"),
        })
    })
}

impl JobHandler for Handlers {
    type Plan = Begin;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Begin), Refusal> {
        let Some(name) = offer.document.str_field(OPERATION_KEY) else {
            return Err(Refusal::Unknown);
        };
        let typed = self
            .routes
            .iter()
            .find(|typed| name.eq_str(&typed.operation))
            .ok_or(Refusal::Unknown)?;
        let begin = (typed.read)(offer.document).map_err(Refusal::Reject)?;
        Ok((OperationTag::of(&typed.operation), begin))
    }

    fn policy(&self, tag: OperationTag, _: &Begin) -> RunPolicy {
        self.routes
            .iter()
            .find(|typed| OperationTag::of(&typed.operation) == tag)
            .map_or(RunPolicy::DEFAULT, |typed| typed.policy)
    }

    async fn run<P: JobPort>(&self, plan: Begin, port: &mut P) -> Outcome {
        job::serve(plan.0, None, port).await
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        plan: Option<Begin>,
        port: &mut P,
    ) -> Outcome {
        match plan {
            Some(plan) => job::serve(plan.0, Some(from.clone()), port).await,
            // Written by another kind of handler for this operation, before an update.
            None => Outcome::failed("the checkpoint is of another handler and has no document"),
        }
    }
}
