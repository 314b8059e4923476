//! The configuration of the program: a TOML file, and variables that go before it.

mod fault;
mod transport;
mod variables;

use std::{
    fs,
    path::{Path, PathBuf},
};

use agent_std::Unclaimed;
use serde::Deserialize;

use crate::{
    certificates::CertificatePolicy,
    identity::{Identities, Pair},
    logging,
    logs::LogPolicy,
    metrics::MetricsPolicy,
    policy::StepPolicy,
    push::PushPolicy,
    signed::SignedPolicy,
    update::UpdatePolicy,
};

pub use fault::ConfigFault;
pub use transport::TransportKind;

/// Where the file is unless said otherwise.
pub const DEFAULT_PATH: &str = "/etc/jobs-agent/config.toml";

/// What the names of variables begin with; the rest is the member's name in capitals.
pub const VARIABLE_PREFIX: &str = "JOBS_AGENT_";

/// Jobs at a time that can be configured: each number is a type of its own in the program.
pub const JOBS_ALLOWED: [u8; 3] = [1, 4, 16];

/// Bytes of a file beyond which it is no configuration.
const LEN_MAX: u64 = 1_024 * 1_024;

/// Everything that can be configured. Nothing that a job could do is allowed by default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The thing whose jobs are done.
    #[serde(default)]
    pub thing: String,
    /// Host name of the endpoint, the same for both transports.
    #[serde(default)]
    pub endpoint: String,
    /// Its port. Unless said otherwise 8883, or 1883 without TLS; over HTTPS 8443, and none without
    /// TLS.
    pub port: Option<u16>,
    /// How the service is spoken to.
    #[serde(default)]
    pub transport: TransportKind,
    /// Over HTTPS: how long a new job may go unnoticed, seconds.
    pub poll_interval_s: Option<u32>,
    /// Over HTTPS: how long a cancel may go unnoticed while a job is in progress, seconds.
    pub busy_poll_interval_s: Option<u32>,
    /// Certificates to trust, PEM. Without it there is no TLS: for the emulator only.
    pub ca: Option<PathBuf>,
    /// Device certificate, PEM.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// MQTT client id, if it is not the thing's name; HTTPS has none.
    pub client_id: Option<String>,
    /// Folder for everything that has to outlive the agent.
    #[serde(default = "state_dir")]
    pub state_dir: PathBuf,
    /// Jobs at a time: 1, 4 or 16.
    #[serde(default = "one")]
    pub jobs: u8,
    /// What happens to jobs that nothing here claims.
    #[serde(default)]
    pub unclaimed: UnclaimedPolicy,
    /// The command that restarts the machine, word by word.
    #[serde(default = "reboot_command")]
    pub reboot_command: Vec<String>,
    /// What is logged: `info`, `debug`, `warn,agent_std=debug`, `off`.
    #[serde(default = "info")]
    pub log: String,
    /// Subscribe to the replies, too. AWS IoT sends them to who asked; a broker of your own between
    /// the agent and AWS IoT does not.
    #[serde(default)]
    pub subscribe_replies: bool,
    /// Seconds of silence after which the broker is asked whether it is still there; it counts as
    /// gone after twice this time.
    pub keep_alive_s: Option<u16>,
    /// Longest wait between two attempts to connect, whatever the cause, seconds. Without it a
    /// minute, and five after a cause that only a person can remove.
    pub reconnect_max_s: Option<u32>,
    /// Least time between two progress reports of a job, milliseconds.
    pub progress_interval_ms: Option<u32>,
    /// How often a job may begin from the same checkpoint before it is reported FAILED.
    pub attempts_max: Option<u8>,
    /// Entries that `explain` can look back on.
    #[serde(default = "journal_entries")]
    pub journal_entries: usize,
    /// Whether and where Prometheus can read the counters.
    #[serde(default)]
    pub metrics: MetricsPolicy,
    /// What documents with steps may do.
    #[serde(default)]
    pub steps: StepPolicy,
    /// Which files `config_push` jobs may replace.
    #[serde(default)]
    pub config_push: PushPolicy,
    /// What `update` jobs may update.
    #[serde(default)]
    pub update: UpdatePolicy,
    /// Which logs `log_upload` jobs may ask for.
    #[serde(default)]
    pub log_upload: LogPolicy,
    /// Whether `certificate_rotate` jobs may change the certificate.
    #[serde(default)]
    pub certificates: CertificatePolicy,
    /// A pair to be used instead of the one in use.
    #[serde(skip)]
    pair: Option<Pair>,
    /// Whose documents are done.
    #[serde(default)]
    pub signed_documents: SignedPolicy,
}

/// What happens to a job that nothing here claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnclaimedPolicy {
    /// It is answered REJECTED, so that it does not block the queue.
    #[default]
    Reject,
    /// It stays QUEUED for another program of the same thing.
    Leave,
}

