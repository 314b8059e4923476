//! Every fault of the network, each in the middle of a job.

use super::{PATIENCE, device::Device, jobs::Jobs};
use crate::rig::{
    dice::Dice,
    weather::{FAULTS, Weather},
};

/// A fault comes at latest after so many frames: a job has more.
const FRAMES_MAX: u64 = 3;

/// So many rounds of all faults, and every job looked at.
pub(super) fn run(
    device: &mut Device<'_>,
    rounds: u32,
    dice: &mut Dice,
    weather: &Weather,
) -> Result<String, String> {
    let mut jobs = Jobs::default();
    device.start()?;
    // The first one in fair weather: from here on there is a connection.
    jobs.create(device, dice, 0)?;
    jobs.settle(device, PATIENCE)?;
    let faults = (0..rounds).flat_map(|_| FAULTS);
    for (number, fault) in (1..).zip(faults) {
        let before = weather.seen(fault);
        weather.arm(fault, u32::try_from(dice.below(FRAMES_MAX)).unwrap_or(0));
        jobs.create(device, dice, number)?;
        let what = format!("the fault {fault:?}");
        device.live_until(&what, PATIENCE, |_| Ok(weather.seen(fault) > before))?;
        jobs.settle(device, PATIENCE)
            .map_err(|why| format!("{fault:?}: {why}"))?;
    }
    device.kill();
    jobs.judge(device)?;
    let (count, effects) = jobs.counts();
    Ok(format!(
        "{count} jobs, {effects} effects, all right; {}",
        weather.report()
    ))
}
