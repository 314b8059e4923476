//! Sends without an answer, settled by the notices of the client library.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::link::{LinkEvent, SendId};

type Notice = Pin<Box<dyn Future<Output = LinkEvent> + Send>>;

/// Sends without an answer, each with the notice that will bring it: packet ids are the library's
/// business, and those of the program's own sends do not matter here.
#[derive(Default)]
pub(super) struct Sends {
    pending: Vec<(SendId, Notice)>,
}

impl Sends {
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn add(
        &mut self,
        id: SendId,
        notice: impl Future<Output = LinkEvent> + Send + 'static,
    ) {
        self.pending.push((id, Box::pin(notice)));
    }

    /// The next answer.
    pub(super) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        for index in 0..self.pending.len() {
            if let Poll::Ready(event) = self.pending[index].1.as_mut().poll(cx) {
                drop(self.pending.swap_remove(index));
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }

    /// The end of the connection: what has its answer by now, has it; the rest is lost. Whatever
    /// the library says of it later, nobody hears.
    pub(super) fn settle_all(&mut self) -> impl Iterator<Item = LinkEvent> + use<> {
        let mut cx = Context::from_waker(Waker::noop());
        let settled: Vec<LinkEvent> = self
            .pending
            .drain(..)
            .map(|(id, mut notice)| match notice.as_mut().poll(&mut cx) {
                Poll::Ready(event) => event,
                Poll::Pending => LinkEvent::Lost(id),
            })
            .collect();
        settled.into_iter()
    }
}
