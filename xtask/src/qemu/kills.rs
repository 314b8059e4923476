//! (c) SIGKILL of QEMU at random moments, again and again on the same device, while jobs that must
//! not be done twice come one after the other.

use std::time::Duration;

use super::{bench::Bench, cuts::check_poured, device::Target, stories::document};

/// Portions of a job.
const PORTIONS: usize = 5;

/// Latest kill after the boot was counted: a job takes about half of it.
const KILL_AFTER_MAX_MS: u64 = 500;

/// How long a start may take, and a job without a kill.
const WAIT: Duration = Duration::from_secs(30);

/// What the kills showed.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Kills.
    pub(super) kills: u32,
    /// Jobs that came to an end.
    pub(super) jobs: usize,
    /// Those given up: cut off too often from the same checkpoint, as the crash table says.
    pub(super) given_up: u32,
    /// Portions that are uncertain.
    pub(super) uncertain: u32,
}

/// Kills `rounds` times, then lets the device finish, and looks at every job.
pub(super) fn run(
    bench: &Bench<'_>,
    target: Target,
    rounds: u32,
    seed: u64,
) -> Result<Shown, String> {
    let mut device = bench.device(target, "killed")?;
    let pour = document("dispense", &format!(",\"portions\":{PORTIONS}"));
    let mut random = seed;
    let mut jobs: Vec<String> = Vec::new();
    for round in 0..rounds {
        // There is always one that is not over.
        let idle = match jobs.last() {
            None => true,
            Some(job) => {
                let name = bench.name(&device, job);
                let service = bench.service();
                service.execution(&device.thing, &name)?.is_over()
            }
        };
        if idle {
            let job = format!("pour-{round}");
            bench.job(&device, &job, &pour)?;
            jobs.push(job);
        }
        let boots = device.count("BOOT");
        let running = device.start(None)?;
        device.await_line("BOOT", boots + 1, WAIT)?;
        std::thread::sleep(Duration::from_millis(next(&mut random) % KILL_AFTER_MAX_MS));
        running.kill();
    }
    let running = device.start(None)?;
    let mut shown = Shown {
        kills: rounds,
        jobs: jobs.len(),
        ..Shown::default()
    };
    for job in &jobs {
        let ended = bench.end(&device, job, WAIT)?;
        shown.uncertain += ended.number("uncertain").unwrap_or(0);
        if ended
            .detail("reason")
            .is_some_and(|why| why.starts_with("gave up"))
        {
            shown.given_up += 1;
        } else {
            ended.succeeded()?;
            check_poured(&device, &bench.name(&device, job), PORTIONS, &ended)?;
        }
    }
    drop(running);
    device.is_sound()?;
    Ok(shown)
}

/// Xorshift (Marsaglia 2003): moments need no better one.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}
