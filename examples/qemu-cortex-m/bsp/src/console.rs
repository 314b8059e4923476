//! Lines to the standard output of QEMU.

use core::fmt::{self, Write as _};

use heapless::String;

/// Most bytes of a line with its end; what is longer is cut.
const LINE_LEN_MAX: usize = 256;

/// Prints a line in one write, so that a kill of QEMU leaves it out or shows it whole.
pub fn say(what: fmt::Arguments<'_>) {
    let mut line: String<LINE_LEN_MAX> = String::new();
    // A line that is too long is cut.
    let _ = line.write_fmt(what);
    if line.push('\n').is_err() {
        line.pop();
        let _ = line.push('\n');
    }
    if let Ok(mut stdout) = semihosting::io::stdout() {
        use semihosting::io::Write as _;
        // Nobody listens: nothing to be done about it.
        let _ = stdout.write_all(line.as_bytes());
    }
}

/// Prints a line to the standard output of QEMU, in one write.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => { $crate::console::say(format_args!($($words)*)) };
}
