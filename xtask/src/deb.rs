//! `cargo xtask deb`: the Debian package, installed into an empty folder and removed again.
//!
//! Not part of CI, because `cargo deb` is a program that CI does not have.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    chaos,
    run::{captured, cargo, command, root, step, target},
};

/// What must lie where after the installation.
const INSTALLED: [&str; 8] = [
    "usr/bin/jobs-agent",
    "etc/jobs-agent/config.toml",
    "usr/lib/systemd/system/jobs-agent.service",
    "usr/share/man/man1/jobs-agent.1.gz",
    "usr/share/man/man1/jobs-agent-doctor.1.gz",
    "usr/share/bash-completion/completions/jobs-agent",
    "usr/share/zsh/vendor-completions/_jobs-agent",
    "usr/share/fish/vendor_completions.d/jobs-agent.fish",
];

/// Where the unit expects the program.
const PROGRAM: &str = "/usr/bin/jobs-agent";

/// Builds, installs, looks, removes.
///
/// # Errors
/// What is missing on this machine, or wrong in the package.
pub(crate) fn all() -> Result<(), String> {
    if !captured(&mut cargo(&["deb", "--version"]))?
        .status
        .success()
    {
        return Err("missing: cargo install cargo-deb".to_owned());
    }
    chaos::build_shipped()?;
    let run = [
        "run",
        "--locked",
        "-p",
        "jobs-agent",
        "--all-features",
        "--",
    ];
    let mut pages = cargo(&run);
    pages.arg("generate").arg(root().join("target/generated"));
    step("deb: manual pages and completions", &mut pages)?;
    let folder = target().join("debian");
    let package = folder.join("jobs-agent.deb");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let build = [
        "deb",
        "-p",
        "jobs-agent",
        "--profile",
        "gateway",
        "--no-build",
    ];
    let mut build = cargo(&build);
    step("deb: the package", build.arg("--output").arg(&package))?;
    let system = empty_system(&folder)?;
    step("deb: install", dpkg(&system).arg("-i").arg(&package))?;
    if let Some(missing) = INSTALLED.iter().find(|file| !system.join(file).is_file()) {
        return Err(format!("the package has no {missing}"));
    }
    let program = system.join(PROGRAM.trim_start_matches('/'));
    step("deb: start it", &mut command(&program, &["--version"]))?;
    verify_unit(&system, &program, &folder)?;
    step("deb: purge", dpkg(&system).args(["-P", "jobs-agent"]))?;
    if let Some(left) = INSTALLED.iter().find(|file| system.join(file).exists()) {
        return Err(format!("{left} is left after a purge"));
    }
    println!("\nxtask: {} is sound", package.display());
    Ok(())
}

/// A folder in which dpkg sees a system without any package.
fn empty_system(folder: &Path) -> Result<PathBuf, String> {
    let system = folder.join("system");
    // What an earlier run left.
    let _ = fs::remove_dir_all(&system);
    let fault = |error: std::io::Error| error.to_string();
    for name in ["updates", "info"] {
        fs::create_dir_all(system.join("var/lib/dpkg").join(name)).map_err(fault)?;
    }
    for name in ["status", "available"] {
        fs::write(system.join("var/lib/dpkg").join(name), "").map_err(fault)?;
    }
    Ok(system)
}

/// dpkg in that folder, as root. Its libraries are not there, and the package's scripts run outside.
fn dpkg(system: &Path) -> std::process::Command {
    let mut dpkg = command("dpkg", &["--force-depends", "--force-script-chrootless"]);
    dpkg.arg("--root").arg(system);
    dpkg
}

/// systemd reads the unit without a word; the program's path is that in the folder, because systemd
/// looks whether it is there.
fn verify_unit(system: &Path, program: &Path, folder: &Path) -> Result<(), String> {
    let unit = system.join("usr/lib/systemd/system/jobs-agent.service");
    let text = fs::read_to_string(&unit).map_err(|error| error.to_string())?;
    let moved = folder.join("jobs-agent.service");
    let text = text.replace(PROGRAM, &program.display().to_string());
    fs::write(&moved, text).map_err(|error| error.to_string())?;
    println!("\n== deb: the unit");
    let mut verify = command("systemd-analyze", &["verify", "--man=no"]);
    let verified = captured(verify.arg(&moved))?;
    let words = String::from_utf8_lossy(&verified.stderr).into_owned();
    if verified.status.success() && words.trim().is_empty() {
        Ok(())
    } else {
        Err(format!("systemd-analyze verify: {words}"))
    }
}
