//! What a typed handler holds of its job.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jobs_agent_core::{
    Attempt, Checkpoint, CheckpointTooLong, JobPort, Outcome, Progress, StopReason,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Checkpoints that wait for the one being written; further callers wait in line.
const WAITING_MAX: usize = 4;

/// Why a checkpoint is not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It has too many bytes.
    #[error("{0}")]
    TooLong(#[from] CheckpointTooLong),
    /// The job is over: clean up and return.
    #[error("the job was stopped ({0:?})")]
    Stopped(StopReason),
}

struct Asked {
    checkpoint: Checkpoint,
    answer: oneshot::Sender<Result<(), StopReason>>,
}

#[derive(Debug)]
struct Shared {
    id: String,
    attempt: Attempt,
    resumed_from: Option<Checkpoint>,
    deadline: Option<Instant>,
    asks: mpsc::Sender<Asked>,
    progress: watch::Sender<Option<Progress>>,
    stop: watch::Receiver<Option<StopReason>>,
}

/// A job that is being done: cheap to clone, and free to move to other tasks.
///
/// A clone that outlives its job does nothing any more: checkpoints are refused, reports are lost.
#[derive(Debug, Clone)]
pub struct Job {
    shared: Arc<Shared>,
}

impl Job {
    /// The job id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// Which attempt this is since the last checkpoint, and how many there may be.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.shared.attempt
    }

    /// The last durable checkpoint, if this run goes on from one.
    #[must_use]
    pub fn resumed_from(&self) -> Option<&Checkpoint> {
        self.shared.resumed_from.as_ref()
    }

    /// Time left until the job times out, as far as the device knows.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.shared.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Makes these bytes durable; returns only when they are. After a restart the handler runs
    /// again and finds them in [`resumed_from`](Self::resumed_from).
    ///
    /// # Errors
    /// [`CheckpointError`]: too long, or the job is over.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo a write that has begun.
    pub async fn checkpoint(&self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let checkpoint = Checkpoint::new(bytes)?.with_document();
        let (answer, answered) = oneshot::channel();
        let over = CheckpointError::Stopped(StopReason::Over);
        let asked = Asked { checkpoint, answer };
        self.shared.asks.send(asked).await.map_err(|_| over)?;
        match answered.await {
            Ok(saved) => saved.map_err(CheckpointError::Stopped),
            Err(_) => Err(over),
        }
    }

    /// Reports progress: coalesced, rate-limited, and allowed to be lost.
    pub fn report(&self, progress: Progress) {
        self.shared.progress.send_replace(Some(progress));
    }

    /// Reports progress in percent.
    pub fn report_percent(&self, percent: u8) {
        self.report(Progress::percent(percent));
    }

    /// The reason to stop, once there is one. Cheap; ask between steps.
    #[must_use]
    pub fn stop_requested(&self) -> Option<StopReason> {
        *self.shared.stop.borrow()
    }

    /// Waits until the job should stop; for use beside the work in a `select!`.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost when dropped.
    pub async fn stopped(&self) -> StopReason {
        let mut stop = self.shared.stop.clone();
        // The sender goes with the run: then the job is over.
        match stop.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(StopReason::Over),
            Err(_) => StopReason::Over,
        }
    }
}

/// Polls the closure's future and serves what it asks of its job.
pub(super) async fn serve<P: JobPort, F: Future<Output = Outcome> + Unpin>(
    begin: impl FnOnce(Job) -> F,
    resumed_from: Option<Checkpoint>,
    port: &mut P,
) -> Outcome {
    let (asks, mut asked) = mpsc::channel(WAITING_MAX);
    let (progress, mut reported) = watch::channel(None);
    let (stop, stop_seen) = watch::channel(port.stop_requested());
    let deadline = port
        .deadline_ms()
        .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
    let job = Job {
        shared: Arc::new(Shared {
            id: port.job_id().to_owned(),
            attempt: port.attempt(),
            resumed_from,
            deadline,
            asks,
            progress,
            stop: stop_seen,
        }),
    };
    let mut work = begin(job);
    let outcome = loop {
        let told = stop.borrow().is_some();
        tokio::select! {
            // The work first: what it asked for before it ended is not worth waiting for.
            biased;
            outcome = &mut work => break outcome,
            reason = port.stopped(), if !told => {
                stop.send_replace(Some(reason));
            }
            Ok(()) = reported.changed() => report(&mut reported, port),
            Some(Asked { checkpoint, answer }) = asked.recv() => {
                tokio::select! {
                    biased;
                    outcome = &mut work => break outcome,
                    saved = port.checkpoint(checkpoint) => {
                        let saved = saved.map_err(|stopped| stopped.0);
                        if let Err(reason) = saved {
                            stop.send_replace(Some(reason));
                        }
                        // The caller may have given up waiting.
                        let _ = answer.send(saved);
                    }
                }
            }
        }
    };
    // The closure needs its document after a reboot, too.
    match outcome {
        Outcome::Reboot(checkpoint) => Outcome::Reboot(checkpoint.with_document()),
        Outcome::Succeeded(_) | Outcome::Failed(_) | Outcome::Rejected(_) => outcome,
    }
}

