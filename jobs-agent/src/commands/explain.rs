//! `explain`: what happened to jobs lately, and why.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use jobs_agent::{
    config::Config,
    journal::{self, Entry, What},
};

pub(super) fn show(config: &Config, job: Option<&str>, json: bool) -> io::Result<()> {
    let entries = journal::read(&config.journal())?;
    let mut out = io::stdout().lock();
    let wanted = |entry: &&Entry| job.is_none() || entry.what.job() == job;
    let mut any = false;
    for entry in entries.iter().filter(wanted) {
        any = true;
        if json {
            writeln!(out, "{}", serde_json::to_string(entry)?)?;
        } else {
            writeln!(out, "{}", line(entry))?;
        }
    }
    match job {
        Some(job) if !any && !json => writeln!(
            out,
            "nothing is known of {job}: no message about it arrived, or it was longer ago than the \
             last {} entries",
            config.journal_entries
        ),
        _ => Ok(()),
    }
}

fn line(entry: &Entry) -> String {
    let what = match &entry.what {
        What::AgentStarted { version } => format!("agent {version} started"),
        What::AgentEnded => "agent ended".to_owned(),
        What::Lost { count } => format!("{count} entries are missing: the disk was too slow"),
        What::Connected => "connected".to_owned(),
        What::Disconnected { why } => format!("not connected: {why}"),
        What::Ignored { job, why } => match job {
            Some(job) => format!("{job}: message ignored: {why}"),
            None => format!("message ignored: {why}"),
        },
        What::Accepted { job, resumed: true } => format!("{job}: goes on after a restart"),
        What::Accepted { job, .. } => format!("{job}: accepted"),
        What::Refused { job, why } => format!("{job}: not taken: {why}"),
        What::Started { job, attempt: 1 } => format!("{job}: work begins"),
        What::Started { job, attempt } => format!("{job}: work begins, attempt {attempt}"),
        What::Finished { job, outcome } => format!("{job}: work ended: {outcome}"),
        What::Over { job, how } => format!("{job}: over: {how}"),
    };
    let again = match entry.repeated {
        0 => String::new(),
        times => format!(" ({times} more times)"),
    };
    format!("{} {what}{again}", time(entry.at_ms))
}

/// UTC, as RFC 3339 has it.
pub(super) fn time(at_ms: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at_ms));
    at.map_or_else(
        || at_ms.to_string(),
        |at| humantime::format_rfc3339_seconds(at).to_string(),
    )
}
