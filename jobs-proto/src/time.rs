//! Points in time on the wire.

/// Seconds since 1970-01-01T00:00:00Z, as the service counts them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EpochSeconds(pub u64);

impl EpochSeconds {
    /// The seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}
