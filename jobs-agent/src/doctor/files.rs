//! Files, permissions and the clock.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::{Access, access};

use super::{Report, Verdict};
use crate::{
    config::Config,
    policy::{files as executables, find_user, users::PASSWD},
    update::Keys,
};

/// The beginning of 2026, seconds since 1970: a clock before this was never set, and no
/// certificate of today is valid by it.
const CLOCK_LEAST_S: u64 = 1_767_225_600;

/// Whether an agent has the state folder.
pub(super) fn agent_runs(config: &Config) -> bool {
    let lock = File::open(config.records().join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

pub(super) fn examine(config: &Config, report: &mut Report) {
    clock(report);
    state(config, report);
    if config.ca.is_none() {
        let words = "none: everybody on the way reads and writes along. For the emulator only";
        report.add("TLS", Verdict::Odd, words);
    }
    for (what, path, secret) in [
        ("ca", &config.ca, false),
        ("cert", &config.cert, false),
        ("key", &config.key, true),
    ] {
        if let Some(path) = path {
            pem(what, path, secret, report);
        }
    }
    match config.identities().current() {
        Ok(None) => {}
        Ok(Some(pair)) => {
            let words = format!("{}, by a rotation, instead of `cert`", pair.id());
            report.add("certificate in use", Verdict::Good, words);
        }
        Err(error) => {
            let words = format!("{}: {error}", config.identities().path().display());
            report.add("certificate in use", Verdict::Bad, words);
        }
    }
    steps(config, report);
    for (name, target) in &config.update.targets {
        match Keys::read(&target.keys) {
            Ok(_) if target.keys.is_empty() => {
                let words =
                    format!("{name} has no keys: a checksum in the job is all that is asked for");
                report.add("update", Verdict::Odd, words);
            }
            Ok(_) => report.add("update", Verdict::Good, name.clone()),
            Err(fault) => report.add("update", Verdict::Bad, fault.to_string()),
        }
    }
}

fn clock(report: &mut Report) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_s = now.map_or(0, |now| now.as_secs());
    if now_s < CLOCK_LEAST_S {
        let words = "was never set: certificates look invalid until it is";
        report.add("clock", Verdict::Bad, words);
    } else {
        report.add("clock", Verdict::Good, "set");
    }
}

fn state(config: &Config, report: &mut Report) {
    // The first folder on the way up that is there is the one that must be writable.
    let there = config.state_dir.ancestors().find(|dir| dir.exists());
    let place = config.state_dir.display();
    match there.map(|dir| access(dir, Access::WRITE_OK | Access::EXEC_OK)) {
        Some(Ok(())) => report.add("state folder", Verdict::Good, place.to_string()),
        Some(Err(error)) => {
            let words = format!("{place} cannot be written: {error}");
            report.add("state folder", Verdict::Bad, words);
        }
        None => report.add(
            "state folder",
            Verdict::Bad,
            format!("{place} cannot be made"),
        ),
    }
}

fn pem(what: &str, path: &Path, secret: bool, report: &mut Report) {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return report.add(what, Verdict::Bad, format!("{shown}: {error}")),
    };
    let wanted = if secret {
        "PRIVATE KEY-----"
    } else {
        "-----BEGIN CERTIFICATE-----"
    };
    if !text.contains(wanted) {
        let kind = if secret { "private key" } else { "certificate" };
        return report.add(
            what,
            Verdict::Bad,
            format!("{shown} holds no {kind} in PEM form"),
        );
    }
    let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
    if secret && mode & 0o077 != 0 {
        let words = format!("{shown} can be read by others: chmod 600 it");
        return report.add(what, Verdict::Odd, words);
    }
    report.add(what, Verdict::Good, shown.to_string());
}

fn steps(config: &Config, report: &mut Report) {
    let policy = &config.steps;
    if !policy.allows_anything() {
        let words = "nothing is allowed: list handlers, commands or builtin under [steps]";
        return report.add("steps", Verdict::Odd, words);
    }
    for dir in &policy.handler_dirs {
        for name in policy.handlers.iter().filter(|name| *name != "*") {
            match executables::handler(dir, name) {
                Ok(path) => report.add("handler", Verdict::Good, path.display().to_string()),
                Err(fault) => report.add("handler", Verdict::Odd, fault.to_string()),
            }
        }
    }
    for program in policy.commands.iter().filter(|program| *program != "*") {
        match executables::command(program, &policy.path) {
            Ok(path) => report.add("command", Verdict::Good, path.display().to_string()),
            Err(fault) => report.add("command", Verdict::Odd, fault.to_string()),
        }
    }
    for user in policy.users.iter().chain(&policy.default_user) {
        match find_user(user, Path::new(PASSWD)) {
            Ok((ids, _)) => report.add("user", Verdict::Good, format!("{user} ({})", ids.uid)),
            Err(fault) => report.add("user", Verdict::Odd, fault.to_string()),
        }
    }
    if policy.commands.iter().any(|command| command == "*") {
        let words = "every command is allowed: whoever can create jobs has this device";
        report.add("steps", Verdict::Odd, words);
    }
}
