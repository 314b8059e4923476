//! Static composition of handlers by the document's `operation` member: no dyn, no allocation.
//!
//! ```
//! use jobs_agent_core::{Checkpoint, JobHandler, JobPort, NoRoute, Offer, OperationTag, Outcome,
//!     Refusal};
//!
//! struct Blink;
//! impl JobHandler for Blink {
//!     type Plan = u64;
//!     fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, u64), Refusal> {
//!         Ok((OperationTag::of("blink"), offer.document.u64_field("times").unwrap_or(1)))
//!     }
//!     async fn run<P: JobPort>(&self, times: u64, _port: &mut P) -> Outcome {
//!         let _ = times; // switch the light here
//!         Outcome::succeeded()
//!     }
//!     async fn resume<P: JobPort>(
//!         &self, _: OperationTag, _: &Checkpoint, _: Option<u64>, _: &mut P,
//!     ) -> Outcome {
//!         Outcome::succeeded()
//!     }
//! }
//!
//! let handlers = NoRoute.on("blink", Blink).on("flash", Blink);
//! # let _ = handlers;
//! ```

use core::convert::Infallible;

use crate::{
    checkpoint::Checkpoint,
    handler::{JobHandler, JobPort, Offer, OperationTag, Refusal, RunPolicy},
    outcome::Outcome,
};

/// The member of the document that names the operation.
pub const OPERATION_KEY: &str = "operation";

/// The end of a chain of routes: knows no operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRoute;

/// One route, and the rest of the chain; later routes are asked first.
#[derive(Clone, Copy, Debug)]
pub struct Route<H, R> {
    operation: &'static str,
    handler: H,
    rest: R,
}

/// The plan of a chain: of this route's handler, or of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Routed<T, R> {
    /// Of this route.
    This(T),
    /// Of a route further down.
    Rest(R),
}

impl NoRoute {
    /// Sends documents with `"operation": operation` to `handler`.
    #[must_use]
    pub fn on<H: JobHandler>(self, operation: &'static str, handler: H) -> Route<H, Self> {
        Route {
            operation,
            handler,
            rest: self,
        }
    }
}

impl<H: JobHandler, R: JobHandler> Route<H, R> {
    /// Sends documents with `"operation": operation` to `handler`.
    #[must_use]
    pub fn on<N: JobHandler>(self, operation: &'static str, handler: N) -> Route<N, Self> {
        Route {
            operation,
            handler,
            rest: self,
        }
    }
}

impl JobHandler for NoRoute {
    type Plan = Infallible;

    fn plan(&self, _: &Offer<'_>) -> Result<(OperationTag, Infallible), Refusal> {
        Err(Refusal::Unknown)
    }

    async fn run<P: JobPort>(&self, plan: Infallible, _: &mut P) -> Outcome {
        match plan {}
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        _: Option<Infallible>,
        _: &mut P,
    ) -> Outcome {
        Outcome::failed("no handler for this operation after the restart")
    }
}

impl<H: JobHandler, R: JobHandler> JobHandler for Route<H, R> {
    type Plan = Routed<H::Plan, R::Plan>;

    /// The tag is that of the operation's name, whatever the handler itself says: it must lead
    /// back here.
    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Self::Plan), Refusal> {
        if is_named(offer, self.operation) {
            let (_, plan) = self.handler.plan(offer)?;
            return Ok((OperationTag::of(self.operation), Routed::This(plan)));
        }
        self.rest
            .plan(offer)
            .map(|(tag, plan)| (tag, Routed::Rest(plan)))
    }

    fn policy(&self, tag: OperationTag, plan: &Self::Plan) -> RunPolicy {
        match plan {
            Routed::This(plan) => self.handler.policy(tag, plan),
            Routed::Rest(plan) => self.rest.policy(tag, plan),
        }
    }

    async fn run<P: JobPort>(&self, plan: Self::Plan, port: &mut P) -> Outcome {
        match plan {
            Routed::This(plan) => self.handler.run(plan, port).await,
            Routed::Rest(plan) => self.rest.run(plan, port).await,
        }
    }

    async fn resume<P: JobPort>(
        &self,
        tag: OperationTag,
        from: &Checkpoint,
        plan: Option<Self::Plan>,
        port: &mut P,
    ) -> Outcome {
        if tag == OperationTag::of(self.operation) {
            let plan = plan.and_then(|plan| match plan {
                Routed::This(plan) => Some(plan),
                Routed::Rest(_) => None,
            });
            return self.handler.resume(tag, from, plan, port).await;
        }
        let plan = plan.and_then(|plan| match plan {
            Routed::This(_) => None,
            Routed::Rest(plan) => Some(plan),
        });
        self.rest.resume(tag, from, plan, port).await
    }
}

/// Whether the document of an offer names this operation.
#[inline(never)]
fn is_named(offer: &Offer<'_>, operation: &str) -> bool {
    let named = offer.document.str_field(OPERATION_KEY);
    named.is_some_and(|name| name.eq_str(operation))
}
