//! `cargo xtask bench`: what protocol and core cost in instructions, against a committed budget.
//!
//! Instructions under callgrind do not depend on the machine's speed or load, so they can be a
//! gate; times cannot. One run of valgrind measures everything: it collects only inside the
//! function `measured` of `benches/speed`, and writes one dump each time that returns.

mod budget;
mod end_to_end;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    packages,
    run::{captured, cargo, root, step, target},
};
use budget::Budget;

/// What a comparison with a peer has to reach: our case, the peer, ours by the peer's at most.
const GOALS: [(&str, &str, f64); 2] = [
    ("decode/notify-next/300-bytes", "sonic-rs", 0.80),
    (
        "decode/notify-next/32-kib-mixed",
        "serde_json RawValue",
        0.75,
    ),
];

/// Takes from glibc the choice of `memcpy` and the like by the processor at hand: every machine
/// then runs the same instructions, those that any x86-64 has.
const SAME_EVERYWHERE: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM";

/// Runs what the arguments ask for; without any, counts instructions and checks the budget.
///
/// # Errors
/// What is missing, a case over its budget, or an argument that means nothing.
pub(crate) fn all(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => instructions(false),
        [one] if one == "--change" => instructions(true),
        [one] if one == "--wall" => wall(),
        [one] if one == "--end-to-end" => end_to_end::all(),
        _ => Err("bench takes --change, --wall, --end-to-end, or nothing".into()),
    }
}

/// Counts, prints, and compares with `benches/budget.json`.
fn instructions(change: bool) -> Result<(), String> {
    packages::bring_in(&[("valgrind", "valgrind")])?;
    let mut tests = speed(&["test", "--locked", "--release", "--test", "honest"]);
    step("no case allocates, all readers agree", &mut tests)?;
    let mut build = speed(&["build", "--locked", "--release", "--bin", "count"]);
    step("build benches/speed", &mut build)?;
    let counts = count(&folder().join("release/count"))?;
    let path = root().join("benches/budget.json");
    let old = match fs::read_to_string(&path) {
        Ok(text) => Budget::parse(&text)?,
        Err(_) if change => Budget::default(),
        Err(error) => return Err(format!("benches/budget.json: {error}")),
    };
    print(&counts, &old);
    let faults = goals(&counts, &old);
    if change {
        let new = Budget::of(&counts);
        return fs::write(&path, new.json()).map_err(|error| format!("budget.json: {error}"));
    }
    let faults = [old.faults(&counts), faults].concat();
    if faults.is_empty() {
        println!("\n== bench: within benches/budget.json");
        Ok(())
    } else {
        Err(format!(
            "{}\nif this is meant, `cargo xtask bench --change` makes it the new budget",
            faults.join("\n")
        ))
    }
}

fn folder() -> PathBuf {
    target().join("bench")
}

/// Cargo in the workspace of the benches.
fn speed(args: &[&str]) -> Command {
    let mut cargo = cargo(args);
    cargo
        .current_dir(root().join("benches/speed"))
        .env("CARGO_TARGET_DIR", folder());
    cargo
}

fn wall() -> Result<(), String> {
    let mut bench = speed(&["bench", "--locked", "--bench", "wall"]);
    step(
        "time of every case; compare only within one run",
        &mut bench,
    )
}

/// Instructions by case, in the order in which they ran.
type Counts = Vec<(String, u64)>;

fn count(program: &Path) -> Result<Counts, String> {
    let dumps = folder().join("callgrind");
    // What an earlier run left behind must not be read as this one's.
    let _ = fs::remove_dir_all(&dumps);
    fs::create_dir_all(&dumps).map_err(|error| format!("{}: {error}", dumps.display()))?;
    let out = dumps.join("dump");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .args(["--toggle-collect=measured", "--dump-after=measured"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .env("GLIBC_TUNABLES", SAME_EVERYWHERE);
    let output = captured(&mut valgrind)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let names = String::from_utf8_lossy(&output.stdout);
    let mut counts = Counts::new();
    for (nth, name) in (1..).zip(names.lines()) {
        let path = dumps.join(format!("dump.{nth}"));
        let dump =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let total = total(&dump).ok_or_else(|| format!("{}: no total", path.display()))?;
        counts.push((name.to_string(), total));
    }
    if counts.is_empty() {
        Err("valgrind counted nothing".into())
    } else {
        Ok(counts)
    }
}

/// The sum that stands in a dump of callgrind.
fn total(dump: &str) -> Option<u64> {
    let mut lines = dump.lines();
    let text = lines.find_map(|line| line.strip_prefix("totals: "))?;
    text.trim().parse().ok().filter(|total| *total > 0)
}

/// Ours, each with the peers at the same work below it.
fn print(counts: &Counts, old: &Budget) {
    println!("\n== instructions on x86-64 (budget); below them, ours as a multiple of the peer's");
    let mut mine = 0;
    for (name, count) in counts {
        if let Some((_, peer)) = name.split_once('@') {
            println!("    {:.2} x {peer} ({count})", ratio(mine, *count));
        } else {
            let budget = old
                .get(name)
                .map_or_else(|| "new".into(), |old| old.to_string());
            println!("{count:>9} {name} ({budget})");
            mine = *count;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(ours: u64, peers: u64) -> f64 {
    ours as f64 / peers as f64
}

/// Prints how the goals stand. One that the budget already meets must not be missed again.
fn goals(counts: &Counts, old: &Budget) -> Vec<String> {
    let counts: BTreeMap<&str, u64> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    let mut faults = Vec::new();
    println!();
    for (case, peer, goal) in GOALS {
        let peers = counts.get(format!("{case}@{peer}").as_str());
        let (Some(ours), Some(peers)) = (counts.get(case), peers) else {
            faults.push(format!("{case}: not measured beside {peer}"));
            continue;
        };
        let is = ratio(*ours, *peers);
        let word = if is <= goal { "reached" } else { "not reached" };
        println!("goal: {case} at most {goal:.2} x {peer}: {is:.2}, {word}");
        let was_reached = old.get(case).is_some_and(|old| ratio(old, *peers) <= goal);
        if is > goal && was_reached {
            faults.push(format!(
                "{case}: {is:.2} x {peer}, and was at most {goal:.2}"
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_dump_is_found() {
        let dump = "part: 2\nevents: Ir\nsummary: 12\n\nfn=(1) measured\n0 12\n\ntotals: 12\n";
        assert_eq!(total(dump), Some(12));
        assert_eq!(total("totals: 0\n"), None);
    }

    fn counts(ours: u64) -> Counts {
        GOALS
            .iter()
            .flat_map(|(case, peer, _)| {
                [((*case).to_string(), ours), (format!("{case}@{peer}"), 100)]
            })
            .collect()
    }

    #[test]
    fn a_goal_that_was_never_reached_is_no_fault_and_one_that_was_is() {
        let (far, near) = (Budget::of(&counts(200)), Budget::of(&counts(70)));
        assert!(goals(&counts(200), &far).is_empty());
        assert!(goals(&counts(70), &far).is_empty());
        assert_eq!(goals(&counts(90), &near).len(), 2);
    }
}
