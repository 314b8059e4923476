//! What every handler may ask of the platform.

use core::fmt;

/// Time and a journal.
#[allow(async_fn_in_trait)] // Boards have no Send; on Linux, auto traits leak through generics.
pub trait System {
    /// Waits at least so many milliseconds.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting and nothing else.
    async fn pause_ms(&self, ms: u32);

    /// A note about a job for whoever watches the device (log, RTT, serial). Must not block.
    ///
    /// Notes name no URL: presigned ones are secrets.
    fn note(&self, job_id: &str, what: fmt::Arguments<'_>);
}

impl<T: System> System for &T {
    async fn pause_ms(&self, ms: u32) {
        (**self).pause_ms(ms).await;
    }

    fn note(&self, job_id: &str, what: fmt::Arguments<'_>) {
        (**self).note(job_id, what);
    }
}
