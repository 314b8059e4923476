//! (b) Power cuts at a chosen unit of flash activity: the firmware itself leaves QEMU in the middle
//! of the operation, the flash stays as it is, and the next start must come to a defined end.
//!
//! A unit is a byte written or a 64th of a sector erased. The same job on a fresh device takes the
//! same units every time, so that a cut can be put at every one of them.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    bench::Bench,
    device::{Device, STATUS_CUT, Target},
    process::until,
    service::Execution,
    stories::document,
};

/// How long a job may take, with a restart in it.
const JOB_WAIT: Duration = Duration::from_secs(30);

/// After the end of a job, how long its record may take to be erased.
const ERASE_WAIT: Duration = Duration::from_millis(500);

/// Devices at a time: they wait for each other's processor, and for timers, more than they work.
const DEVICES: usize = 4;

/// Portions of the job that pours.
const PORTIONS: usize = 2;

/// A job that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Work that must not be done twice, with checkpoints.
    Pour,
    /// A reset and a self-test.
    Reboot,
}

/// What the cuts showed.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Units of flash activity of the job without a cut.
    pub(super) units: u32,
    /// Cuts made.
    pub(super) cuts: u32,
    /// Jobs whose end says that a portion is uncertain.
    pub(super) uncertain: u32,
    /// What was not as the crash table says.
    pub(super) faults: Vec<String>,
}

/// Cuts `work` at every unit, or at about `samples` of them.
pub(super) fn run(
    bench: &Bench<'_>,
    target: Target,
    work: Work,
    samples: Option<usize>,
) -> Result<Shown, String> {
    let (units, borders) = uncut(bench, target, work)?;
    let points = match samples {
        None => (0..units).collect(),
        Some(samples) => spread(&borders, samples),
    };
    let shown = Mutex::new(Shown {
        units,
        ..Shown::default()
    });
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..DEVICES {
            scope.spawn(|| {
                while let Some(units) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ended = cut(bench, target, work, *units);
                    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                    shown.cuts += 1;
                    match ended {
                        Ok(uncertain) => shown.uncertain += u32::from(uncertain),
                        Err(fault) => shown.faults.push(format!("cut at {units}: {fault}")),
                    }
                }
            });
        }
    });
    Ok(shown.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs the job without a cut: how much flash activity it takes, and where operations end.
fn uncut(bench: &Bench<'_>, target: Target, work: Work) -> Result<(u32, Vec<u32>), String> {
    // Names are in the records: all have the same length.
    let mut device = bench.device(target, &format!("{work:?}-uncut"))?;
    create(bench, &device, work)?;
    let running = device.start(Some(u32::MAX))?;
    check(&device, work, &bench.end(&device, "job", JOB_WAIT)?)?;
    std::thread::sleep(ERASE_WAIT);
    drop(running);
    let console = device.console();
    let spent = |line: &String| line.strip_prefix("FLASH ")?.parse().ok();
    let borders: Vec<u32> = console.iter().filter_map(spent).collect();
    match borders.last() {
        Some(units) => Ok((*units, borders)),
        None => Err(format!("{work:?} writes nothing to the flash")),
    }
}

/// The first and the last unit of operations, as many as wanted, evenly spread.
fn spread(borders: &[u32], samples: usize) -> Vec<u32> {
    let edges: BTreeSet<u32> = borders
        .iter()
        .flat_map(|border| [border.saturating_sub(1), *border])
        .collect();
    // The last border is the end: there is nothing to cut any more.
    let edges: Vec<u32> = edges
        .into_iter()
        .filter(|edge| Some(edge) != borders.last())
        .collect();
    let step = edges.len().div_ceil(samples).max(1);
    edges.into_iter().step_by(step).collect()
}

/// One device, one cut, one end; whether the end speaks of something uncertain.
fn cut(bench: &Bench<'_>, target: Target, work: Work, units: u32) -> Result<bool, String> {
    let mut device = bench.device(target, &format!("{work:?}-{units:05}"))?;
    create(bench, &device, work)?;
    let mut running = device.start(Some(units))?;
    match running.ended(JOB_WAIT) {
        Some(STATUS_CUT) => {}
        Some(status) => return Err(format!("QEMU ended with status {status}")),
        None => return Err("the power was not cut".into()),
    }
    let running = device.start(None)?;
    let ended = bench.end(&device, "job", JOB_WAIT)?;
    // What is done twice is done soon after the end.
    until(Instant::now() + ERASE_WAIT / 5, || None::<()>);
    drop(running);
    device.is_sound()?;
    check(&device, work, &ended)?;
    Ok(ended.number("uncertain").is_some_and(|count| count > 0))
}

fn create(bench: &Bench<'_>, device: &Device, work: Work) -> Result<(), String> {
    let document = match work {
        Work::Pour => document("dispense", &format!(",\"portions\":{PORTIONS}")),
        Work::Reboot => document("reboot", ""),
    };
    bench.job(device, "job", &document)
}

/// What must hold however the job was cut.
fn check(device: &Device, work: Work, ended: &Execution) -> Result<(), String> {
    ended.succeeded()?;
    match work {
        Work::Pour => check_poured(device, &format!("{}-job", device.thing), PORTIONS, ended),
        // SUCCEEDED comes from a boot after the one that began it, and from its self-test.
        Work::Reboot if device.count("BOOT") < 2 => Err("SUCCEEDED without a second boot".into()),
        Work::Reboot if device.count("SELFTEST") == 0 => {
            Err("SUCCEEDED without a self-test".into())
        }
        Work::Reboot => Ok(()),
    }
}

/// No portion was poured twice, and each that was not poured is reported as uncertain.
pub(super) fn check_poured(
    device: &Device,
    job: &str,
    portions: usize,
    ended: &Execution,
) -> Result<(), String> {
    let mut missing = 0;
    for portion in 1..=portions {
        let line = format!("EFFECT {job} portion {portion}");
        let console = device.console();
        match console.iter().filter(|said| **said == line).count() {
            0 => missing += 1,
            1 => {}
            times => return Err(format!("portion {portion} was poured {times} times")),
        }
    }
    let uncertain = ended.number("uncertain").unwrap_or(0);
    if missing > uncertain {
        return Err(format!("{missing} portions missing, {uncertain} uncertain"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_spread_takes_both_edges_of_operations_and_leaves_the_end_out() {
        assert_eq!(spread(&[8, 20, 40], 100), [7, 8, 19, 20, 39]);
        assert_eq!(spread(&[8, 20, 40], 2), [7, 20]);
    }
}
