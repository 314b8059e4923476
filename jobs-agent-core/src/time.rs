//! Time as the core sees it: milliseconds on the adapter's monotonic clock, handed in with a call.

/// A point on the adapter's monotonic clock, in milliseconds since an arbitrary start.
///
/// The core never reads a clock: every `handle_*` and `poll` that depends on time takes one of
/// these. The clock must not run backwards and need not survive a restart.
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

/// The earlier of two optional deadlines.
pub(crate) fn earlier(a: Option<Millis>, b: Option<Millis>) -> Option<Millis> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (Some(a), None) => Some(a),
        (None, b) => b,
    }
}
