//! Running other programs, with a heading and a clear word when one fails.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Instant,
};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}

/// The folder of everything built.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command in the repository's root.
pub(crate) fn command<S: AsRef<OsStr>>(program: S, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// Cargo in the repository's root, free of this process's own toolchain settings.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut cargo = command("cargo", args);
    for name in [
        "CARGO",
        "RUSTUP_TOOLCHAIN",
        "CARGO_MANIFEST_DIR",
        "CARGO_PKG_NAME",
    ] {
        cargo.env_remove(name);
    }
    cargo
}

/// Runs a step and tells how long it took.
///
/// # Errors
/// The step's name, if it cannot be started or fails.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<(), String> {
    println!("\n== {name}");
    let (started, before) = (Instant::now(), cpu_seconds());
    let status = command
        .status()
        .map_err(|error| format!("{name}: {error}"))?;
    println!(
        "== {name}: {} s, {} s of processor time",
        started.elapsed().as_secs(),
        cpu_seconds().saturating_sub(before)
    );
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name} failed ({status})"))
    }
}

/// Processor time of all programs that were started here and have ended, seconds: what a step
/// costs on a machine that also does other things. 0 where the system does not say.
pub(crate) fn cpu_seconds() -> u64 {
    /// Clock ticks a second, fixed by Linux for this file.
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 16 and 17, counted behind the name, which ends with the last bracket.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(13).take(2);
    ticks
        .filter_map(|field| field.parse::<u64>().ok())
        .sum::<u64>()
        / TICKS
}

/// Runs a command and keeps what it prints.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn captured(command: &mut Command) -> Result<Output, String> {
    command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))
}
