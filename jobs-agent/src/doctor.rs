//! `doctor`: everything that can keep an agent from working, looked at one by one.

mod files;
mod policy;
mod probe;

use std::{fmt, path::Path, time::Duration};

use tokio::time::sleep;

use crate::{
    config::{Config, ConfigFault, TransportKind},
    identity::Pair,
};

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

/// How often a connection with a new certificate is tried: the line may be bad just now.
const TRIES_MAX: u32 = 3;

/// Pause before the next try.
const TRY_PAUSE: Duration = Duration::from_secs(1);

/// Whether the agent could do its work with this certificate: connect under its own client id, and
/// everything it asks for. Nobody else may be connected under that id.
///
/// # Errors
/// What does not work.
///
/// # Cancel safety
/// Nothing is changed anywhere, so it can be dropped at any time.
pub async fn works_with(config: &Config, pair: &Pair) -> Result<(), String> {
    let config = config.with_pair(pair.clone());
    let mut tried = 0;
    loop {
        let mut report = Report::default();
        probe::examine(&config, true, &mut report).await;
        let bad = report.checks.iter().find(|c| c.verdict == Verdict::Bad);
        let Some(bad) = bad else {
            return Ok(());
        };
        tried += 1;
        // What is denied is denied the next time, too.
        if tried == TRIES_MAX || bad.what != probe::CONNECTION {
            return Err(format!("{}: {}", bad.what, bad.words));
        }
        sleep(TRY_PAUSE).await;
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
            probe::examine(&config, false, &mut report).await;
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
