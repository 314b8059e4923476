//! A store behind a thread, for use from async code.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::pool::{self, Queue};
use super::{RecordStore, StoreError, StorePool};

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The store itself; only its thread looks inside. `None` when it was let go.
type Shelf = Arc<Mutex<Option<Box<dyn RecordStore>>>>;

/// A store behind a thread: one of its own, or one that it shares with others ([`StorePool`]).
///
/// Requests are performed one after the other, in the order of the calls. A call hands its request
/// over at once, before its future is polled; the agent has one in flight for each slot at most, so
/// the queue has no bound of its own.
///
/// # Cancel safety
/// Dropping a future returned from here does not undo or stop anything: **the request is still
/// performed**, only its result is not told. A later request sees its effect.
///
/// Dropping the store lets the thread finish what was requested, and let the store go then. Use
/// [`AsyncStore::close`] to wait for that, for example before the process exits.
pub struct AsyncStore {
    queue: Queue,
    shelf: Shelf,
}

impl fmt::Debug for AsyncStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncStore").finish_non_exhaustive()
    }
}

impl AsyncStore {
    /// Moves a store to a new thread.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the operating system gives no thread.
    pub fn new(store: impl RecordStore + 'static) -> Result<Self, StoreError> {
        Ok(Self::at(pool::thread()?, Box::new(store)))
    }

    /// Moves a store to one of the threads of a pool.
    #[must_use]
    pub fn pooled(store: impl RecordStore + 'static, pool: &StorePool) -> Self {
        Self::at(pool.queue(), Box::new(store))
    }