fn report(reported: &mut watch::Receiver<Option<Progress>>, port: &mut impl JobPort) {
    let newest = reported.borrow_and_update().clone();
    if let Some(progress) = newest {
        port.report(progress);
    }
}

#[cfg(test)]
mod tests {
    use jobs_agent_core::Stopped;

    use super::*;

    /// A port that notes what it is asked, and stops the job when `stop` says so.
    #[derive(Default)]
    struct Scripted {
        checkpoints: Vec<Checkpoint>,
        progress: Vec<Progress>,
        stop: Option<StopReason>,
    }

    impl JobPort for Scripted {
        async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Stopped> {
            // Durable a little later, as in life.
            tokio::task::yield_now().await;
            self.checkpoints.push(checkpoint);
            Ok(())
        }

        fn report(&mut self, progress: Progress) {
            self.progress.push(progress);
        }

        fn stop_requested(&self) -> Option<StopReason> {
            self.stop
        }

        async fn stopped(&mut self) -> StopReason {
            match self.stop {
                Some(reason) => reason,
                None => std::future::pending().await,
            }
        }

        fn deadline_ms(&self) -> Option<u64> {
            Some(1_000)
        }

        fn attempt(&self) -> Attempt {
            Attempt { number: 2, last: 3 }
        }

        fn job_id(&self) -> &str {
            "job-1"
        }
    }

    async fn run<F: Future<Output = Outcome>>(
        port: &mut Scripted,
        work: impl FnOnce(Job) -> F,
    ) -> Outcome {
        serve(|job| Box::pin(work(job)), None, port).await
    }

    #[tokio::test]
    async fn checkpoints_of_other_tasks_are_served_while_the_work_waits() {
        let mut port = Scripted::default();
        let outcome = run(&mut port, |job| async move {
            assert_eq!((job.id(), job.attempt().number), ("job-1", 2));
            let there = job.clone();
            let other = tokio::spawn(async move { there.checkpoint(b"from there").await });
            job.checkpoint(b"from here").await.unwrap();
            other.await.unwrap().unwrap();
            Outcome::succeeded()
        });
        assert_eq!(outcome.await, Outcome::succeeded());
        let mut kept: Vec<&[u8]> = port.checkpoints.iter().map(Checkpoint::bytes).collect();
        kept.sort_unstable();
        assert_eq!(kept, [b"from here".as_slice(), b"from there"]);
        assert!(port.checkpoints.iter().all(Checkpoint::needs_document));
    }

    #[tokio::test]
    async fn a_handle_that_outlives_its_job_is_told_that_it_is_over() {
        let mut kept = None;
        let mut port = Scripted::default();
        let outcome = run(&mut port, |job| {
            kept = Some(job);
            async { Outcome::succeeded() }
        });
        assert_eq!(outcome.await, Outcome::succeeded());
        let job = kept.unwrap();
        job.report_percent(1);
        let over = Err(CheckpointError::Stopped(StopReason::Over));
        assert_eq!(job.checkpoint(b"late").await, over);
        assert_eq!(job.stopped().await, StopReason::Over);
    }

    #[tokio::test]
    async fn the_work_learns_why_it_should_stop() {
        let mut port = Scripted {
            stop: Some(StopReason::TimedOut),
            ..Scripted::default()
        };
        let outcome = run(&mut port, |job| async move {
            assert_eq!(job.stopped().await, StopReason::TimedOut);
            assert_eq!(job.stop_requested(), Some(StopReason::TimedOut));
            Outcome::failed("stopped")
        });
        assert_eq!(outcome.await, Outcome::failed("stopped"));
    }

    #[tokio::test]
    async fn a_checkpoint_that_is_too_long_is_the_caller_s_mistake() {
        let mut port = Scripted::default();
        let outcome = run(&mut port, |job| async move {
            let long = vec![0; jobs_agent_core::BODY_LEN_MAX + 1];
            match job.checkpoint(&long).await {
                Err(CheckpointError::TooLong(_)) => Outcome::succeeded(),
                other => Outcome::failed(&format!("{other:?}")),
            }
        });
        assert_eq!(outcome.await, Outcome::succeeded());
    }

    #[tokio::test]
    async fn a_reboot_asks_for_the_document_of_its_next_run() {
        let mut port = Scripted::default();
        let outcome = run(&mut port, |_| async {
            Outcome::Reboot(Checkpoint::new(b"v2").unwrap())
        });
        let Outcome::Reboot(checkpoint) = outcome.await else {
            panic!("a reboot");
        };
        assert!(checkpoint.needs_document());
    }

    #[tokio::test]
    async fn only_the_newest_progress_is_passed_on() {
        let mut port = Scripted::default();
        let outcome = run(&mut port, |job| async move {
            job.report_percent(1);
            job.report_percent(2);
            job.checkpoint(b"after").await.unwrap();
            tokio::task::yield_now().await;
            Outcome::succeeded()
        });
        assert_eq!(outcome.await, Outcome::succeeded());
        assert_eq!(port.progress, [Progress::percent(2)]);
    }
}
