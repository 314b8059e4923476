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
    time::Duration,
};

use super::{
    bench::Bench,
    device::{Device, STATUS_CUT, Target},
    stories::document,
};
use crate::rig::service::Execution;

/// How long a job may take, with a restart in it.
const JOB_WAIT: Duration = Duration::from_secs(30);

/// After the end of a job, how long its record may take to be erased.
const ERASE_WAIT: Duration = Duration::from_millis(500);

/// Devices at a time: they wait for each other's processor, and for timers, more than they work.
const DEVICES: usize = 4;

/// Jobs that a device has done whose log of records is about to change its page, and portions of
/// each.
const AGING: (usize, usize) = (2, 15);

/// Units of the erasure of a sector.
const ERASE_UNITS: u32 = 64;

/// A job that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Work that must not be done twice, with checkpoints.
    Pour,
    /// The same, while the log of records goes on to another page and erases one.
    Page,
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

impl Work {
    /// Portions of the job that pours.
    fn portions(self) -> usize {
        match self {
            Self::Pour => 2,
            Self::Page => 10,
            Self::Reboot => 0,
        }
    }

    fn document(self) -> String {
        match self {
            Self::Pour | Self::Page => pour(self.portions()),
            Self::Reboot => document("reboot", ""),
        }
    }
}

fn pour(portions: usize) -> String {
    document("dispense", &format!(",\"portions\":{portions}"))
}

/// What all cuts of a job have in common.
struct Case<'b, 's> {
    bench: &'b Bench<'s>,
    target: Target,
    work: Work,
    /// Whose flash every device begins with, if not with an erased one.
    aged: Option<Device>,
}

/// Cuts `work` at every unit, or at about `samples` of them.
pub(super) fn run(
    bench: &Bench<'_>,
    target: Target,
    work: Work,
    samples: Option<usize>,
) -> Result<Shown, String> {
    let case = Case {
        bench,
        target,
        work,
        aged: match work {
            Work::Page => Some(aged(bench, target)?),
            Work::Pour | Work::Reboot => None,
        },
    };
    let borders = case.uncut()?;
    let units = borders.last().copied().unwrap_or(0);
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
                    let ended = case.cut(*units);
                    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                    // That the naive store is found out once is enough.
                    if bench.is_naive() && !shown.faults.is_empty() {
                        return;
                    }
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

/// A device that has done so much that its log of records is about to change its page.
fn aged(bench: &Bench<'_>, target: Target) -> Result<Device, String> {
    let (jobs, portions) = AGING;
    let mut device = bench.device(target, "aged")?;
    let running = device.start(None)?;
    for job in 0..jobs {
        let job = format!("aging-{job}");
        bench.job(&device, &job, &pour(portions))?;
        bench.end(&device, &job, JOB_WAIT)?.succeeded()?;
    }
    std::thread::sleep(ERASE_WAIT);
    drop(running);
    Ok(device)
}

impl Case<'_, '_> {
    /// A device with its job. Names are in the records: all have the same length.
    fn device(&self, name: &str) -> Result<Device, String> {
        let (bench, work) = (self.bench, self.work);
        let device = bench.device(self.target, &format!("{work:?}-{name:0>5}"))?;
        if let Some(aged) = &self.aged {
            device.age_like(aged)?;
        }
        bench.job(&device, "job", &work.document())?;
        Ok(device)
    }

    /// Runs the job without a cut, and answers after how many units operations end.
    fn uncut(&self) -> Result<Vec<u32>, String> {
        let mut device = self.device("uncut")?;
        let running = device.start(Some(u32::MAX))?;
        let ended = self.bench.end(&device, "job", JOB_WAIT)?;
        check(&device, self.work, &ended)?;
        std::thread::sleep(ERASE_WAIT);
        drop(running);
        let console = device.console();
        let spent = |line: &String| line.strip_prefix("FLASH ")?.parse().ok();
        let borders: Vec<u32> = console.iter().filter_map(spent).collect();
        if borders.is_empty() {
            return Err(format!("{:?} writes nothing to the flash", self.work));
        }
        if self.work == Work::Page && erasures(&borders).next().is_none() {
            return Err("the log did not change its page: another AGING is needed".into());
        }
        Ok(borders)
    }

    /// One device, one cut, one end; whether the end speaks of something uncertain.
    fn cut(&self, units: u32) -> Result<bool, String> {
        let mut device = self.device(&units.to_string())?;
        let mut running = device.start(Some(units))?;
        match running.ended(JOB_WAIT) {
            Some(STATUS_CUT) => {}
            Some(status) => return Err(format!("QEMU ended with status {status}")),
            None => return Err("the power was not cut".into()),
        }
        let running = device.start(None)?;
        let ended = self.bench.end(&device, "job", JOB_WAIT)?;
        // What is done twice is done soon after the end.
        std::thread::sleep(ERASE_WAIT / 5);
        drop(running);
        device.is_sound()?;
        check(&device, self.work, &ended)?;
        Ok(ended.number("uncertain").is_some_and(|count| count > 0))
    }
}

/// The first and the last unit of operations, as many as wanted, evenly spread; and of each
/// erasure also its second and its middle one.
fn spread(borders: &[u32], samples: usize) -> Vec<u32> {
    let edges = borders
        .iter()
        .flat_map(|border| [border.saturating_sub(1), *border]);
    let edges: BTreeSet<u32> = edges.collect();
    let step = edges.len().div_ceil(samples).max(1);
    let mut points: BTreeSet<u32> = edges.into_iter().step_by(step).collect();
    for end in erasures(borders) {
        let start = end - ERASE_UNITS;
        points.extend([start, start + 1, end - ERASE_UNITS / 2, end - 1]);
    }
    // The last border is the end: there is nothing to cut any more.
    points.retain(|point| Some(point) < borders.last());
    points.into_iter().collect()
}

/// Where erasures end: a record is longer, but written in pieces that are not.
fn erasures(borders: &[u32]) -> impl Iterator<Item = u32> {
    let pairs = borders.iter().zip(borders.iter().skip(1));
    pairs.filter_map(|(before, end)| (end - before == ERASE_UNITS).then_some(*end))
}

/// What must hold however the job was cut.
fn check(device: &Device, work: Work, ended: &Execution) -> Result<(), String> {
    ended.succeeded()?;
    match work {
        Work::Pour | Work::Page => {
            let job = format!("{}-job", device.thing);
            check_poured(device, &job, work.portions(), ended)
        }
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

    #[test]
    fn an_erasure_is_cut_at_its_start_in_its_middle_and_at_its_end() {
        assert_eq!(spread(&[8, 72, 80], 1), [7, 8, 9, 40, 71]);
    }
}