    /// Makes a store on one of the threads of a pool, which may block there, and leaves it there.
    ///
    /// # Errors
    /// Those of `make`; [`StoreError::Closed`] when it panics.
    pub async fn made_on<S: RecordStore + 'static>(
        pool: &StorePool,
        make: impl FnOnce() -> Result<S, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let queue = pool.queue();
        let store = pool::on(&queue, make).await?;
        Ok(Self::at(queue, Box::new(store)))
    }

    fn at(queue: Queue, store: Box<dyn RecordStore>) -> Self {
        let shelf = Arc::new(Mutex::new(Some(store)));
        Self { queue, shelf }
    }

    /// See [`RecordStore::load_all`].
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Closed`] when it panicked.
    pub fn load_all(
        &self,
    ) -> impl Future<Output = Result<Vec<(u8, Vec<u8>)>, StoreError>> + Send + use<> {
        self.request(|store| store.load_all())
    }

    /// See [`RecordStore::save`].
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Closed`] when it panicked.
    pub fn save(
        &self,
        slot: u8,
        record: Vec<u8>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        self.request(move |store| store.save(slot, &record))
    }

    /// See [`RecordStore::erase`].
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Closed`] when it panicked.
    pub fn erase(&self, slot: u8) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        self.request(move |store| store.erase(slot))
    }

    /// Waits until everything requested is done and the store is dropped.
    ///
    /// # Cancel safety
    /// A cancelled call only stops the waiting.
    pub async fn close(self) {
        let (end, ended) = oneshot::channel();
        let shelf = Arc::clone(&self.shelf);
        // Queued here, so that dropping `self` below finds nothing left to let go.
        let _ = self.queue.send(Box::new(move || {
            let_go(&shelf);
            let _ = end.send(());
        }));
        drop(self);
        // An error means that the thread is gone, which is what we wait for.
        let _ = ended.await;
    }

    fn request<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn RecordStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<T> {
        let (answer, answered) = oneshot::channel();
        let shelf = Arc::clone(&self.shelf);
        let task = move || {
            // After a panic nobody knows what the store is like inside.
            let Ok(mut shelf) = shelf.lock() else { return };
            if let Some(store) = shelf.as_deref_mut() {
                // A caller that does not wait for its answer any more is no error.
                let _ = answer.send(work(store));
            }
        };
        // If the thread is gone, the answer is dropped with the task.
        let _ = self.queue.send(Box::new(task));
        Box::pin(async move { answered.await.unwrap_or(Err(StoreError::Closed)) })
    }
}

impl Drop for AsyncStore {
    fn drop(&mut self) {
        let shelf = Arc::clone(&self.shelf);
        // On its thread and in its turn: letting go may block, too.
        let _ = self.queue.send(Box::new(move || let_go(&shelf)));
    }
}

/// Drops the store, broken or not, so that its lock is free for the next.
fn let_go(shelf: &Mutex<Option<Box<dyn RecordStore>>>) {
    let store = match shelf.lock() {
        Ok(mut shelf) => shelf.take(),
        Err(broken) => broken.into_inner().take(),
    };
    drop(store);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::store::MemoryStore;

    /// A store that does nothing until the test opens its gate.
    struct Gated {
        inner: Arc<Mutex<MemoryStore>>,
        gate: mpsc::Receiver<()>,
    }

    impl RecordStore for Gated {
        fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
            self.inner.lock().unwrap().load_all()
        }
        fn save(&mut self, slot: u8, record: &[u8]) -> Result<(), StoreError> {
            self.gate.recv().unwrap();
            self.inner.lock().unwrap().save(slot, record)
        }
        fn erase(&mut self, slot: u8) -> Result<(), StoreError> {
            self.inner.lock().unwrap().erase(slot)
        }
    }

    fn gated() -> (AsyncStore, Arc<Mutex<MemoryStore>>, mpsc::Sender<()>) {
        let inner = Arc::new(Mutex::new(MemoryStore::default()));
        let (open, gate) = mpsc::channel();
        (
            AsyncStore::new(Gated {
                inner: Arc::clone(&inner),
                gate,
            })
            .unwrap(),
            inner,
            open,
        )
    }

    #[tokio::test]
    async fn a_save_whose_future_is_dropped_is_still_done() {
        let (store, inner, open) = gated();
        drop(store.save(0, b"never polled".to_vec()));
        let mut polled = Box::pin(store.save(1, b"polled once".to_vec()));
        tokio::select! {
            biased;
            _ = &mut polled => panic!("the gate is shut"),
            () = tokio::task::yield_now() => {}
        }
        drop(polled);
        assert_eq!(inner.lock().unwrap().load_all().unwrap(), []);
        open.send(()).unwrap();
        open.send(()).unwrap();
        let expected = [(0, b"never polled".to_vec()), (1, b"polled once".to_vec())];
        assert_eq!(store.load_all().await.unwrap(), expected);
    }

    #[tokio::test]
    async fn requests_are_done_in_the_order_of_the_calls() {
        let (store, _, open) = gated();
        let saves = [
            store.save(0, b"old".to_vec()),
            store.save(0, b"new".to_vec()),
        ];
        let loaded = store.load_all();
        open.send(()).unwrap();
        open.send(()).unwrap();
        assert_eq!(loaded.await.unwrap(), [(0, b"new".to_vec())]);
        for save in saves {
            save.await.unwrap();
        }
    }

    #[tokio::test]
    async fn closing_waits_for_what_was_requested() {
        let (store, inner, open) = gated();
        drop(store.save(0, b"last".to_vec()));
        open.send(()).unwrap();
        store.close().await;
        assert_eq!(
            inner.lock().unwrap().load_all().unwrap(),
            [(0, b"last".to_vec())]
        );
    }

    #[tokio::test]
    async fn a_store_whose_thread_died_says_so_instead_of_hanging() {
        let (store, _, open) = gated();
        drop(open);
        // The test's store panics in its thread, which drops the answer.
        assert!(matches!(
            store.save(0, Vec::new()).await,
            Err(StoreError::Closed)
        ));
        assert!(matches!(store.erase(0).await, Err(StoreError::Closed)));
    }

    #[tokio::test]
    async fn stores_on_one_thread_keep_their_records_and_their_trouble_to_themselves() {
        let pool = StorePool::new(1).unwrap();
        let (open, gate) = mpsc::channel();
        let inner = Arc::default();
        let broken = AsyncStore::pooled(Gated { inner, gate }, &pool);
        let sound = AsyncStore::pooled(MemoryStore::default(), &pool);
        drop(open);
        assert!(matches!(
            broken.save(0, Vec::new()).await,
            Err(StoreError::Closed)
        ));
        sound.save(0, b"mine".to_vec()).await.unwrap();
        assert_eq!(sound.load_all().await.unwrap(), [(0, b"mine".to_vec())]);
        assert!(matches!(broken.erase(0).await, Err(StoreError::Closed)));
        broken.close().await;
        sound.close().await;
    }

    #[tokio::test]
    async fn a_pool_has_the_threads_asked_for_and_lets_them_go() {
        let named = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
            let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")));
            names.flatten().filter(|name| name == "pool-test\n").count()
        };
        let pool = StorePool::new(2).unwrap();
        let stores: Vec<_> = (0..10).map(|_| AsyncStore::pooled(Named, &pool)).collect();
        for store in &stores {
            store.load_all().await.unwrap();
        }
        assert_eq!(named(), 2);
        drop(pool);
        for store in stores {
            store.close().await;
        }
        // The thread ends after it has told the last of its stores.
        while named() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Names the thread it works on, by a way that needs no foreign code.
    struct Named;

    impl RecordStore for Named {
        fn load_all(&mut self) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
            std::fs::write("/proc/thread-self/comm", "pool-test").unwrap();
            Ok(Vec::new())
        }
        fn save(&mut self, _: u8, _: &[u8]) -> Result<(), StoreError> {
            Ok(())
        }
        fn erase(&mut self, _: u8) -> Result<(), StoreError> {
            Ok(())
        }
    }
}
