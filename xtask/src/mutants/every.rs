//! `cargo xtask mutants --all`: every mutant that cargo-mutants makes of protocol and core.
//!
//! A tool for a developer's machine, not for CI: hours of work, and CI installs no program. What
//! stands behind `--all` is handed on: with `--file jobs-proto/src/number.rs` it takes minutes.
//! Which mutants are equivalent, and why, is said in `.cargo/mutants.toml`; whatever else survives
//! is an error.

use std::path::Path;

use crate::run::{captured, cargo, command, root, target};

/// The version whose mutants the figures of `docs/verification.md` count.
const VERSION: &str = "27.1.0";

/// What cargo-mutants says when it ends: nothing survived, something did, something hung and
/// nothing survived.
const CAUGHT: i32 = 0;
const MISSED: i32 = 2;
const HUNG: i32 = 3;

/// The list of equivalent mutants, one pattern a line in three apostrophes.
const EQUIVALENT: &str = ".cargo/mutants.toml";

/// One run: what is mutated, whose tests judge, with which features.
struct Pass {
    package: &'static str,
    tests: &'static str,
    features: &'static [&'static str],
}

/// What survives a pass meets the next one of its package: quick tests come first, and some code is
/// there under one set of features alone.
const PASSES: [Pass; 5] = [
    Pass {
        package: "jobs-proto",
        tests: "jobs-proto",
        features: &[],
    },
    Pass {
        package: "jobs-proto",
        tests: "jobs-proto",
        features: &["--all-features"],
    },
    Pass {
        package: "jobs-agent-core",
        tests: "jobs-agent-core",
        features: &[],
    },
    Pass {
        package: "jobs-agent-core",
        tests: "jobs-agent-core",
        features: &["--all-features"],
    },
    Pass {
        package: "jobs-agent-core",
        tests: "jobs-agent-core,jobs-testkit",
        features: &[],
    },
];

/// Runs every pass, also after one with survivors, and prints the score. An interrupted run goes on
/// where it was; `more` are arguments of cargo-mutants.
///
/// # Errors
/// If cargo-mutants is missing, a mutant survives that is not listed as equivalent, or the list has
/// a pattern that fits no mutant.
pub(crate) fn every(more: &[String]) -> Result<(), String> {
    let said = captured(&mut command("cargo", &["mutants", "--version"]))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    if !said.contains(VERSION) {
        return Err(format!(
            "cargo-mutants {VERSION} is wanted, found {said:?}: \
             cargo install --locked cargo-mutants --version {VERSION}"
        ));
    }
    no_pattern_is_idle()?;
    for pass in &PASSES {
        println!(
            "\n== mutants of {}, tests of {} {:?}",
            pass.package, pass.tests, pass.features
        );
        let mut mutants = cargo(&["mutants", "--iterate", "--package", pass.package]);
        mutants.args(["--test-package", pass.tests]);
        mutants.args(pass.features).args(more);
        let out = folder(pass.package);
        std::fs::create_dir_all(&out).map_err(|error| error.to_string())?;
        mutants.arg("--output").arg(out);
        let status = mutants.status().map_err(|error| error.to_string())?;
        // A mutant that hangs was noticed, too.
        if !matches!(status.code(), Some(CAUGHT | MISSED | HUNG)) {
            return Err(format!("cargo-mutants ended with {status}"));
        }
    }
    let mut survived = Vec::new();
    println!("\n== score");
    for package in ["jobs-proto", "jobs-agent-core"] {
        survived.extend(score(package, more)?);
    }
    if survived.is_empty() {
        Ok(())
    } else {
        Err(format!("mutants survived:\n{}", survived.join("\n")))
    }
}

/// Where cargo-mutants keeps what it found out about this package.
fn folder(package: &str) -> std::path::PathBuf {
    target().join("mutants").join(package)
}

/// Prints what became of the mutants of a package; returns those that survived.
fn score(package: &str, more: &[String]) -> Result<Vec<String>, String> {
    let left = listed(&[&["--package", package], &strings(more)[..]].concat())?;
    let no_config = ["--package", package, "--no-config"];
    let all = listed(&[&no_config, &strings(more)[..]].concat())?;
    if left == 0 {
        return Ok(Vec::new());
    }
    let out = folder(package).join("mutants.out");
    let missed = lines(&out, "missed.txt");
    let hung = lines(&out, "timeout.txt").len();
    let settled = left.saturating_sub(hung).saturating_sub(missed.len());
    println!(
        "{package}: {all} mutants, {settled} caught or not to be built, {hung} hung, \
         {} listed as equivalent, {} survived",
        all.saturating_sub(left),
        missed.len(),
    );
    Ok(missed)
}

fn strings(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// The lines of a list of cargo-mutants, which is not there when it would be empty.
fn lines(out: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(out.join(name)).unwrap_or_default();
    text.lines().map(String::from).collect()
}

/// How many mutants there are under these arguments.
fn listed(arguments: &[&str]) -> Result<usize, String> {
    let mut list = cargo(&["mutants", "--list"]);
    let said = captured(list.args(arguments))?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned());
    }
    // Each by its place; warnings stand between them.
    let list = String::from_utf8_lossy(&said.stdout);
    Ok(list.lines().filter(|line| line.contains(".rs:")).count())
}

/// A pattern without a mutant is about code that is no more, and could hide a mutant to come.
fn no_pattern_is_idle() -> Result<(), String> {
    let path = root().join(EQUIVALENT);
    let list = std::fs::read_to_string(&path).map_err(|error| format!("{EQUIVALENT}: {error}"))?;
    let packages = ["-p", "jobs-proto", "-p", "jobs-agent-core", "--no-config"];
    // cargo-mutants lists some whatever the pattern is.
    let always = listed(&[&packages[..], &["--re", "^$"]].concat())?;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let Some(pattern) = line.split("'''").nth(1) else {
            continue;
        };
        if listed(&[&packages[..], &["--re", pattern]].concat())? <= always {
            return Err(format!("{EQUIVALENT}: no mutant is called {pattern}"));
        }
    }
    Ok(())
}
