//! What all slots share: the configuration, the clock, the counter, chance, the link, the queue.

use jobs_proto::EscapedStr;

use crate::{
    backoff,
    config::{Boot, Config},
    queue::Queue,
    rng::Rng,
    time::{Millis, Timer},
    token,
};

/// Everything of an agent but its slots.
// In this order, as in a slot: what is reached most comes first, and what needs no value last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub(crate) struct Common<'c> {
    /// The latest time that was brought: timers count down from here.
    pub(crate) clock: Millis,
    pub(crate) link: Link,
    pub(crate) config: &'c Config<'c>,
    /// Number of the last token, receipt and run: one counter, so that no two are alike.
    pub(crate) counter: u32,
    pub(crate) rng: Rng,
    pub(crate) boot: Boot,
    pub(crate) queue: Queue,
}

/// The connection, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    pub(crate) state: LinkState,
    pub(crate) tries: u8,
    /// When SUBSCRIBE may be sent, or counts as lost.
    pub(crate) due: Timer,
    /// The SUBSCRIBE that is out.
    pub(crate) sent: u32,
}

/// See [`Link`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LinkState {
    Offline,
    /// Connected, SUBSCRIBE is to be sent.
    Connected,
    /// SUBSCRIBE is out.
    Subscribing,
    Online,
}

impl Link {
    pub(crate) const fn new(state: LinkState) -> Self {
        Self {
            state,
            tries: 0,
            due: Timer::NOW,
            sent: 0,
        }
    }
}

impl<'c> Common<'c> {
    pub(crate) fn new(config: &'c Config<'c>, boot: Boot) -> Self {
        Self {
            clock: Millis(0),
            link: Link::new(LinkState::Offline),
            config,
            counter: 0,
            rng: Rng::new(boot.entropy),
            boot,
            queue: Queue::new(),
        }
    }

    /// The next number of the one counter.
    pub(crate) fn next_counter(&mut self) -> u32 {
        self.counter = self.counter.wrapping_add(1);
        self.counter
    }

    /// The wait before repetition number `tries`.
    pub(crate) fn backoff(&mut self, tries: u8) -> Timer {
        backoff::wait(self.config.backoff, tries, &mut self.rng)
    }

    /// The point in time at which `timer` is due.
    pub(crate) fn at(&self, timer: Timer) -> Option<Millis> {
        timer.after_now(self.clock)
    }

    /// Whether `echoed` is the token of request number `counter` of this process.
    pub(crate) fn is_token(&self, counter: u32, echoed: Option<EscapedStr<'_>>) -> bool {
        token::matches(self.boot.entropy, counter, echoed)
    }
}
