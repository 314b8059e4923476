//! `cargo xtask qemu`: the agent as real firmware, on emulated boards that are cut, killed and
//! disconnected.
//!
//! Two boards, each with the job set end to end (against the emulator alone, and with a real
//! mosquitto before it), power cuts at chosen units of flash activity, kills at random moments,
//! and cuts of the network around a PUBACK. That the tests can fail is shown each time by firmware
//! that keeps its records badly.

mod bench;
mod cuts;
mod device;
mod kills;
mod mtls;
mod network;
mod size;
mod stories;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use self::{
    bench::Bench,
    cuts::Work,
    device::{TARGETS, Target},
};
use crate::{
    lines, packages,
    rig::{
        mosquitto::Mosquitto,
        proxy::{self, Proxy},
        service::Service,
        table::Table,
    },
    run::{cargo, root, step, target as built},
    tools,
};

/// What the machine has to have, and where Debian has it.
const PROGRAMS: [packages::Program; 4] = [
    ("qemu-system-arm", "qemu-system-arm"),
    ("mosquitto", "mosquitto"),
    ("setpriv", "util-linux"),
    lines::PROGRAM,
];

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Cuts for each job and board; `None`: one at every unit.
    cuts: Option<usize>,
    /// Kills for each board.
    kills: u32,
    /// After this, something hangs: everything is killed.
    patience: Duration,
}

/// What CI runs.
const SHORT: Plan = Plan {
    cuts: Some(20),
    kills: 12,
    patience: Duration::from_secs(10 * 60),
};

/// What runs over night.
const LONG: Plan = Plan {
    cuts: None,
    kills: 300,
    patience: Duration::from_secs(8 * 60 * 60),
};

/// Cuts of the firmware that keeps its records badly: enough to meet its erasures.
const CUTS_NAIVE: usize = 16;

/// Kills of the same: most meet an erasure, which takes longer than all else.
const KILLS_NAIVE: u32 = 16;

/// Start of the random moments.
const SEED: u64 = 0x5EED_0001;

/// Runs all tests, or those with a word in their names; with `--long`, those that take the night.
/// With `--size` weighs the firmware instead and writes the table into the example's README.
///
/// # Errors
/// What failed, after the table.
pub(crate) fn all(args: &[String]) -> Result<(), String> {
    const FLAGS: [&str; 2] = ["--long", "--size"];
    let is_given = |flag| args.iter().any(|arg| arg == flag);
    let is_flag = |arg: &&String| arg.starts_with("--");
    if let Some(unknown) = args
        .iter()
        .filter(is_flag)
        .find(|arg| !FLAGS.contains(&arg.as_str()))
    {
        return Err(format!("cargo xtask qemu takes {FLAGS:?}, not {unknown}"));
    }
    let plan = if is_given("--long") { LONG } else { SHORT };
    let only = args.iter().find(|arg| !arg.starts_with("--")).cloned();
    packages::bring_in(&PROGRAMS)?;
    tools::targets()?;
    let emulator = build()?;
    if is_given("--size") {
        return size::write();
    }
    guard(plan.patience);
    let folder = built().join("qemu/run");
    // What a run left that was killed.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let service = Service::start(&emulator)?;
    for target in TARGETS {
        mtls::build(target, &service)?;
    }
    let mut table = Table::only(only.clone());
    table.attempt("both", "size as in README.md", size::check);
    // Waiting is most of it: both boards at once.
    std::thread::scope(|scope| {
        let boards = TARGETS.map(|target| {
            let (service, folder) = (&service, folder.join(target.machine));
            let (emulator, rows) = (&emulator, Table::only(only.clone()));
            scope.spawn(move || {
                let mut rows = board(target, service, &folder, plan, rows);
                rows.attempt(target.machine, "mutual TLS", || {
                    mtls::run(target, service, emulator, &folder)
                });
                rows
            })
        });
        for board in boards {
            match board.join() {
                Ok(rows) => table.append(rows),
                Err(_) => table.attempt("", "a test panicked", || Err(String::new())),
            }
        }
    });
    table.conclude()
}

/// Builds the service and all firmware.
fn build() -> Result<PathBuf, String> {
    step(
        "build the emulator",
        &mut cargo(&["build", "--locked", "-p", "jobs-emulator"]),
    )?;
    for target in TARGETS {
        // The naive one first: cargo has one place for both.
        for naive in [true, false] {
            build_firmware(target, naive)?;
        }
    }
    Ok(built().join("debug/jobs-emulator"))
}

