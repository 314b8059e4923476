//! `cargo xtask chaos`: kills the program `jobs-agent` again and again while it does jobs.

use crate::run::{cargo, command, step, target};

/// Kills in the short form, for every change, and in the long one.
const KILLS: (&str, &str) = ("20", "200");

/// The profile of the program as it ships; also the name of its folder.
const PROFILE: &str = "gateway";

/// Builds the program as it ships, then runs `jobs-agent/examples/chaos` against it.
///
/// # Errors
/// A job was lost, or something was done twice; or an argument is unknown.
pub(crate) fn all(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (kills, seed) = match *words {
        [] => (KILLS.0, None),
        ["--long"] => (KILLS.1, None),
        ["--seed", seed] => (KILLS.0, Some(seed)),
        ["--long", "--seed", seed] => (KILLS.1, Some(seed)),
        _ => return Err("chaos takes [--long] [--seed N]".to_owned()),
    };
    let program = [
        "build",
        "--locked",
        "--profile",
        PROFILE,
        "-p",
        "jobs-agent",
        "--bin",
        "jobs-agent",
    ];
    step("chaos: the program as it ships", &mut cargo(&program))?;
    let harness = [
        "build",
        "--locked",
        "--release",
        "-p",
        "jobs-agent",
        "--example",
        "chaos",
    ];
    step("chaos: what surrounds it", &mut cargo(&harness))?;
    let mut chaos = command(target().join("release/examples/chaos"), &["--kills", kills]);
    chaos
        .arg("--agent")
        .arg(target().join(PROFILE).join("jobs-agent"));
    if let Some(seed) = seed {
        chaos.args(["--seed", seed]);
    }
    step("chaos", &mut chaos)
}
