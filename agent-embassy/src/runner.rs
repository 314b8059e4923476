//! One agent in one task.

use core::{convert::Infallible, future::poll_fn, pin::pin, task::Poll};

use embassy_futures::select::select_array;
use jobs_agent_core::{Agent as Core, Boot, Config, JobHandler};

use crate::{
    apart,
    backoff::{Backoff, mix},
    board::Board,
    desk::Desk,
    driver::Driver,
    link::Link,
    resources::Room,
    restore::restore,
    store::RecordStore,
    work::work,
};

/// What a [`Runner`] is made of.
#[derive(Debug)]
pub struct Parts<L, S, B, H> {
    /// The way to the broker.
    pub link: L,
    /// What survives a power cut.
    pub store: S,
    /// The board.
    pub board: B,
    /// The work: one handler, or a chain of [`NoRoute`](crate::NoRoute)`.on(..)`.
    pub handlers: H,
}

/// Does the jobs of one thing, up to `JOBS` at a time.
#[derive(Debug)]
pub struct Runner<'a, L, S, B, H, const JOBS: usize> {
    room: Room<'a, JOBS>,
    config: &'a Config<'a>,
    boot: Boot,
    parts: Parts<L, S, B, H>,
}

/// Why an agent cannot run. A network or broker that fails is no error: the agent tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError<E> {
    /// The records could not be read or put in order. Nothing was started.
    Store(E),
}

impl<'a, L, S, B, H, const JOBS: usize> Runner<'a, L, S, B, H, JOBS>
where
    L: Link,
    S: RecordStore,
    B: Board,
    H: JobHandler,
{
    /// An agent that does nothing yet. `boot` is that of [`start_boot`](crate::start_boot), made
    /// once after the reset of the board.
    // Inlined, each word of its parts is a variable that is copied by itself.
    #[inline(never)]
    #[must_use]
    pub fn new(
        room: Room<'a, JOBS>,
        config: &'a Config<'a>,
        boot: Boot,
        parts: Parts<L, S, B, H>,
    ) -> Self {
        Self {
            room,
            config,
            boot,
            parts,
        }
    }

    /// Runs: connects, takes jobs, works, reports; for ever.
    ///
    /// Handlers are polled by this future itself, so one that blocks the executor blocks the
    /// agent. Record writes are awaited in the order the core asks for them; handlers go on
    /// meanwhile.
    ///
    /// # Errors
    /// [`RunError`], before anything was started.
    ///
    /// # Cancel safety
    /// Dropping it at any await is, for the jobs, a power cut: the records lead on from there at
    /// the next `run`, of this runner or of another one in the same memory. Its connection is
    /// dropped without DISCONNECT. What it cuts off counts as an attempt
    /// ([`Config::attempts_max`]).
    pub async fn run(&mut self) -> Result<Infallible, RunError<S::Error>> {
        apart!(self.drive())
    }

    async fn drive(&mut self) -> Result<Infallible, RunError<S::Error>> {
        let boot = self.next_start();
        let desk = Desk::<_, JOBS>::new(Core::new(self.config, boot));
        let restored = restore(&mut self.parts.store, self.config, &boot, &desk);
        apart!(restored).map_err(RunError::Store)?;
        let Parts {
            link,
            store,
            board,
            handlers,
        } = &mut self.parts;
        let handlers = &*handlers;
        // Pinned where they are made: each move of these futures is a copy on the stack.
        let mut workers = pin!(select_array(core::array::from_fn::<_, JOBS, _>(|slot| {
            // A slot is a byte; there are at most 32.
            work(handlers, &desk, u8::try_from(slot).unwrap_or(u8::MAX))
        })));
        let mut driver = Driver {
            desk: &desk,
            handlers,
            store,
            board,
            boot: &self.boot,
            scratch: self.room.scratch,
            backoff: Backoff::new(boot.entropy),
            subscribe: None,
            busy: 0,
            up_since: None,
            turn: 0,
        };
        let mut driving = pin!(driver.run(link));
        poll_fn(|cx| {
            if let Poll::Ready((never, _)) = apart::poll(workers.as_mut(), cx) {
                match never {}
            }
            apart::poll(driving.as_mut(), cx).map(Ok)
        })
        .await
    }

    /// The boot, with entropy that no earlier run in this memory had (P9), nor another thing with
    /// the same boot.
    fn next_start(&mut self) -> Boot {
        let starts = self.room.starts.wrapping_add(1);
        *self.room.starts = starts;
        Boot {
            entropy: entropy(self.boot.entropy, starts, self.config.thing.as_str()),
            ..self.boot
        }
    }
}

/// Boards without noise of their own count the same boots: after a power cut a fleet of them would
/// wait alike before it connects. Its things have names.
fn entropy(boot: u64, starts: u32, thing: &str) -> u64 {
    let start = mix(boot ^ u64::from(starts));
    thing
        .bytes()
        .fold(start, |mixed, byte| mix(mixed ^ u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_things_with_the_same_boot_have_entropy_of_their_own() {
        let first = entropy(1, 1, "pump-17");
        assert_eq!(first, entropy(1, 1, "pump-17"));
        assert_ne!(first, entropy(1, 2, "pump-17"));
        assert_ne!(first, entropy(2, 1, "pump-17"));
        assert_ne!(first, entropy(1, 1, "pump-18"));
        assert_ne!(first, entropy(1, 1, "pump-71"));
    }
}
