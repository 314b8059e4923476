//! Log output by `defmt`, by `log`, by both or not at all.
//!
//! Arguments are numbers and strings, which both can print; what has only `Debug` goes through
//! [`Shown`].

macro_rules! log_at {
    ($level:ident, $text:literal $(, $arg:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        ::defmt::$level!($text $(, $arg)*);
        #[cfg(feature = "log")]
        ::log::$level!($text $(, $arg)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        {
            $(let _ = &$arg;)*
        }
    }};
}

macro_rules! info {
    ($($arg:tt)*) => { log_at!(info, $($arg)*) };
}
macro_rules! warn {
    ($($arg:tt)*) => { log_at!(warn, $($arg)*) };
}
macro_rules! error {
    ($($arg:tt)*) => { log_at!(error, $($arg)*) };
}

/// Prints a value by its `Debug`, for whichever logger is on.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: core::fmt::Debug> core::fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl<T: core::fmt::Debug> defmt::Format for Shown<T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Debug2Format(&self.0));
    }
}
