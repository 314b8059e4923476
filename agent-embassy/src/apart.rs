//! Code that is kept out of the functions that call it.
//!
//! The compiler inlines what is called once. On a core with short offsets (ARMv6-M reaches 1 KiB
//! of stack and 128 bytes of a future with one instruction) a function with all of it inlined is
//! larger than its parts.

use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Polls a future in a function of its own.
#[inline(never)]
pub(crate) fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}

/// Awaits a future that is polled in a function of its own.
macro_rules! apart {
    ($future:expr) => {{
        let mut future = ::core::pin::pin!($future);
        ::core::future::poll_fn(|cx| $crate::apart::poll(future.as_mut(), cx)).await
    }};
}
