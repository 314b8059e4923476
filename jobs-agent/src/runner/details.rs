//! What a job of steps says of itself at its end.

use agent_std::redact::redact;
use jobs_agent_core::{Details, Outcome};

use crate::{
    document::StepDocument,
    saved::{Saved, end},
    supervise::{End, StepResult},
};

/// The result of a step that says nothing.
pub(super) fn quiet() -> StepResult {
    StepResult {
        end: End::Exited(0),
        ..StepResult::not_started("")
    }
}

/// Adds what a step said to what the job said so far; the end is kept.
pub(super) fn add(saved: &mut Saved, result: &StepResult) {
    for (so_far, more) in [
        (&mut saved.stdout, &result.stdout),
        (&mut saved.stderr, &result.stderr),
    ] {
        let joined = format!("{so_far}{}", redact(more));
        *so_far = end(&joined).to_owned();
    }
}

/// The outcome, with what the service takes of the outputs.
pub(super) fn outcome(saved: &Saved, document: &StepDocument) -> Outcome {
    let mut details = Details::new();
    if !saved.reason.is_empty() {
        details = details.with("reason", &saved.reason);
    }
    if saved.ignored > 0 {
        details = details.with("ignoredFailures", &saved.ignored.to_string());
    }
    // One that has nothing printable in it is left out.
    if document.include_stdout {
        details = details.with("stdout", &saved.stdout);
    }
    details = details.with("stderr", &saved.stderr);
    if saved.reason.is_empty() {
        Outcome::Succeeded(details)
    } else {
        Outcome::Failed(details)
    }
}
