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
    let started = Instant::now();
    let status = command
        .status()
        .map_err(|error| format!("{name}: {error}"))?;
    println!("== {name}: {} s", started.elapsed().as_secs());
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name} failed ({status})"))
    }
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
