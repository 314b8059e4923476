//! One update at a time: there is one spare slot.

use core::sync::atomic::{AtomicBool, Ordering};

use jobs_agent_core::JobPort;

use super::download::End;
use crate::{
    race::{First, race},
    system::System,
};

/// Between two looks whether the other update is done, milliseconds.
const LOOK_MS: u32 = 1_000;

/// Whether an update is at work.
///
/// Loads and stores only, because the smallest cores have no more. That is enough: an agent polls
/// its handlers from one task, and between the look and the claim there is no await.
#[derive(Debug, Default)]
pub(super) struct Turns(AtomicBool);

/// The right to use the spare slot; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn<'t>(&'t AtomicBool);

impl Turns {
    pub(super) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Waits for the other update's end.
    ///
    /// # Cancel safety
    /// A dropped future has claimed nothing.
    pub(super) async fn take<P: JobPort, Y: System>(
        &self,
        system: &Y,
        port: &mut P,
    ) -> Result<Turn<'_>, End> {
        if self.0.load(Ordering::Relaxed) {
            system.note(port.job_id(), format_args!("waits for another update"));
        }
        while self.0.load(Ordering::Relaxed) {
            if let First::Left(reason) = race(port.stopped(), system.pause_ms(LOOK_MS)).await {
                return Err(End::Stopped(reason));
            }
        }
        self.0.store(true, Ordering::Relaxed);
        Ok(Turn(&self.0))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
