//! Record writes that are under way, and the receipts that come back for them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use jobs_agent_core::Receipt;

use crate::store::{AsyncStore, StoreError};

type Pending = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// The store, and what was asked of it. The store keeps the order of requests; the core has one
/// in flight for each slot at most, so this is bounded by the number of slots.
pub(super) struct Writes {
    store: AsyncStore,
    pending: Vec<(Receipt, Pending)>,
}

impl Writes {
    pub(super) fn new(store: AsyncStore) -> Self {
        Self {
            store,
            pending: Vec::new(),
        }
    }

    pub(super) fn save(&mut self, receipt: Receipt, slot: u8, record: Vec<u8>) {
        let write = self.store.save(slot, record);
        self.pending.push((receipt, Box::pin(write)));
    }

    pub(super) fn erase(&mut self, receipt: Receipt, slot: u8) {
        let write = self.store.erase(slot);
        self.pending.push((receipt, Box::pin(write)));
    }

    /// The next write that is done.
    pub(super) fn poll_done(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(Receipt, Result<(), StoreError>)> {
        for index in 0..self.pending.len() {
            if let Poll::Ready(result) = self.pending[index].1.as_mut().poll(cx) {
                let (receipt, _) = self.pending.remove(index);
                return Poll::Ready((receipt, result));
            }
        }
        Poll::Pending
    }

    /// Waits until all that was asked is done and the store is let go.
    pub(super) async fn close(self) {
        self.store.close().await;
    }
}
