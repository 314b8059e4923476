//! Programs that the tests need of the machine; brought in where that is possible.

use crate::run::{captured, command, step};

/// A program and the Debian package it comes from.
pub(crate) type Program = (&'static str, &'static str);

/// Installs those of the programs that are missing, as root or with sudo.
///
/// # Errors
/// What to install by hand.
pub(crate) fn bring_in(programs: &[Program]) -> Result<(), String> {
    let missing = missing(programs);
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("missing: apt-get install {}", missing.join(" "));
    let mut prefix: Vec<&str> = match user_id().as_deref() {
        Some("0") => Vec::new(),
        _ if is_there("sudo") => vec!["sudo", "-n"],
        _ => return Err(by_hand),
    };
    prefix.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    let [program, first @ ..] = prefix.as_slice() else {
        return Err(by_hand);
    };
    let update = [first, &["update"]].concat();
    let install = [
        first,
        &["install", "-y", "--no-install-recommends"],
        &missing,
    ]
    .concat();
    step("apt-get update", &mut command(program, &update)).map_err(|_| by_hand.clone())?;
    step("apt-get install", &mut command(program, &install)).map_err(|_| by_hand)
}

fn missing(programs: &[Program]) -> Vec<&'static str> {
    let missing = programs.iter().filter(|(program, _)| !is_there(program));
    missing.map(|(_, package)| *package).collect()
}

/// Whether the program can be started; mosquitto lies in a folder for administrators.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders.iter().any(|folder| folder.join(program).is_file())
}

fn user_id() -> Option<String> {
    let output = captured(&mut command("id", &["-u"])).ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().into())
}
