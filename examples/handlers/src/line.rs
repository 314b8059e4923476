//! A bounded line of text for people.

use core::fmt::{self, Write};

use heapless::String;
use jobs_agent_core::{BODY_LEN_MAX, Reason};

/// Most bytes of a [`Line`]: with its key `reason` and a version beside it, it fits the details of
/// an outcome on the smallest configuration.
pub const LINE_LEN_MAX: usize = 200;

const _: () = assert!(LINE_LEN_MAX + 56 <= BODY_LEN_MAX, "a line fits an outcome");

/// Text of at most [`LINE_LEN_MAX`] bytes; what does not fit is cut at a character boundary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String<LINE_LEN_MAX>,
    full: bool,
}

/// Formats a line; never fails.
///
/// ```
/// assert_eq!(handlers::line(format_args!("{} of {}", 3, 7)).as_str(), "3 of 7");
/// ```
#[must_use]
pub fn line(arguments: fmt::Arguments<'_>) -> Line {
    let mut line = Line::default();
    // Cutting is not an error, and a Display that fails leaves what it had written.
    let _ = line.write_fmt(arguments);
    line
}

impl Line {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text as the reason of a refusal.
    #[must_use]
    pub(crate) fn reason(&self) -> Reason {
        Reason::new(&self.text)
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            // Once something was left out, nothing may follow it.
            self.full = self.full || self.text.push(char).is_err();
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let long = "ä".repeat(LINE_LEN_MAX);
        let cut = line(format_args!("x{long}y"));
        assert_eq!(cut.as_str().len(), LINE_LEN_MAX - 1);
        assert!(cut.as_str().starts_with("xä") && cut.as_str().ends_with('ä'));
    }
}
