//! Plays the mistakes on a copy of the repository, each with its test.

use std::{fs, path::Path};

use super::{AGENT, MUTANTS, Mutant, PROMISES};
use crate::run::{captured, cargo, command, root, target};

/// Plays every mutant; the promises with their mistakes, for the table of `cargo xtask verify`.
///
/// # Errors
/// The mutants that no test noticed, or that do not build any more, and promises without one.
pub(crate) fn all() -> Result<Vec<String>, String> {
    println!("\n== mutants of the promises");
    let copy = target().join("mutants/tree");
    copy_tree(&copy)?;
    let mut lines = vec![format!(
        "{} mistakes, each noticed by the test named:",
        MUTANTS.len()
    )];
    let mut survivors = Vec::new();
    for (promise, words) in PROMISES {
        lines.push(format!("{promise} {words}"));
        let mut broken = MUTANTS.iter().filter(|mutant| mutant.promise == promise);
        let first = broken
            .next()
            .ok_or_else(|| format!("{promise} has no mutant"))?;
        for mutant in std::iter::once(first).chain(broken) {
            let line = format!("   {}: {}", mutant.name, mutant.test.1);
            match play(mutant, &copy) {
                Ok(()) => {
                    println!("caught   {promise}{line}");
                    lines.push(line);
                }
                Err(why) => {
                    println!("SURVIVED {promise}{line}: {why}");
                    survivors.push(mutant.name);
                }
            }
        }
    }
    if survivors.is_empty() {
        println!("== {} mutants, each caught by its test", MUTANTS.len());
        Ok(lines)
    } else {
        Err(format!("mutants not caught: {}", survivors.join("; ")))
    }
}

fn play(mutant: &Mutant, copy: &Path) -> Result<(), String> {
    let path = copy.join(mutant.file);
    let original =
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutant.file))?;
    if original.matches(mutant.from).count() != 1 {
        return Err(format!(
            "{} changed: the text to mutate is not there once",
            mutant.file
        ));
    }
    let write = |text: &str| fs::write(&path, text).map_err(|error| error.to_string());
    write(&original.replace(mutant.from, mutant.to))?;
    let (tests, name) = mutant.test;
    let package = if tests == AGENT {
        "jobs-agent-core"
    } else {
        "jobs-testkit"
    };
    let args = [
        "test",
        // Built once and run briefly: optimising would cost more than it saves.
        "--config",
        "profile.dev.package.jobs-agent-core.opt-level=0",
        "--config",
        "profile.dev.package.jobs-testkit.opt-level=0",
        "-p",
        package,
        "--test",
        tests,
        "--",
        "--exact",
        name,
    ];
    let mut test = cargo(&args);
    test.current_dir(copy)
        .env("CARGO_TARGET_DIR", target().join("mutants/target"));
    let output = captured(&mut test);
    write(&original)?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains(&format!("test {name} ... FAILED")) {
        return Ok(());
    }
    if text.contains(&format!("test {name} ... ok")) {
        return Err(format!("{name} passed"));
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = errors
        .lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("no such test");
    Err(format!("did not run: {first}"))
}

/// Copies what git knows, so that the work tree is never touched.
fn copy_tree(copy: &Path) -> Result<(), String> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let files = captured(&mut command("git", &args))?;
    for name in String::from_utf8_lossy(&files.stdout).lines() {
        let (from, to) = (root().join(name), copy.join(name));
        if !from.is_file() {
            continue;
        }
        let fresh = fs::read(&from).map_err(|error| format!("{name}: {error}"))?;
        // An unchanged file keeps its time, so that nothing is built twice.
        if fs::read(&to).is_ok_and(|old| old == fresh) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        fs::write(&to, fresh).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}
