//! `cargo xtask interop`: AWS's own clients against the emulator.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::run::{cargo, command, root, step, target};

/// Builds the emulator, makes the virtual environment, and lets the clients loose.
///
/// # Errors
/// What is missing, or which part failed.
pub(crate) fn all() -> Result<(), String> {
    step(
        "build the emulator",
        &mut cargo(&["build", "--locked", "-p", "jobs-emulator"]),
    )?;
    let venv = target().join("interop-venv");
    if !venv.join("bin/python").exists() {
        let path = venv.display().to_string();
        step(
            "virtual environment",
            &mut command("python3", &["-m", "venv", &path]),
        )
        .map_err(|_| "missing: python3 with the venv module".to_string())?;
    }
    let requirements = root()
        .join("jobs-emulator/interop/requirements.txt")
        .display()
        .to_string();
    let python = venv.join("bin/python");
    let install = ["-m", "pip", "install", "--quiet", "-r", &requirements];
    step("AWS clients from PyPI", &mut command(&python, &install))?;
    let mut emulator = start()?;
    let ready = ready_line(&mut emulator);
    let result = ready.and_then(|line| {
        let script = root()
            .join("jobs-emulator/interop/interop.py")
            .display()
            .to_string();
        let mut clients = command(&python, &[&script, &line]);
        step("AWS clients against the emulator", &mut clients)
    });
    let _ = emulator.kill();
    let _ = emulator.wait();
    result
}

fn start() -> Result<Child, String> {
    let program = target().join("debug/jobs-emulator");
    let local = "127.0.0.1:0";
    Command::new(&program)
        .args(["--http", local, "--mqtt", local, "--mqtts", local])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))
}

fn ready_line(emulator: &mut Child) -> Result<String, String> {
    let stdout = emulator
        .stdout
        .take()
        .ok_or("the emulator has no standard output")?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    if line.trim().is_empty() {
        Err("the emulator did not get ready".into())
    } else {
        Ok(line)
    }
}
