//! Time as the core sees it: milliseconds on the adapter's monotonic clock, handed in with a call.

/// A point on the adapter's monotonic clock, in milliseconds since an arbitrary start.
///
/// The core never reads a clock: every `handle_*` and `poll` that depends on time takes one of
/// these. The clock must not run backwards and need not survive a restart. Waiting times are `u32`
/// milliseconds, up to 49 days; one of `u32::MAX` never ends.
///
/// ```
/// use jobs_agent_core::Millis;
/// let start = Millis(1_000);
/// assert_eq!(start.plus(500), Millis(1_500));
/// assert_eq!(Millis(u64::MAX).plus(1), Millis(u64::MAX));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// This point plus `ms` milliseconds; saturates at the end of time.
    // Two dozen copies of a saturating sum of 64 bits cost more flash than one, called.
    #[must_use]
    #[inline(never)]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from this point to `later`; zero if `later` has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// How many milliseconds are left until something is due: 0 is now, the largest value never.
///
/// Times inside the agent are counted down to, by [`Agent::pass`](crate::Agent) in every call that
/// brings a time. On a core of 32 bits a point in time of 64 bits, and whether there is one, cost
/// four times the memory and the code; what has passed is alike, and reads as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timer(u32);

impl Timer {
    pub(crate) const NOW: Self = Self(0);
    pub(crate) const NEVER: Self = Self(u32::MAX);

    pub(crate) const fn after(ms: u32) -> Self {
        Self(ms)
    }

    pub(crate) const fn is_due(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn is_set(self) -> bool {
        self.0 != u32::MAX
    }

    /// Milliseconds left, if it is not never.
    #[cfg(test)]
    pub(crate) const fn left_ms(self) -> u32 {
        self.0
    }

    /// The point in time at which this is due, if it is `now`.
    #[inline(never)]
    pub(crate) fn after_now(self, now: Millis) -> Option<Millis> {
        self.is_set().then(|| now.plus(self.0.into()))
    }

    /// A millisecond later; never stays never.
    pub(crate) const fn postpone(&mut self) {
        self.0 = self.0.saturating_add(1);
    }

    /// So many milliseconds have passed.
    pub(crate) const fn pass(&mut self, ms: u32) {
        if self.is_set() {
            self.0 = self.0.saturating_sub(ms);
        }
    }
}

/// So many milliseconds have passed for all of these.
#[inline(never)]
pub(crate) fn pass_all(timers: &mut [Timer], ms: u32) {
    for timer in timers {
        timer.pass(ms);
    }
}