impl From<UnclaimedPolicy> for Unclaimed {
    fn from(policy: UnclaimedPolicy) -> Self {
        match policy {
            UnclaimedPolicy::Reject => Self::Reject,
            UnclaimedPolicy::Leave => Self::Leave,
        }
    }
}

fn state_dir() -> PathBuf {
    agent_std::STATE_ROOT.into()
}

const fn one() -> u8 {
    1
}

fn reboot_command() -> Vec<String> {
    vec!["systemctl".into(), "reboot".into()]
}

fn info() -> String {
    "info".into()
}

/// A week of a fleet that runs a job an hour; 60 KiB.
const fn journal_entries() -> usize {
    512
}

impl Config {
    /// Reads a file, then lets variables go before it.
    ///
    /// # Errors
    /// [`ConfigFault`]
    pub fn read(
        path: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigFault> {
        let io = |source| ConfigFault::Io {
            path: path.to_owned(),
            source,
        };
        if fs::metadata(path).map_err(io)?.len() > LEN_MAX {
            return Err(ConfigFault::Value(format!("{}: too long", path.display())));
        }
        let text = fs::read_to_string(path).map_err(io)?;
        Self::parse(&text, path, variable)
    }

    fn parse(
        text: &str,
        path: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigFault> {
        let wrong = |error: toml::de::Error| ConfigFault::Toml {
            path: path.to_owned(),
            text: error.to_string(),
        };
        // In two steps: from a text, each table is in the program three times (decision 0025). A
        // member that is wrong is told by its path then, and not by its line.
        let table: toml::Table = toml::from_str(text).map_err(wrong)?;
        let mut config = Self::deserialize(table).map_err(wrong)?;
        variables::apply(&mut config, variable)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigFault> {
        let wrong = |text: &str| Err(ConfigFault::Value(text.to_owned()));
        for (member, value) in [("thing", &self.thing), ("endpoint", &self.endpoint)] {
            if value.is_empty() {
                return wrong(&format!("`{member}` is missing"));
            }
        }
        if !JOBS_ALLOWED.contains(&self.jobs) {
            return wrong("`jobs` must be 1, 4 or 16");
        }
        if let Err(error) = logging::filter(&self.log) {
            return wrong(&format!("`log`: {error}"));
        }
        if self.reconnect_max_s == Some(0) {
            return wrong("`reconnect_max_s` must be at least 1");
        }
        if self.cert.is_some() != self.key.is_some() {
            return wrong("`cert` and `key` go together");
        }
        if self.cert.is_some() && self.ca.is_none() {
            return wrong("`cert` and `key` need a `ca` to trust");
        }
        if self.reboot_command.is_empty() {
            return wrong("`reboot_command` must name a program");
        }
        if self.steps.step_timeout_s == 0 {
            return wrong("`steps.step_timeout_s` must be at least 1");
        }
        if self.certificates.rotate && self.cert.is_none() {
            return wrong("`certificates.rotate` needs `cert` and `key` to begin with");
        }
        if let Err(text) = self.certificates.check() {
            return wrong(&format!("`certificates.{text}"));
        }
        let goes_back = self.certificates.rotate
            || !self.config_push.files.is_empty()
            || self
                .update
                .targets
                .values()
                .any(|target| !target.roll_back.is_empty());
        // The last attempt goes back instead of trying again, and the only one is the last.
        if goes_back && self.attempts_max.is_some_and(|most| most < 2) {
            return wrong("`attempts_max` must be at least 2 where a job may have to go back");
        }
        if let Err(text) = self.steps.limits.check() {
            return wrong(&format!("`steps.limits.{text}"));
        }
        if let Err(text) = self.log_upload.check() {
            return wrong(&format!("`log_upload.{text}"));
        }
        if self.steps.users.iter().any(|user| user == "*") {
            return wrong("`steps.users` takes names only");
        }
        if let Err(error) = jobs_proto::ThingName::new(&self.thing) {
            return wrong(&format!("`thing`: {error}"));
        }
        self.check_transport()
    }

    /// The pairs of certificate and key that rotations brought.
    #[must_use]
    pub fn identities(&self) -> Identities {
        Identities::at(self.state_dir.join(&self.thing).join("identity"))
    }

    /// The same configuration, with this pair instead of the one in use.
    #[must_use]
    pub fn with_pair(&self, pair: Pair) -> Self {
        Self {
            pair: Some(pair),
            ..self.clone()
        }
    }

    /// File that the running agent has locked.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state_dir.join(&self.thing).join("lock")
    }

    /// File of the versions that were installed.
    #[must_use]
    pub fn versions(&self) -> PathBuf {
        self.state_dir.join(&self.thing).join("versions.json")
    }

    /// Folder of the job records.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.state_dir.join(&self.thing).join("records")
    }

    /// Folder of the steps that are on their way.
    #[must_use]
    pub fn step_folders(&self) -> PathBuf {
        self.state_dir.join(&self.thing).join("steps")
    }

    /// File of the journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.state_dir.join(&self.thing).join("journal.jsonl")
    }
}

#[cfg(test)]
mod tests;
