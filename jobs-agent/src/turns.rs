//! Jobs that change the same thing do so one after the other.
//!
//! Two pushes of one file share what is kept of it for the way back, and two updates of one target
//! share the target. With more than one job at a time the second waits here until the first is
//! *over*: not only done, but reported. Until then a cut of the power takes the first one up again,
//! and it may still go back.
//!
//! For the same reason a job that a restart cut off in the middle goes before every job that has
//! not begun: [`Turns::expect`] is told of them from their records.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jobs_agent_core::{JobPort, Progress, StopReason};
use tokio::sync::{OwnedMutexGuard, watch};

/// Who may change what, now. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Jobs with a checkpoint from before the restart that were not taken up yet.
    returning: watch::Sender<BTreeSet<String>>,
    places: Mutex<Places>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            returning: watch::Sender::new(BTreeSet::new()),
            places: Mutex::default(),
        }
    }
}

/// Both are bounded by the configuration: by its files and targets, and by its number of jobs.
#[derive(Debug, Default)]
struct Places {
    locks: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    /// What each job holds, by its id.
    held: HashMap<String, (String, OwnedMutexGuard<()>)>,
}

/// The place of a file, however its folder is called.
pub(crate) fn of_file(path: &Path) -> String {
    let real = path.parent().and_then(|folder| folder.canonicalize().ok());
    let file = match (real, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    };
    format!("file {}", file.display())
}

/// The place of an update's target.
pub(crate) fn of_target(name: &str) -> String {
    format!("target {name}")
}

impl Turns {
    /// Begins anew, when no handler runs: these jobs were cut off behind a checkpoint.
    pub fn expect(&self, jobs: impl IntoIterator<Item = String>) {
        self.places().held.clear();
        self.0.returning.send_replace(jobs.into_iter().collect());
    }

    /// A job is over, and will not come back.
    pub fn over(&self, job_id: &str) {
        self.came_back(job_id);
        self.places().held.remove(job_id);
    }

    /// Waits for the turn of a job that has not begun; it ends with [`over`](Self::over).
    ///
    /// # Errors
    /// The job should stop; nothing is held.
    ///
    /// # Cancel safety
    /// Dropped, it waits no longer and holds nothing.
    pub(crate) async fn take<P: JobPort>(
        &self,
        place: &str,
        port: &mut P,
    ) -> Result<(), StopReason> {
        let job_id = port.job_id().to_owned();
        if self.has(&job_id, place) {
            return Ok(());
        }
        let mut returning = self.0.returning.subscribe();
        let nobody = |jobs: &BTreeSet<String>| jobs.iter().all(|job| *job == job_id);
        let lock = self.lock(place);
        if !nobody(&returning.borrow()) || lock.try_lock().is_err() {
            port.report(Progress::new().with("step", "wait for another job"));
        }
        let turn = async {
            // The sender lives in `self`.
            let _ = returning.wait_for(nobody).await;
            lock.lock_owned().await
        };
        let guard = tokio::select! {
            guard = turn => guard,
            reason = port.stopped() => return Err(reason),
        };
        self.hold(job_id, place, guard);
        Ok(())
    }

    /// Takes the turn of a job that had it before a restart. It waits only for another such job,
    /// which an agent without turns may have left, and whatever was asked for: it may have to go
    /// back.
    pub(crate) async fn take_again(&self, place: &str, job_id: &str) {
        if !self.has(job_id, place) {
            let guard = self.lock(place).lock_owned().await;
            self.hold(job_id.to_owned(), place, guard);
        }
        self.came_back(job_id);
    }

    /// A job was taken up again, or will not be.
    fn came_back(&self, job_id: &str) {
        self.0
            .returning
            .send_if_modified(|jobs| jobs.remove(job_id));
    }

    fn has(&self, job_id: &str, place: &str) -> bool {
        let places = self.places();
        places.held.get(job_id).is_some_and(|held| held.0 == place)
    }

    fn hold(&self, job_id: String, place: &str, guard: OwnedMutexGuard<()>) {
        self.places().held.insert(job_id, (place.to_owned(), guard));
    }

    fn lock(&self, place: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut places = self.places();
        Arc::clone(places.locks.entry(place.to_owned()).or_default())
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Nothing in between can be left half done.
        let places = self.0.places.lock();
        places.unwrap_or_else(PoisonError::into_inner)
    }
}
