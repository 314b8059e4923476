//! `log_upload`: sends what a source of this device says to a presigned URL.
//!
//! ```json
//! {"operation":"log_upload","source":"pump","url":"https://…","tailBytes":100000}
//! ```
//!
//! A document names a source and never a file: which files, patterns and commands stand behind a
//! name is the operator's. Only the end of what is there is sent, secrets are taken out of it line
//! by line, and one PUT sends it all, so that a repetition after a cut replaces what was there.

mod gather;
mod open;
mod scrub;
mod send;

use std::{collections::BTreeMap, path::PathBuf};

use jobs_agent_core::{
    Checkpoint, Details, JobHandler, JobPort, Offer, OperationTag, Outcome, Progress, Reason,
    Refusal,
};
use serde::Deserialize;

use crate::policy::DownloadPolicy;

/// The operation's name.
pub const OPERATION: &str = "log_upload";

/// Bytes of a source that are sent unless the configuration says otherwise.
const BYTES_MAX: u64 = 1_024 * 1_024;

/// Most that can be configured, bytes: all of it is held in memory, and once more compressed.
pub const BYTES_MOST: u64 = 32 * 1_024 * 1_024;

/// Longest run of a command, and longest upload, unless the configuration says otherwise, seconds.
const TIMEOUT_S: u64 = 600;

/// What may be sent, and where to; nothing unless listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogPolicy {
    /// The sources, by the name under which documents call them.
    pub sources: BTreeMap<String, Source>,
    /// Where uploads may go. `dirs` and `bytes_max` of it are not used.
    pub upload: DownloadPolicy,
}

/// Something that can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Full paths of files, without a link on the way; `*` in the last part stands for anything.
    /// The newest come first.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// A command, word by word, whose standard output is sent, such as
    /// `["/usr/bin/journalctl", "--unit", "pump", "--no-pager"]`. Full path first.
    #[serde(default)]
    pub command: Vec<String>,
    /// Most bytes that are read: the end of what is there.
    #[serde(default = "bytes_max")]
    pub bytes_max: u64,
    /// Whether it is sent as gzip.
    #[serde(default = "yes")]
    pub gzip: bool,
    /// Names whose values are taken out, beside those that always are (`password`, `token`, …).
    #[serde(default)]
    pub secrets: Vec<String>,
    /// How long the command, and the upload, may take, seconds.
    #[serde(default = "timeout_s")]
    pub timeout_s: u64,
}

const fn bytes_max() -> u64 {
    BYTES_MAX
}

const fn yes() -> bool {
    true
}

const fn timeout_s() -> u64 {
    TIMEOUT_S
}

impl LogPolicy {
    /// # Errors
    /// What makes no sense, to be read behind the name of the table.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, source) in &self.sources {
            if source.files.is_empty() == source.command.is_empty() {
                return Err(format!("sources.{name}` needs either `files` or `command`"));
            }
            if source.bytes_max == 0 || source.bytes_max > BYTES_MOST {
                return Err(format!(
                    "sources.{name}.bytes_max` must be 1 to {BYTES_MOST}"
                ));
            }
            if source.timeout_s == 0 {
                return Err(format!("sources.{name}.timeout_s` must be at least 1"));
            }
            if let Some(path) = source.files.iter().find(|path| !open::is_plain(path)) {
                return Err(format!(
                    "sources.{name}.files`: {} must be a full path without `..`",
                    path.display()
                ));
            }
        }
        Ok(())
    }
}

/// Sends logs.
#[derive(Clone, Debug)]
pub struct LogUpload {
    policy: LogPolicy,
}

/// What [`LogUpload`] read out of a document.
#[derive(Clone, PartialEq, Eq)]
pub struct LogPlan {
    name: String,
    source: Source,
    url: String,
}

impl std::fmt::Debug for LogPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Who has the URL can write there.
        f.debug_struct("LogPlan")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Display for LogPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, bytes) = (&self.name, self.source.bytes_max);
        write!(f, "send the last {bytes} bytes of {name:?}")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    source: String,
    url: String,
    tail_bytes: Option<u64>,
}

impl LogUpload {
    /// Works under this policy.
    #[must_use]
    pub fn new(policy: LogPolicy) -> Self {
        Self { policy }
    }

    async fn send<P: JobPort>(&self, plan: LogPlan, port: &mut P) -> Outcome {
        port.report(Progress::new().with("step", "gather"));
        let work = async {
            let gathered = gather::all(&plan.source).await?;
            let (read, files, skipped) = (gathered.bytes.len(), gathered.files, gathered.skipped);
            let (secrets, gzip) = (plan.source.secrets.clone(), plan.source.gzip);
            // Megabytes of it take a while, and the agent has one thread.
            let prepare = move || {
                let text = scrub::scrub(&gathered.bytes, &secrets);
                if gzip {
                    send::gzip(text.as_bytes())
                } else {
                    Ok(text.into_bytes())
                }
            };
            let body = tokio::task::spawn_blocking(prepare).await;
            let body = body.map_err(|error| error.to_string())?;
            let body = body.map_err(|error| error.to_string())?;
            let sent = body.len();
            send::put(&self.policy.upload, &plan, body.into()).await?;
            Ok((read, files, skipped, sent))
        };
        let done: Result<_, String> = tokio::select! {
            done = work => done,
            reason = port.stopped() => Err(format!("stopped ({reason:?})")),
        };
        match done {
            Ok((read, files, skipped, sent)) => {
                let mut details = Details::new()
                    .with("bytesRead", &read.to_string())
                    .with("bytesSent", &sent.to_string());
                if files > 0 {
                    details = details.with("files", &files.to_string());
                }
                if let Some(skipped) = skipped {
                    details = details.with("skipped", &agent_std::redact::redact(&skipped));
                }
                Outcome::Succeeded(details)
            }
            Err(why) => Outcome::failed(&agent_std::redact::redact(&why)),
        }
    }

    fn read(&self, json: &[u8]) -> Result<LogPlan, String> {
        let document: Document =
            serde_json::from_slice(json).map_err(|error| format!("job document: {error}"))?;
        let Some(source) = self.policy.sources.get(&document.source) else {
            return Err(format!("no source {:?} on this device", document.source));
        };
        let checked = self.policy.upload.check_url(&document.url);
        checked.map_err(|fault| format!("`url`: {fault}"))?;
        let mut source = source.clone();
        // A document can ask for less and not for more.
        let wanted = document.tail_bytes.unwrap_or(source.bytes_max);
        source.bytes_max = source.bytes_max.min(wanted);
        Ok(LogPlan {
            name: document.source,
            source,
            url: document.url,
        })
    }
}

impl JobHandler for LogUpload {
    type Plan = LogPlan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, LogPlan), Refusal> {
        let named = offer.document.str_field(jobs_agent_core::OPERATION_KEY);
        if self.policy.sources.is_empty() || !named.is_some_and(|name| name.eq_str(OPERATION)) {
            return Err(Refusal::Unknown);
        }
        match self.read(offer.document.0) {
            Ok(plan) => Ok((OperationTag::of(OPERATION), plan)),
            Err(why) => Err(Refusal::Reject(Reason::new(&agent_std::redact::redact(
                &why,
            )))),
        }
    }

    async fn run<P: JobPort>(&self, plan: LogPlan, port: &mut P) -> Outcome {
        self.send(plan, port).await
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        plan: Option<LogPlan>,
        port: &mut P,
    ) -> Outcome {
        // Never called by a record of ours: there is nothing to keep on the way.
        match plan {
            Some(plan) => self.send(plan, port).await,
            None => Outcome::failed("the job document is gone"),
        }
    }
}
