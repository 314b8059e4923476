//! SIGKILL at random moments, again and again, while jobs come one after the other.

use std::time::Duration;

use super::{PATIENCE, device::Device, jobs::Jobs};
use crate::rig::{
    dice::Dice,
    weather::{FAULTS, Weather},
};

/// How long a life of the agent lasts at least and at most: shorter than connecting takes, and
/// longer than most jobs take.
const LIFE_MS: (u64, u64) = (5, 900);

/// A fault of the network comes at latest after so many frames: often within a life, not always.
const FRAMES_MAX: u64 = 12;

/// Kills the agent so often, in this weather if there is any, then lets it finish and looks at
/// every job.
pub(super) fn run(
    device: &mut Device<'_>,
    kills: u32,
    dice: &mut Dice,
    weather: Option<&Weather>,
) -> Result<String, String> {
    let mut jobs = Jobs::default();
    let mut during_steps = 0;
    for kill in 0..kills {
        // One more job than is done in a life on average, so that there is always work.
        jobs.create(device, dice, kill)?;
        if let Some(weather) = weather {
            let fault = FAULTS.iter().cycle().nth(kill as usize);
            let frames = u32::try_from(dice.below(FRAMES_MAX)).unwrap_or(0);
            fault.inspect(|fault| weather.arm(**fault, frames));
        }
        device.start()?;
        let life = LIFE_MS.0 + dice.below(LIFE_MS.1 - LIFE_MS.0);
        device.live(Duration::from_millis(life))?;
        during_steps += u32::from(device.has_steps());
        device.kill();
    }
    device.start()?;
    jobs.settle(device, PATIENCE)?;
    device.kill();
    jobs.judge(device)?;
    let (count, effects) = jobs.counts();
    let reboots = device.reboots();
    let weather = weather.map_or_else(String::new, |weather| format!("; {}", weather.report()));
    Ok(format!(
        "{kills} kills, {during_steps} of them in a step, {reboots} reboots, {count} jobs, \
         {effects} effects: nothing lost, nothing doubled{weather}"
    ))
}
