//! The table at the end: what was expected, and what came.

use std::collections::BTreeMap;

use crate::platform::system::say;

/// Longest text shown in the last column, characters.
const DETAILS_CHARS_MAX: usize = 76;

/// One job's line.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) job: String,
    pub(crate) expected: &'static str,
    pub(crate) got: String,
    pub(crate) details: BTreeMap<String, String>,
    /// What is not as it should be; empty if all is right.
    pub(crate) faults: Vec<String>,
}

impl Row {
    fn is_right(&self) -> bool {
        self.expected == self.got && self.faults.is_empty()
    }
}

/// Prints the table; answers whether every line is right.
pub(crate) fn print(rows: &[Row]) -> bool {
    let wide = rows
        .iter()
        .map(|row| row.job.chars().count())
        .max()
        .unwrap_or(0)
        .max(3);
    say(format_args!(
        "\n{:<wide$}  {:<10} {:<10} {:<4} details",
        "job", "expected", "got", "ok"
    ));
    say(format_args!(
        "{}",
        "-".repeat(wide + 2 + 11 + 11 + 5 + DETAILS_CHARS_MAX)
    ));
    for row in rows {
        let ok = if row.is_right() { "yes" } else { "NO" };
        say(format_args!(
            "{:<wide$}  {:<10} {:<10} {ok:<4} {}",
            row.job,
            row.expected,
            row.got,
            shorten(&describe(&row.details)),
        ));
        for fault in &row.faults {
            say(format_args!("{:<wide$}  ! {fault}", ""));
        }
    }
    rows.iter().all(Row::is_right)
}

fn describe(details: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = details
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(" ")
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= DETAILS_CHARS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(DETAILS_CHARS_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(got: &str, faults: &[&str]) -> Row {
        Row {
            job: "1 write".into(),
            expected: "SUCCEEDED",
            got: got.into(),
            details: BTreeMap::new(),
            faults: faults.iter().map(|&fault| fault.to_owned()).collect(),
        }
    }

    #[test]
    fn one_wrong_line_makes_the_table_wrong() {
        assert!(print(&[row("SUCCEEDED", &[])]));
        assert!(!print(&[row("SUCCEEDED", &[]), row("FAILED", &[])]));
        assert!(!print(&[row("SUCCEEDED", &["the file is not there"])]));
    }

    #[test]
    fn long_details_are_cut_with_a_mark() {
        let cut = shorten(&"ä".repeat(200));
        assert_eq!(cut.chars().count(), DETAILS_CHARS_MAX);
        assert!(cut.ends_with('…'));
    }
}
