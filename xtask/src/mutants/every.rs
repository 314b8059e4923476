//! `cargo xtask mutants --all`: every mutant that cargo-mutants makes of protocol and core.
//!
//! A tool for a developer's machine, not for CI: hours of work, and CI installs no program. What is
//! left out, and why, is said in `.cargo/mutants.toml`.

use crate::run::{captured, cargo, command, target};

/// The version whose mutants the figures of `docs/verification.md` count.
const VERSION: &str = "27.1.0";

/// What cargo-mutants says when it ends: nothing survived, something did, something hung and
/// nothing survived.
const CAUGHT: i32 = 0;
const MISSED: i32 = 2;
const HUNG: i32 = 3;

/// One run: what is mutated, whose tests judge, with which features.
struct Pass {
    package: &'static str,
    tests: &'static str,
    features: &'static [&'static str],
}

/// Some code is there under one set of features alone: what survives the first pass of a package
/// meets its second.
const PASSES: [Pass; 3] = [
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
        tests: "jobs-agent-core,jobs-testkit",
        features: &[],
    },
];

/// Runs every pass, also after one with survivors. An interrupted run goes on where it was.
///
/// # Errors
/// If cargo-mutants is missing, or a mutant survives.
pub(crate) fn every() -> Result<(), String> {
    let said = captured(&mut command("cargo", &["mutants", "--version"]))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    if !said.contains(VERSION) {
        return Err(format!(
            "cargo-mutants {VERSION} is wanted, found {said:?}: \
             cargo install --locked cargo-mutants --version {VERSION}"
        ));
    }
    let mut survived = Vec::new();
    for pass in &PASSES {
        println!("\n== mutants of {} {:?}", pass.package, pass.features);
        let folder = target().join("mutants").join(pass.package);
        let mut mutants = cargo(&["mutants", "--iterate", "--package", pass.package]);
        mutants.args(["--test-package", pass.tests]);
        mutants.args(pass.features).arg("--output").arg(&folder);
        let status = mutants.status().map_err(|error| error.to_string())?;
        let last = PASSES.iter().rfind(|other| other.package == pass.package);
        let last = last.is_some_and(|last| last.features == pass.features);
        match status.code() {
            // A mutant that hangs was noticed, too.
            Some(CAUGHT | HUNG) => {}
            Some(MISSED) if !last => {}
            Some(MISSED) => {
                let missed = folder.join("mutants.out/missed.txt");
                survived.push(missed.display().to_string());
            }
            _ => return Err(format!("cargo-mutants ended with {status}")),
        }
    }
    if survived.is_empty() {
        Ok(())
    } else {
        Err(format!("mutants survived: {}", survived.join(", ")))
    }
}
