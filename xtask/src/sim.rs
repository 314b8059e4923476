//! `cargo xtask sim`: random stories from seeds, in a release build.

use crate::run::{cargo, step};

/// Seeds that are played unless told otherwise: a minute or so.
const SEEDS: &str = "20000";

/// Plays `--seeds N` stories `--from S`, or tells the one of `--trace SEED`.
///
/// # Errors
/// What is wrong with the arguments, or that a story failed.
pub(crate) fn all(arguments: &[String]) -> Result<(), String> {
    let (mut seeds, mut from, mut trace) = (SEEDS, "0", None);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{pair:?} lacks its value"));
        };
        if value.parse::<u64>().is_err() {
            return Err(format!("{name} takes a number, not {value:?}"));
        }
        match name.as_str() {
            "--seeds" => seeds = value,
            "--from" => from = value,
            "--trace" => trace = Some(value),
            unknown => return Err(format!("unknown argument {unknown:?}")),
        }
    }
    let mut args = vec![
        "run",
        "--quiet",
        "--release",
        "-p",
        "jobs-testkit",
        "--example",
        "sim",
        "--",
    ];
    match trace {
        Some(seed) => args.extend(["trace", seed]),
        None => args.extend([seeds, from]),
    }
    step("simulation", &mut cargo(&args))
}
