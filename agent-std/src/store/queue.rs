//! A store behind a thread of its own, for use from async code.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use super::{RecordStore, StoreError};

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;
type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

enum Request {
    LoadAll(Answer<Vec<(u8, Vec<u8>)>>),
    Save(u8, Vec<u8>, Answer<()>),
    Erase(u8, Answer<()>),
}

/// A store behind a thread of its own.
///
/// Requests are performed one after the other, in the order of the calls. A call hands its request
/// over at once, before its future is polled; the agent has one in flight at a time, so the queue
/// has no bound of its own.
///
/// # Cancel safety
/// Dropping a future returned from here does not undo or stop anything: **the request is still
/// performed**, only its result is not told. A later request sees its effect.
///
/// Dropping the store lets the thread finish what was requested. Use [`AsyncStore::close`] to wait
/// for that, for example before the process exits.
pub struct AsyncStore {
    requests: mpsc::Sender<Request>,
    ended: oneshot::Receiver<()>,
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
    pub fn new(mut store: impl RecordStore + 'static) -> Result<Self, StoreError> {
        let (requests, queue) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let work = move || {
            for request in queue {
                perform(&mut store, request);
            }
            // The lock of the store is free before anybody is told.
            drop(store);
            let _ = end.send(());
        };
        thread::Builder::new()
            .name("record-store".to_owned())
            .spawn(work)
            .map_err(|error| StoreError::io("start a thread for", Path::new("the store"), error))?;
        Ok(Self { requests, ended })
    }

    /// See [`RecordStore::load_all`].
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Closed`] when its thread has ended.
    pub fn load_all(
        &self,
    ) -> impl Future<Output = Result<Vec<(u8, Vec<u8>)>, StoreError>> + Send + use<> {
        self.request(Request::LoadAll)
    }

    /// See [`RecordStore::save`].
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Closed`] when its thread has ended.
    pub fn save(
        &self,
        slot: u8,
        record: Vec<u8>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        self.request(move |answer| Request::Save(slot, record, answer))
    }

    /// See [`RecordStore::erase`].
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Closed`] when its thread has ended.
    pub fn erase(&self, slot: u8) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        self.request(move |answer| Request::Erase(slot, answer))
    }

    /// Waits until everything requested is done and the store is dropped.
    ///
    /// # Cancel safety
    /// A cancelled call only stops the waiting.
    pub async fn close(self) {
        drop(self.requests);
        // An error means that the thread is gone, which is what we wait for.
        let _ = self.ended.await;
    }

    fn request<T: Send + 'static>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Pending<T> {
        let (answer, answered) = oneshot::channel();
        // If the thread is gone, the answer is dropped with the request.
        let _ = self.requests.send(request(answer));
        Box::pin(async move { answered.await.unwrap_or(Err(StoreError::Closed)) })
    }
}

fn perform(store: &mut impl RecordStore, request: Request) {
    // A caller that does not wait for its answer any more is no error.
    match request {
        Request::LoadAll(answer) => drop(answer.send(store.load_all())),
        Request::Save(slot, record, answer) => drop(answer.send(store.save(slot, &record))),
        Request::Erase(slot, answer) => drop(answer.send(store.erase(slot))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

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
}
