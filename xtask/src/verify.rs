//! `cargo xtask verify`: the evidence behind the promises, one table: what was tried, how much, result.
//! `docs/verification.md` says what it proves and what it does not.

use std::{process::Command, time::Instant};

use crate::{
    fuzz, panics,
    run::{captured, cargo, command},
};

/// Seconds of coverage-guided fuzzing for each target.
const FUZZ_SECONDS: u64 = 10;
/// Share of the replay's mutations, per cent.
const REPLAY_PERCENT: u32 = 100;

/// Tries something; the extent, or what went wrong.
type Step = fn() -> Result<String, String>;

struct Row {
    what: &'static str,
    seconds: u64,
    /// `Ok` with the extent; `Err` with the reason. A skipped row is `Ok` and says so.
    result: Result<String, String>,
}

/// Runs everything, also after a failure, and prints the table.
///
/// # Errors
/// If any row failed.
pub(crate) fn all() -> Result<(), String> {
    let steps: [(&'static str, Step); 7] = [
        ("no panic in a linked image", no_panic),
        ("JSON against serde_json", json),
        ("protocol and core, all tests", small_tests),
        ("crashes, exploration, simulation", world),
        ("corpora replayed and mutated", replayed),
        ("coverage-guided fuzzing", fuzzed),
        ("Miri: undefined behaviour", miri),
    ];
    let mut rows = Vec::new();
    for (what, run) in steps {
        let started = Instant::now();
        let result = run();
        if let Err(text) = &result {
            eprintln!("{what}: {text}");
        }
        let seconds = started.elapsed().as_secs();
        rows.push(Row {
            what,
            seconds,
            result,
        });
    }
    print(&rows);
    let failed = rows.iter().filter(|row| row.result.is_err()).count();
    if failed == 0 {
        Ok(())
    } else {
        Err(format!("{failed} rows failed"))
    }
}

fn print(rows: &[Row]) {
    println!("\n{:<34} {:>5}  result", "what", "s");
    for row in rows {
        let (verdict, text) = match &row.result {
            Ok(text) => (
                if text.starts_with("skipped") {
                    "-"
                } else {
                    "ok"
                },
                text.as_str(),
            ),
            Err(text) => ("FAILED", text.lines().next().unwrap_or("")),
        };
        for (index, line) in text.lines().enumerate() {
            if index == 0 {
                println!("{:<34} {:>5}  {verdict:<6} {line}", row.what, row.seconds);
            } else {
                println!("{:<49}{line}", "");
            }
        }
    }
}

fn no_panic() -> Result<String, String> {
    let found = panics::all()?;
    Ok(format!(
        "{} public function names, {} images (3 clean, 3 seeded and found)",
        found.functions, found.images
    ))
}

fn json() -> Result<String, String> {
    let args = [
        "test",
        "--release",
        "--locked",
        "-p",
        "jobs-proto",
        "--test",
        "json_torture",
        "--",
        "--include-ignored",
        "--nocapture",
    ];
    let said = tested("JSON torture", &mut cargo(&args))?;
    let figures = said.lines().filter_map(|line| {
        let line = line.trim_start_matches('.');
        let figure = line.ends_with("strings") || line.ends_with("them JSON");
        figure.then(|| line.rsplit("... ").next().unwrap_or(line).to_owned())
    });
    Ok(figures.collect::<Vec<_>>().join("; "))
}

fn small_tests() -> Result<String, String> {
    let args = [
        "test",
        "--locked",
        "-p",
        "jobs-proto",
        "-p",
        "jobs-agent-core",
        "--all-features",
    ];
    count(&tested("tests of protocol and core", &mut cargo(&args))?)
}

fn world() -> Result<String, String> {
    let args = ["test", "--release", "--locked", "-p", "jobs-testkit"];
    count(&tested(
        "crashes, exploration, simulation",
        &mut cargo(&args),
    )?)
}

fn replayed() -> Result<String, String> {
    fuzz::replay(REPLAY_PERCENT).map(|lines| lines.join("\n"))
}

fn fuzzed() -> Result<String, String> {
    if !fuzz::nightly() {
        return Ok("skipped: no nightly compiler (rustup toolchain install nightly)".into());
    }
    fuzz::brief(&fuzz::names(), FUZZ_SECONDS).map(|lines| lines.join("\n"))
}

/// The unit tests, and those of the protocol that are neither exhaustive nor random: under Miri such a
/// test takes hours.
fn miri() -> Result<String, String> {
    let there = captured(&mut command("cargo", &["+nightly", "miri", "--version"]));
    if !there.is_ok_and(|output| output.status.success()) {
        return Ok("skipped: no Miri (rustup +nightly component add miri rust-src)".into());
    }
    let args = [
        "+nightly",
        "miri",
        "test",
        "--locked",
        "-p",
        "jobs-proto",
        "-p",
        "jobs-agent-core",
        "--lib",
        "--test",
        "document",
        "--test",
        "values",
        "--test",
        "stale",
    ];
    let mut miri = cargo(&args);
    miri.env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", "2")
        .env("CARGO_TARGET_DIR", crate::run::target().join("miri"));
    count(&tested("Miri", &mut miri)?)
}

/// Runs tests and keeps what they print.
fn tested(name: &str, command: &mut Command) -> Result<String, String> {
    println!("\n== {name}");
    let output = captured(command)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(format!(
        "failed\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Adds up the tests that passed; none at all is a failure.
fn count(said: &str) -> Result<String, String> {
    let passed = said.lines().filter_map(|line| {
        let rest = line.strip_prefix("test result: ok. ")?;
        rest.split(' ').next()?.parse::<u32>().ok()
    });
    match passed.sum::<u32>() {
        0 => Err("no test ran".into()),
        tests => Ok(format!("{tests} tests")),
    }
}
