//! What the shared handlers ask of this board.

use core::{convert::Infallible, fmt};

use embassy_time::Timer;
use handlers::Probe;
use mps2_bsp::{say, stack};

/// Time, and a line on the console.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl handlers::System for System {
    async fn pause_ms(&self, ms: u32) {
        Timer::after_millis(u64::from(ms)).await;
    }

    fn note(&self, job_id: &str, what: fmt::Arguments<'_>) {
        say!("NOTE {job_id} {what}");
    }
}

/// The deepest use of the stack so far, in bytes: a value that a fleet wants to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackInUse;

impl Probe for StackInUse {
    type Error = Infallible;

    fn name(&self) -> &'static str {
        "stack_in_use"
    }

    async fn sample(&self) -> Result<i32, Infallible> {
        // The stack is smaller than 128 KiB.
        Ok(i32::try_from(stack::usage().used).unwrap_or(i32::MAX))
    }
}
