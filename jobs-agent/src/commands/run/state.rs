//! The state folder: whose it is, and what does not belong there any more.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use jobs_agent::{
    config::Config,
    supervise::{Folder, Found},
};
use tracing::warn;

/// How long what is left of a step may lie about: a job lives for seven days at most ("Jobs
/// quotas"), so nobody can ask for it after eight.
const LEFTOVER_AGE: Duration = Duration::from_secs(8 * 24 * 3_600);

/// How long another agent that has the folder may take to end: one that was told to stop writes what
/// it has begun to write.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How often to look.
const LOCK_LOOK: Duration = Duration::from_millis(50);

/// Makes this process the only one that works in the state folder of the thing. The kernel lets go
/// of it with the process.
pub(super) async fn lock(config: &Config) -> Result<File, TryLockError> {
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(config.lock())
        .map_err(TryLockError::Error)?;
    let give_up_at = Instant::now() + LOCK_WAIT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up_at => {
                tokio::time::sleep(LOCK_LOOK).await;
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// Removes what steps left behind that nobody can ask for any more. Nothing of `jobs`, which are on
/// their way, however old it looks: the clock may have been set meanwhile, and a step whose result
/// is lost is done again.
pub(super) fn tidy(folders: &Path, jobs: &[String]) {
    for entry in fs::read_dir(folders).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let job = name.to_str().and_then(|name| name.rsplit_once('.'));
        if job.is_some_and(|(job, _)| jobs.iter().any(|mine| mine == job)) {
            continue;
        }
        let folder = Folder::at(entry.path());
        let old = entry
            .metadata()
            .and_then(|found| found.modified())
            .is_ok_and(|at| {
                SystemTime::now()
                    .duration_since(at)
                    .is_ok_and(|age| age > LEFTOVER_AGE)
            });
        if old
            && folder.look().is_ok_and(|found| found != Found::Running)
            && let Err(error) = folder.remove()
        {
            warn!(%error, "what is left of a step cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_does_not_cost_the_result_of_a_step_whose_job_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mine.0", "gone.0", "fresh.0"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        for name in ["mine.0", "gone.0"] {
            // Made before the clock of this machine was set, so it looks years old.
            let folder = File::open(dir.path().join(name)).unwrap();
            folder.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        tidy(dir.path(), &["mine".to_owned()]);
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["fresh.0", "mine.0"]);
    }
}
