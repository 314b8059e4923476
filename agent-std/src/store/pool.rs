//! Threads that stores share.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::sync::oneshot;
use tracing::error;

use super::StoreError;

/// Something to do on a thread.
pub(super) type Task = Box<dyn FnOnce() + Send>;

/// The way to one thread; it ends when the last of these is dropped.
pub(super) type Queue = mpsc::Sender<Task>;

/// Threads that the stores of many agents share, instead of one for each.
///
/// A store stays on one thread, so its requests keep their order; a store that blocks (a slow disk)
/// delays those beside it, one that panics does not. Cheap to clone; the threads end when the last
/// clone and the last store are gone.
///
/// ```
/// use agent_std::store::StorePool;
/// use agent_std::{Agent, Endpoint};
///
/// let pool = StorePool::new(2)?;
/// let agents = ["pump-1", "pump-2", "pump-3"].map(|thing| {
///     Agent::new(thing, Endpoint::plain("127.0.0.1", 1883)).store_on(&pool)
/// });
/// # let _ = agents;
/// # Ok::<(), agent_std::store::StoreError>(())
/// ```
#[derive(Clone)]
pub struct StorePool {
    threads: Arc<[Queue]>,
    next: Arc<AtomicUsize>,
}

impl fmt::Debug for StorePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorePool")
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}

impl StorePool {
    /// Starts this many threads, and one if none is asked for.
    ///
    /// One keeps up with a disk; more help where directories are on several.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the operating system gives no thread.
    pub fn new(threads: usize) -> Result<Self, StoreError> {
        let threads: Result<Arc<[Queue]>, _> = (0..threads.max(1)).map(|_| thread()).collect();
        Ok(Self {
            threads: threads?,
            next: Arc::default(),
        })
    }

    /// The thread for one more store; they take turns.
    pub(super) fn queue(&self) -> Queue {
        let nth = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        self.threads[nth].clone()
    }
}

/// Starts a thread that performs tasks in order.
pub(super) fn thread() -> Result<Queue, StoreError> {
    let (queue, tasks) = mpsc::channel::<Task>();
    let work = move || {
        for task in tasks {
            // Whoever waits for an answer gets none, and takes its store for broken.
            if catch_unwind(AssertUnwindSafe(task)).is_err() {
                error!("a record store panicked");
            }
        }
    };
    thread::Builder::new()
        .name("record-store".to_owned())
        .spawn(work)
        .map_err(|error| StoreError::io("start a thread for", Path::new("the store"), error))?;
    Ok(queue)
}

/// Does something on that thread.
pub(super) async fn on<T: Send + 'static>(
    queue: &Queue,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (answer, answered) = oneshot::channel();
    // A caller that does not wait any more is no error, and neither is a thread that is gone.
    let _ = queue.send(Box::new(move || drop(answer.send(work()))));
    answered.await.unwrap_or(Err(StoreError::Closed))
}
