//! What a running handler asks of the agent: a mailbox between its future and the driver.
//!
//! The driver polls the handler itself, so words never pile up: after each poll it takes what the
//! handler left. The mailbox holds one of each, the newest.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use jobs_agent_core::{Attempt, Checkpoint, JobPort, Progress, StopReason, Stopped};
use tokio::time::Instant;

/// What the two sides have to say to each other.
#[derive(Debug, Default)]
struct Words {
    progress: Option<Progress>,
    checkpoint: Option<Checkpoint>,
    saved: bool,
    stop: Option<StopReason>,
    waker: Option<Waker>,
}

/// The driver's side.
#[derive(Debug, Default)]
pub(super) struct Mailbox(Mutex<Words>);

impl Mailbox {
    fn words(&self) -> MutexGuard<'_, Words> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The checkpoint that waits to be made durable, once.
    pub(super) fn take_checkpoint(&self) -> Option<Checkpoint> {
        self.words().checkpoint.take()
    }

    /// The newest progress, once.
    pub(super) fn take_progress(&self) -> Option<Progress> {
        self.words().progress.take()
    }

    /// The last checkpoint asked for is durable.
    pub(super) fn saved(&self) {
        let mut words = self.words();
        words.saved = true;
        wake(words);
    }

    /// The handler should end.
    pub(super) fn stop(&self, reason: StopReason) {
        let mut words = self.words();
        words.stop.get_or_insert(reason);
        wake(words);
    }

    fn poll_saved(&self, cx: &Context<'_>) -> Poll<Result<(), Stopped>> {
        let mut words = self.words();
        if words.saved {
            return Poll::Ready(Ok(()));
        }
        if let Some(reason) = words.stop {
            return Poll::Ready(Err(Stopped(reason)));
        }
        words.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_stopped(&self, cx: &Context<'_>) -> Poll<StopReason> {
        let mut words = self.words();
        if let Some(reason) = words.stop {
            return Poll::Ready(reason);
        }
        words.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn wake(mut words: MutexGuard<'_, Words>) {
    let waker = words.waker.take();
    drop(words);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The handler's side.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) job_id: String,
    pub(super) attempt: Attempt,
    pub(super) deadline: Option<Instant>,
}

impl JobPort for Port {
    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Stopped> {
        {
            let mut words = self.mailbox.words();
            words.checkpoint = Some(checkpoint);
            // Whatever an abandoned call waited for does not answer this one.
            words.saved = false;
        }
        poll_fn(|cx| self.mailbox.poll_saved(cx)).await
    }

    fn report(&mut self, progress: Progress) {
        self.mailbox.words().progress = Some(progress);
    }

    fn stop_requested(&self) -> Option<StopReason> {
        self.mailbox.words().stop
    }

    async fn stopped(&mut self) -> StopReason {
        poll_fn(|cx| self.mailbox.poll_stopped(cx)).await
    }

    fn deadline_ms(&self) -> Option<u64> {
        let left = self.deadline?.saturating_duration_since(Instant::now());
        Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }

    fn attempt(&self) -> Attempt {
        self.attempt
    }

    fn job_id(&self) -> &str {
        &self.job_id
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn port() -> Port {
        Port {
            mailbox: Arc::default(),
            job_id: "job".to_owned(),
            attempt: Attempt { number: 1, last: 3 },
            deadline: None,
        }
    }

    fn checkpoint(byte: u8) -> Checkpoint {
        Checkpoint::new(&[byte]).unwrap()
    }

    #[tokio::test]
    async fn a_checkpoint_returns_only_when_it_is_saved() {
        let mut port = port();
        let mailbox = Arc::clone(&port.mailbox);
        let mut saving = pin!(port.checkpoint(checkpoint(7)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(saving.as_mut().poll(&mut cx).is_pending());
        assert_eq!(mailbox.take_checkpoint(), Some(checkpoint(7)));
        assert!(saving.as_mut().poll(&mut cx).is_pending());
        mailbox.saved();
        assert_eq!(saving.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
    }

    #[tokio::test]
    async fn an_abandoned_checkpoint_does_not_answer_the_next_one() {
        let mut port = port();
        let mailbox = Arc::clone(&port.mailbox);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            pin!(port.checkpoint(checkpoint(1)))
                .poll(&mut cx)
                .is_pending()
        );
        mailbox.saved();
        assert!(
            pin!(port.checkpoint(checkpoint(2)))
                .poll(&mut cx)
                .is_pending()
        );
        assert_eq!(mailbox.take_checkpoint(), Some(checkpoint(2)));
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait_for_a_checkpoint() {
        let mut port = port();
        port.mailbox.stop(StopReason::Canceled);
        // The first reason counts.
        port.mailbox.stop(StopReason::Over);
        let stopped = port.checkpoint(checkpoint(1)).await;
        assert_eq!(stopped, Err(Stopped(StopReason::Canceled)));
        assert_eq!(port.stop_requested(), Some(StopReason::Canceled));
    }

    #[test]
    fn only_the_newest_progress_is_kept() {
        let mut port = port();
        port.report(Progress::percent(1));
        port.report(Progress::percent(2));
        assert_eq!(port.mailbox.take_progress(), Some(Progress::percent(2)));
        assert_eq!(port.mailbox.take_progress(), None);
    }
}
