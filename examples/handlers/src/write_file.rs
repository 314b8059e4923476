//! `write_file`: puts a text into a file of the job folder.
//!
//! ```json
//! {"operation":"write_file","path":"job-output.txt","content":"Hello"}
//! ```

use core::fmt;

use heapless::String;
use jobs_agent_core::{
    Checkpoint, Details, JobHandler, JobPort, Offer, OperationTag, Outcome, Refusal,
};

use crate::{
    field,
    line::line,
    operation,
    path::{PATH_LEN_MAX, RelativePath},
};

/// Most bytes of content by default: one flash page of most boards. Gateways may raise it to the
/// length of a job document.
pub const CONTENT_LEN_MAX: usize = 4_096;

/// A folder in which jobs may write.
#[allow(async_fn_in_trait)] // Boards have no Send; on Linux, auto traits leak through generics.
pub trait Files {
    /// What can go wrong; shown in the job's reason.
    type Error: fmt::Display;

    /// Replaces the file at `path` as a whole, making folders as needed: a power cut leaves the
    /// old content or the new one. Returns when the new content is durable.
    ///
    /// The path is free of `..`; an implementation on a file system with symbolic links must also
    /// see to it that no link leads out of the folder.
    ///
    /// # Errors
    /// What kept the file from being written; the old content is still there.
    async fn replace(&self, path: &RelativePath, content: &[u8]) -> Result<(), Self::Error>;
}

/// Writes files on order; content is text of at most `CONTENT` bytes.
///
/// Idempotent: a run that was cut off is simply done again.
#[derive(Clone, Copy, Debug)]
pub struct WriteFile<F, const CONTENT: usize = CONTENT_LEN_MAX> {
    files: F,
}

/// What [`WriteFile`] read out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritePlan<const CONTENT: usize> {
    path: RelativePath,
    content: String<CONTENT>,
}

impl<F: Files, const CONTENT: usize> WriteFile<F, CONTENT> {
    /// Writes into this folder.
    #[must_use]
    pub const fn new(files: F) -> Self {
        Self { files }
    }
}

impl<F: Files, const CONTENT: usize> JobHandler for WriteFile<F, CONTENT> {
    type Plan = WritePlan<CONTENT>;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Self::Plan), Refusal> {
        let path = field::text::<PATH_LEN_MAX>(offer.document, "path")?;
        let path = RelativePath::new(&path)
            .map_err(|fault| field::refuse(&line(format_args!("`path`: {fault}"))))?;
        let content = field::text::<CONTENT>(offer.document, "content")?;
        Ok((
            OperationTag::of(operation::WRITE_FILE),
            WritePlan { path, content },
        ))
    }

    async fn run<P: JobPort>(&self, plan: Self::Plan, port: &mut P) -> Outcome {
        if port.stop_requested().is_some() {
            return Outcome::failed("stopped before the file was written");
        }
        match self
            .files
            .replace(&plan.path, plan.content.as_bytes())
            .await
        {
            Ok(()) => {
                let bytes = line(format_args!("{}", plan.content.len()));
                let details = Details::new().with("path", plan.path.as_str());
                Outcome::Succeeded(details.with("bytes", bytes.as_str()))
            }
            Err(error) => {
                let reason = line(format_args!("could not write {}: {error}", plan.path));
                Outcome::failed(reason.as_str())
            }
        }
    }

    /// Never writes a checkpoint, so the agent runs it anew instead.
    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        plan: Option<Self::Plan>,
        port: &mut P,
    ) -> Outcome {
        match plan {
            Some(plan) => self.run(plan, port).await,
            None => Outcome::failed("write_file keeps no checkpoint: create the job again"),
        }
    }
}
