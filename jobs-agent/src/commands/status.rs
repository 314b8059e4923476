//! `status`: the agent as its files show it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::Path,
};

use jobs_agent::{
    config::Config,
    journal::{self, What},
    supervise::{Folder, Found},
};
use jobs_agent_core::{Record, RecordKind};

use super::explain::time;

pub(super) fn show(config: &Config) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "thing     {}", config.thing)?;
    writeln!(out, "endpoint  {}:{}", config.endpoint, config.port())?;
    let runs = is_locked(&config.records().join("lock"))?;
    let running = if runs { "running" } else { "not running" };
    writeln!(out, "agent     {running}")?;
    let entries = journal::read(&config.journal())?;
    let line = entries.iter().rev().find_map(|entry| match &entry.what {
        // One that was killed says nothing at its end.
        What::Connected if !runs => Some("not connected".to_owned()),
        What::Connected => Some(format!("connected since {}", time(entry.at_ms))),
        What::Disconnected { why } => Some(format!("not connected: {why}")),
        What::AgentStarted { .. } | What::AgentEnded => Some("not connected".to_owned()),
        _ => None,
    });
    writeln!(
        out,
        "service   {}",
        line.as_deref().unwrap_or("never connected")
    )?;
    let mut any = false;
    for record in records(&config.records())? {
        any = true;
        let job = record.job_id.as_str();
        let at = match record.kind {
            RecordKind::Started => "begun",
            RecordKind::Checkpoint => "begun, with a checkpoint",
            RecordKind::Reboot => "waits for a reboot",
            RecordKind::Outcome(_) => "done; its report is not yet confirmed",
        };
        let mut step = "";
        for folder in Folder::all_of(&config.step_folders(), job)? {
            match folder.look()? {
                Found::Running => step = ", a step is running",
                Found::Interrupted => step = ", its step was interrupted",
                Found::Finished(_) | Found::Nothing => {}
            }
        }
        writeln!(out, "job       {job}: {at}{step}")?;
    }
    if !any {
        writeln!(out, "job       none on its way")?;
    }
    Ok(())
}

fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The records of the agent's slots; one that is being written just now is left out.
pub(super) fn records(dir: &Path) -> io::Result<Vec<Record>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut records = Vec::new();
    for entry in entries.flatten() {
        if entry.path().extension().is_some_and(|end| end == "rec") {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            records.extend(Record::decode(&bytes));
        }
    }
    Ok(records)
}
