//! `cargo xtask interop`: AWS's own clients against the emulator.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
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
    let python = python()?;
    let mut emulator = start()?;
    let ready = ready_line(&mut emulator);
    let result = ready.and_then(|line| {
        let mut clients = command(&python, &[]);
        clients.arg(root().join("jobs-emulator/interop/interop.py"));
        for name in ["http", "mqtt", "mqtts", "ca", "cert", "key"] {
            let value = member(&line, name).ok_or_else(|| format!("no {name} in {line}"))?;
            clients.arg(format!("--{name}")).arg(value);
        }
        step("AWS clients against the emulator", &mut clients)
    });
    let _ = emulator.kill();
    let _ = emulator.wait();
    result
}

/// A Python that has AWS's clients, in a virtual environment of its own.
///
/// # Errors
/// What is missing.
pub(crate) fn python() -> Result<PathBuf, String> {
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
    Ok(python)
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

/// A member of the ready line: a flat object of plain strings.
fn member<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::member;

    #[test]
    fn a_member_of_the_ready_line_is_found_by_its_whole_name() {
        let line = r#"{"http":"127.0.0.1:1","mqtt":"127.0.0.1:2","mqtts":"127.0.0.1:3"}"#;
        assert_eq!(member(line, "mqtt"), Some("127.0.0.1:2"));
        assert_eq!(member(line, "mqtts"), Some("127.0.0.1:3"));
        assert_eq!(member(line, "ca"), None);
    }
}
