//! `doctor`: everything that can keep an agent from working, looked at one by one.

mod files;
mod policy;
mod probe;

use std::{fmt, path::Path};

use crate::config::{Config, ConfigFault, TransportKind};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, and somebody should look at it.
    Odd,
    /// Keeps the agent from working.
    Bad,
    /// Was not looked at, because something before it failed.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was found, and what to do about it.
    pub words: String,
}

/// All checks, and the policy that the thing needs.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The checks, in order.
    pub checks: Vec<Check>,
    /// The least IoT policy for this thing.
    pub policy: Option<String>,
}

impl Report {
    /// Whether nothing keeps the agent from working.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.verdict != Verdict::Bad)
    }

    fn add(&mut self, what: impl Into<String>, verdict: Verdict, words: impl Into<String>) {
        self.checks.push(Check {
            what: what.into(),
            verdict,
            words: words.into(),
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let mark = match check.verdict {
                Verdict::Good => "ok  ",
                Verdict::Odd => "look",
                Verdict::Bad => "FAIL",
                Verdict::Skipped => "-   ",
            };
            writeln!(f, "{mark} {}: {}", check.what, check.words)?;
        }
        if let Some(policy) = &self.policy {
            writeln!(f, "\nThe least IoT policy for this thing:\n{policy}")?;
        }
        Ok(())
    }
}

/// Looks at everything, under another client id if one is given; without connecting if `offline`.
///
/// # Cancel safety
/// Nothing is changed anywhere, so it can be dropped at any time.
pub async fn examine(
    path: &Path,
    config: Result<Config, ConfigFault>,
    offline: bool,
    client_id: Option<&str>,
) -> Report {
    let mut report = Report::default();
    let mut config = match config {
        Ok(config) => config,
        Err(fault) => {
            report.add("configuration", Verdict::Bad, fault.to_string());
            return report;
        }
    };
    report.add("configuration", Verdict::Good, path.display().to_string());
    files::examine(&config, &mut report);
    if let Some(id) = client_id {
        config.client_id = Some(id.to_owned());
    }
    if offline {
        report.add(
            "connection",
            Verdict::Skipped,
            "not looked at, as was wished",
        );
    } else if report.is_well() {
        let shared = config.transport == TransportKind::Mqtt && client_id.is_none();
        if shared && files::agent_runs(&config) {
            let words = "the agent runs under this client id, and a second connection would end its \
                         own: stop it, or give --client-id";
            report.add("connection", Verdict::Skipped, words);
        } else {
            probe::examine(&config, &mut report).await;
        }
    } else {
        report.add(
            "connection",
            Verdict::Skipped,
            "not tried before the rest is right",
        );
    }
    report.policy = Some(policy::least(&config));
    report
}
