//! What is logged.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    filter::{LevelFilter, ParseError, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Reads a list of levels and targets: `info`, `debug`, `warn,agent_std=debug`, `off`.
///
/// That is what `RUST_LOG` is mostly used for. Its filters by span and by value are left out,
/// because they bring an engine for regular expressions with them: see decision 0025.
///
/// # Errors
/// It is no such list.
pub fn filter(directives: &str) -> Result<Targets, ParseError> {
    directives.trim().parse()
}

/// What is logged if nobody says: what an operator should see.
fn default_filter() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

/// Begins to log to standard error: what `RUST_LOG` says, or else `directives`.
///
/// # Panics
/// If somebody logs already.
pub fn start(directives: &str) {
    let wanted = std::env::var("RUST_LOG").ok();
    let wanted = wanted.and_then(|wanted| filter(&wanted).ok());
    let targets = wanted
        .or_else(|| filter(directives).ok())
        .unwrap_or_else(default_filter);
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // The service manager's journal has a clock of its own.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().finish().with(targets).init();
    } else {
        log.finish().with(targets).init();
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_and_targets_are_read() {
        let targets = filter("warn,agent_std=debug").unwrap();
        assert!(targets.would_enable("agent_std::link", &Level::DEBUG));
        assert!(!targets.would_enable("jobs_agent", &Level::INFO));
        assert!(
            !filter("off")
                .unwrap()
                .would_enable("agent_std", &Level::ERROR)
        );
        assert!(default_filter().would_enable("jobs_agent", &Level::INFO));
        assert!(filter("agent_std=loud").is_err());
    }
}
