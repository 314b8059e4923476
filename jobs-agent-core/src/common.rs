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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Common<'c> {
    pub(crate) config: &'c Config<'c>,
    /// Number of the last token, receipt and run: one counter, so that no two are alike.
    pub(crate) counter: u32,
    pub(crate) link: Link,
    pub(crate) queue: Queue,
    pub(crate) rng: Rng,
    /// The latest time that was brought: timers count down from here.
    pub(crate) clock: Millis,
    pub(crate) boot: Boot,
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
            config,
            counter: 0,
            link: Link::new(LinkState::Offline),
            queue: Queue::new(),
            rng: Rng::new(boot.entropy),
            clock: Millis(0),
            boot,
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
        let (at, known) = self.at_known(timer);
        known.then_some(at)
    }

    /// The same, and whether it is ever.
    pub(crate) fn at_known(&self, timer: Timer) -> (Millis, bool) {
        (self.clock.plus(u64::from(timer.left_ms())), timer.is_set())
    }

    /// Whether `echoed` is the token of request number `counter` of this process.
    pub(crate) fn is_token(&self, counter: u32, echoed: Option<EscapedStr<'_>>) -> bool {
        token::matches(self.boot.entropy, counter, echoed)
    }
}
