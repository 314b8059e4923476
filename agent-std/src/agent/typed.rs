//! Typed closures, given to the agent directly.

use std::future::Future;

use jobs_agent_core::RunPolicy;
use serde::de::DeserializeOwned;

use super::Agent;
use crate::typed::{Handlers, IntoOutcome, Job};

impl<const JOBS: usize, T> Agent<Handlers, JOBS, T> {
    /// Does jobs whose document has `"operation": operation` with a closure, see
    /// [`Handlers::on`].
    #[must_use]
    pub fn on<D, W, F>(mut self, operation: impl Into<String>, work: W) -> Self
    where
        D: DeserializeOwned + Send + 'static,
        W: Fn(D, Job) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.handlers = self.handlers.on(operation, work);
        self
    }

    /// As [`on`](Self::on), with a policy: time limit, instantaneous, not to be run again.
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
        self.handlers = self.handlers.on_with(operation, policy, work);
        self
    }
}
