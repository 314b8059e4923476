//! `cargo xtask verify`: the evidence behind the promises, one table: what was tried, how much, result.
//! `docs/verification.md` says what it proves and what it does not.

use std::{process::Command, time::Instant};

use crate::{
    fuzz, mutants, panics,
    run::{captured, cargo, command, cpu_seconds},
};

/// Seconds of coverage-guided fuzzing for each target.
const FUZZ_SECONDS: u64 = 4;
/// Share of the replay's mutations, per cent.
const REPLAY_PERCENT: u32 = 25;

/// Tests that are rows of the table, and passed over where all others of their crate run.
pub(crate) const FLASH: &str = "store::flash::tests";
pub(crate) const FILES: &str = "store::file::cuts";

/// Tries something; the extent, or what went wrong.
type Step = fn() -> Result<String, String>;

struct Row {
    what: &'static str,
    seconds: u64,
    /// Processor time, which does not depend on what else the machine does.
    cpu_seconds: u64,
    /// `Ok` with the extent; `Err` with the reason. A skipped row is `Ok` and says so.
    result: Result<String, String>,
}

/// Runs everything, also after a failure, and prints the table.
///
/// # Errors
/// If any row failed.
pub(crate) fn all() -> Result<(), String> {
    let steps: [(&'static str, Step); 10] = [
        ("no panic in a linked image", no_panic),
        ("JSON against serde_json", json),
        ("protocol and core, all features", small_tests),
        ("crashes, exploration, simulation", world),
        ("power cuts in flash", flash),
        ("power cuts in files", files),
        ("corpora replayed and mutated", replayed),
        ("coverage-guided fuzzing", fuzzed),
        ("Miri: undefined behaviour", miri),
        ("each promise broken once", broken),
    ];
    let mut rows = Vec::new();
    for (what, run) in steps {
        let (started, before) = (Instant::now(), cpu_seconds());
        let result = run();
        if let Err(text) = &result {
            eprintln!("{what}: {text}");
        }
        rows.push(Row {
            what,
            seconds: started.elapsed().as_secs(),
            cpu_seconds: cpu_seconds().saturating_sub(before),
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
    println!("\n{:<34} {:>5} {:>5}  result", "what", "s", "cpu s");
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
                println!(
                    "{:<34} {:>5} {:>5}  {verdict:<6} {line}",
                    row.what, row.seconds, row.cpu_seconds
                );
            } else {
                println!("{:<55}{line}", "");
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

/// The promises, crash stories, exploration and simulation. The figures are what the tests print.
fn world() -> Result<String, String> {
    let args = [
        "test",
        "--locked",
        "-p",
        "jobs-testkit",
        "--",
        "--nocapture",
    ];
    let said = tested("crashes, exploration, simulation", &mut cargo(&args))?;
    let figure = |label: &str, line: &str| {
        let rest = line.split(label).nth(1)?;
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse::<u64>()
            .ok()
    };
    let explored = said.lines().filter_map(|line| figure("states: ", line));
    let (spaces, states) = explored.fold((0_u64, 0), |(n, sum), states| (n + 1, sum + states));
    let crashed = said.lines().filter(|line| line.contains("crashes: "));
    let crashes = crashed.filter_map(|line| figure(": ", line.split("crashes: ").nth(1)?));
    let mut lines = vec![
        count(&said)?,
        format!("{spaces} worlds closed, {states} states: no promise broken, nothing stuck"),
        format!("{} stories with a crash", crashes.sum::<u64>()),
    ];
    lines.extend(printed(&said, &["places: "]));
    if spaces == 0 || lines.len() < 4 {
        return Err(format!("the figures are missing: {lines:?}"));
    }
    Ok(lines.join("\n"))
}

/// The board adapter's store on a flash that is cut at every byte, alone and under the agent.
fn flash() -> Result<String, String> {
    let args = [
        "test",
        "--locked",
        "-p",
        "agent-embassy",
        "--lib",
        FLASH,
        "--",
        "--nocapture",
    ];
    let said = tested("power cuts in flash", &mut cargo(&args))?;
    let wanted = [
        "flash cuts: ",
        "agent on flash: ",
        "sequential-storage#136",
        "flash wear: ",
    ];
    with_figures(&said, &wanted)
}

/// The Linux adapter's store on a file system that forgets what was not synced.
fn files() -> Result<String, String> {
    let args = [
        "test",
        "--locked",
        "-p",
        "agent-std",
        "--lib",
        FILES,
        "--",
        "--nocapture",
    ];
    let said = tested("power cuts in files", &mut cargo(&args))?;
    with_figures(&said, &["file store cuts: "])
}

fn broken() -> Result<String, String> {
    mutants::all().map(|lines| lines.join("\n"))
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

/// The lines that tests print under one of these labels.
fn printed(said: &str, labels: &[&str]) -> Vec<String> {
    let found = |line: &str| {
        let start = labels.iter().filter_map(|label| line.find(label)).min()?;
        line.get(start..).map(String::from)
    };
    said.lines().filter_map(found).collect()
}

/// The number of tests and what they print under the labels, each of which must be there.
fn with_figures(said: &str, labels: &[&str]) -> Result<String, String> {
    for label in labels {
        if printed(said, &[label]).is_empty() {
            return Err(format!("no test printed {label:?}"));
        }
    }
    let mut lines = vec![count(said)?];
    lines.extend(printed(said, labels));
    Ok(lines.join("\n"))
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