fn build_firmware(target: Target, naive: bool) -> Result<(), String> {
    let mut args = vec!["build", "--release", "--locked", "--target", target.triple];
    if naive {
        args.extend(["--features", "naive"]);
    }
    let mut build = cargo(&args);
    let folder = built().join("qemu");
    build
        .current_dir(root().join("examples/qemu-cortex-m"))
        .env("CARGO_TARGET_DIR", &folder);
    let name = if naive { "naive firmware" } else { "firmware" };
    step(
        &format!("build the {name} for {}", target.triple),
        &mut build,
    )?;
    let image = folder.join(target.triple).join("release/qemu-firmware");
    let kept = bench::firmware(target, naive);
    fs::copy(&image, &kept).map_err(|error| format!("{}: {error}", image.display()))?;
    Ok(())
}

/// Ends everything if it takes too long: the kernel kills the children with their parent.
fn guard(patience: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(patience);
        eprintln!("xtask: the tests take longer than {} s", patience.as_secs());
        std::process::exit(1);
    });
}

/// All tests of one board.
fn board(target: Target, service: &Service, folder: &Path, plan: Plan, mut table: Table) -> Table {
    let name = target.machine;
    let plain = Bench::new(service, folder, service.mqtt());
    if let Err(error) = fs::create_dir_all(folder) {
        table.attempt(name, "a folder", || Err(error.to_string()));
        return table;
    }
    table.attempt(name, "the job set", || job_set(&plain, target, false));
    table.attempt(name, "the job set behind mosquitto", || {
        let mosquitto = Mosquitto::start(folder, service.mqtt())?;
        let bench = Bench::new(service, folder, mosquitto.address());
        job_set(&bench, target, true)
    });
    for (what, work) in [
        ("power cuts while it pours", Work::Pour),
        ("power cuts while a page is erased", Work::Page),
        ("power cuts around a reboot", Work::Reboot),
    ] {
        table.attempt(name, what, || {
            sound(work, &cuts::run(&plain, target, work, plan.cuts)?)
        });
    }
    table.attempt(name, "kills at random moments", || {
        kills(&plain, target, plan.kills)
    });
    table.attempt(name, "network cuts", || {
        let proxy = Proxy::start(service.mqtt())?;
        let bench = Bench::new(service, folder, proxy.address());
        seen(network::run(&bench, target, &proxy, None)?)
    });
    table.attempt(name, "network cuts, mosquitto dies", || {
        let mut mosquitto = Mosquitto::start(folder, service.mqtt())?;
        let proxy = Proxy::start(mosquitto.address())?;
        let bench = Bench::new(service, folder, proxy.address());
        seen(network::run(&bench, target, &proxy, Some(&mut mosquitto))?)
    });
    let naive = Bench::new(service, folder, service.mqtt()).naive();
    table.attempt(name, "naive records are found out by cuts", || {
        found_out(&cuts::run(&naive, target, Work::Pour, Some(CUTS_NAIVE))?)
    });
    table.attempt(
        name,
        "naive records are found out by kills",
        || match kills::run(&naive, target, KILLS_NAIVE, SEED) {
            Err(fault) => Ok(fault),
            Ok(shown) => Err(format!("nothing was found out: {shown:?}")),
        },
    );
    table
}

fn job_set(bench: &Bench<'_>, target: Target, bridged: bool) -> Result<String, String> {
    let shown = stories::run(bench, target, bridged)?;
    Ok(format!("{} jobs, stack {} B", shown.jobs, shown.stack))
}

fn sound(work: Work, shown: &cuts::Shown) -> Result<String, String> {
    // A spread that meets only one side of a checkpoint shows nothing.
    if work == Work::Pour && !(1..shown.cuts).contains(&shown.uncertain) {
        return Err(format!("no cut was late, or none early: {shown:?}"));
    }
    if shown.faults.is_empty() {
        Ok(format!(
            "{} cuts in {} units of flash activity, {} with an uncertain portion",
            shown.cuts, shown.units, shown.uncertain
        ))
    } else {
        Err(format!(
            "{} of {} cuts: {}",
            shown.faults.len(),
            shown.cuts,
            shown.faults.join("\n")
        ))
    }
}

/// The negative control: the checks must object.
fn found_out(shown: &cuts::Shown) -> Result<String, String> {
    match shown.faults.first() {
        Some(first) => Ok(format!("after {} cuts; {first}", shown.cuts)),
        None => Err("no cut was found out: the tests cannot fail".into()),
    }
}

fn kills(bench: &Bench<'_>, target: Target, rounds: u32) -> Result<String, String> {
    let shown = kills::run(bench, target, rounds, SEED)?;
    Ok(format!(
        "{} kills, {} jobs, {} given up, {} uncertain portions; nothing lost, nothing twice",
        shown.kills, shown.jobs, shown.given_up, shown.uncertain
    ))
}

fn seen(seen: proxy::Seen) -> Result<String, String> {
    Ok(format!(
        "{} cuts, {} connections, {} sessions resumed, {} publishes sent again",
        seen.cuts, seen.connects, seen.resumed, seen.repeated
    ))
}
