//! Time and the journal.

use std::{fmt, time::Duration};

use handlers::System;

/// Time from tokio; notes go to standard output, one line each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linux;

impl System for Linux {
    async fn pause_ms(&self, ms: u32) {
        tokio::time::sleep(Duration::from_millis(u64::from(ms))).await;
    }

    fn note(&self, job_id: &str, what: fmt::Arguments<'_>) {
        say(format_args!("{job_id}: {what}"));
    }
}

/// One line on standard output, whole even if several threads speak. A reader that went away is
/// no reason to stop working.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
