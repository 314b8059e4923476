//! `cargo xtask fuzz`: libFuzzer over every target, without cargo-fuzz; and the replay of the corpora
//! on a stable compiler.

use std::path::Path;

use crate::run::{captured, cargo, command, root, step, target};

/// The targets, in the order of `fuzz/src/lib.rs`; its replay test pins the same list.
const TARGETS: [&str; 8] = [
    "topic", "inbound", "encode", "record", "hostile", "agent", "emulator", "wire",
];

/// Without `--minutes`.
const MINUTES_DEFAULT: f64 = 8.0;

/// Coverage for libFuzzer, as cargo-fuzz sets it; and no optimisation that takes checks away.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing -Zsanitizer=address -Ccodegen-units=1";

const HOST: &str = "x86_64-unknown-linux-gnu";

/// `cargo xtask fuzz [--minutes N] [TARGET …]`: N minutes in all, shared by the targets.
///
/// # Errors
/// What a target found, or what is missing.
pub(crate) fn all(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    let (mut minutes, mut names) = (MINUTES_DEFAULT, Vec::new());
    while let Some(arg) = args.next() {
        if arg == "--minutes" {
            let number = args.next().and_then(|text| text.parse().ok());
            minutes = number.ok_or("--minutes wants a number")?;
        } else if TARGETS.contains(&arg.as_str()) {
            names.push(arg);
        } else {
            return Err(format!("no target {arg:?}; there are {TARGETS:?}"));
        }
    }
    if names.is_empty() {
        names = self::names();
    }
    if !nightly() {
        return Err(
            "missing: rustup toolchain install nightly (the corpora are replayed on stable \
                    by `cargo xtask verify`)"
                .into(),
        );
    }
    let seconds = (minutes * 60.0 / names.len() as f64).max(1.0) as u64;
    for line in brief(&names, seconds)? {
        println!("{line}");
    }
    Ok(())
}

/// The names of all targets.
pub(crate) fn names() -> Vec<String> {
    TARGETS.map(String::from).to_vec()
}

/// Whether there is a nightly compiler.
pub(crate) fn nightly() -> bool {
    captured(&mut command("rustc", &["+nightly", "--version"]))
        .is_ok_and(|output| output.status.success())
}

/// Fuzzes each target for some seconds; a line of figures for each.
///
/// # Errors
/// What a target found: the input is kept under `target/fuzz-found/`.
pub(crate) fn brief(names: &[String], seconds: u64) -> Result<Vec<String>, String> {
    let folder = target().join("fuzz-nightly");
    let manifest = root().join("fuzz/Cargo.toml");
    let manifest = manifest.to_string_lossy().into_owned();
    let build = [
        "+nightly",
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        &manifest,
        "--target",
        HOST,
        "--features",
        "libfuzzer",
        "--bin",
        "libfuzzer",
        "--bin",
        "seeds",
    ];
    let mut build = cargo(&build);
    build
        .env("RUSTFLAGS", COVERAGE)
        .env("CARGO_TARGET_DIR", &folder);
    step("build of the fuzz targets (nightly)", &mut build)?;
    let programs = folder.join(HOST).join("release");
    let corpora = target().join("fuzz-corpus");
    let seeds = corpora.to_string_lossy().into_owned();
    step("seeds", &mut command(programs.join("seeds"), &[&seeds]))?;
    let found = target().join("fuzz-found");
    std::fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    names
        .iter()
        .map(|name| one(name, seconds, &programs, &corpora, &found))
        .collect()
}

fn one(
    name: &str,
    seconds: u64,
    programs: &Path,
    corpora: &Path,
    found: &Path,
) -> Result<String, String> {
    println!("\n== fuzz {name}, {seconds} s");
    let dictionary = root().join("fuzz/jobs.dict");
    let mut args = vec![
        format!("-max_total_time={seconds}"),
        "-timeout=25".into(),
        "-rss_limit_mb=4096".into(),
        "-print_final_stats=1".into(),
        "-verbosity=0".into(),
        format!("-dict={}", dictionary.display()),
        format!("-artifact_prefix={}/{name}-", found.display()),
        corpora.join(name).display().to_string(),
    ];
    let kept = ["corpus", "regressions"].map(|kind| root().join("fuzz").join(kind).join(name));
    args.extend(
        kept.iter()
            .filter(|path| path.is_dir())
            .map(|path| path.display().to_string()),
    );
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut fuzzer = command(programs.join("libfuzzer"), &args);
    fuzzer
        .env("JOBS_FUZZ_TARGET", name)
        .env("ASAN_OPTIONS", "detect_odr_violation=0:detect_leaks=0");
    let output = captured(&mut fuzzer)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!(
            "fuzz target {name}; put the input under fuzz/regressions/{name}:\n{text}"
        ));
    }
    let figure = |label: &str| {
        let line = text.lines().find(|line| line.contains(label));
        line.and_then(|line| line.rsplit(' ').next())
            .unwrap_or("?")
            .to_owned()
    };
    Ok(format!(
        "{name}: {} executions, {} a second",
        figure("stat::number_of_executed_units"),
        figure("stat::average_exec_per_sec")
    ))
}

/// Replays every corpus and mutates it from a fixed seed, on the stable compiler; the lines of figures.
///
/// # Errors
/// The input that broke something.
pub(crate) fn replay(percent: u32) -> Result<Vec<String>, String> {
    println!("\n== replay of the corpora");
    let manifest = root().join("fuzz/Cargo.toml");
    let manifest = manifest.to_string_lossy().into_owned();
    let mut lines = Vec::new();
    // The protocol as small cores have it, and as hosts do.
    for features in ["", "fast"] {
        let args = [
            "test",
            "--release",
            "--locked",
            "--manifest-path",
            &manifest,
            "--features",
            features,
            "--test",
            "replay",
            "--",
            "--nocapture",
        ];
        let mut test = cargo(&args);
        test.env("CARGO_TARGET_DIR", target().join("fuzz"))
            .env("JOBS_FUZZ_PERCENT", percent.to_string());
        let output = captured(&mut test)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(format!(
                "replay {features}: {said}\n{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        let replayed = said.lines().filter(|line| line.ends_with("mutations"));
        lines.extend(replayed.map(|line| {
            let line = line.rsplit("test ").next().unwrap_or(line);
            format!("{line} {features}").trim_end().to_owned()
        }));
    }
    Ok(lines)
}
