//! Plays simulated stories by their seeds: `sim SEEDS [FROM]`, or `sim trace SEED`.
//! `cargo xtask sim` builds and runs it.

use std::{process::ExitCode, time::Instant};

use jobs_testkit::sim;

/// Seeds between two lines of progress.
const LINE_EVERY: u64 = 1_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().ok();
    match words[..] {
        ["trace", seed] => {
            let Some(seed) = number(seed) else {
                return usage();
            };
            println!("{}", sim::trace(seed));
            ExitCode::SUCCESS
        }
        [seeds] => number(seeds).map_or_else(usage, |seeds| play(0, seeds)),
        [seeds, from] => match (number(seeds), number(from)) {
            (Some(seeds), Some(from)) => play(from, seeds),
            (_, _) => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: sim SEEDS [FROM] | sim trace SEED");
    ExitCode::FAILURE
}

fn play(from: u64, seeds: u64) -> ExitCode {
    let started = Instant::now();
    let (mut device_ms, mut failed) = (0_u64, Vec::new());
    for played in 1..=seeds {
        let seed = from + played - 1;
        let outcome = sim::play(seed);
        device_ms += outcome.report.end_ms;
        if !outcome.faults.is_empty() {
            println!("seed {seed} failed: {:#?}", outcome.faults);
            failed.push(seed);
        }
        if played % LINE_EVERY == 0 || played == seeds {
            rate(played, device_ms, started);
        }
    }
    if failed.is_empty() {
        println!("{seeds} seeds from {from}: every promise kept, everything settled");
        return ExitCode::SUCCESS;
    }
    println!("failed seeds: {failed:?}\nread one with: cargo xtask sim --trace SEED");
    ExitCode::FAILURE
}

fn rate(played: u64, device_ms: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64().max(0.001);
    let device_days = device_ms as f64 / 86_400_000.0;
    println!(
        "{played} seeds, {:.0} seeds/s, {:.0} device-days per wall minute",
        played as f64 / seconds,
        device_days / seconds * 60.0
    );
}
