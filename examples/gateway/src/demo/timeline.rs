//! The story as it happens: one line for each event.

use std::{fmt, sync::Arc, time::Instant};

use crate::platform::system::say;

/// Who an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Whoever creates and cancels jobs.
    Operator,
    /// The state of an execution at the service.
    Service,
    /// What the agent process says and what becomes of it.
    Agent,
    /// The server that the images are on.
    Files,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Operator => "operator",
            Self::Service => "service",
            Self::Agent => "agent",
            Self::Files => "files",
        })
    }
}

/// Prints events with the time since the start.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    started: Arc<Instant>,
}

impl Timeline {
    /// Time begins now.
    pub(crate) fn start() -> Self {
        Self {
            started: Arc::new(Instant::now()),
        }
    }

    /// One line.
    pub(crate) fn event(&self, source: Source, what: fmt::Arguments<'_>) {
        let seconds = self.started.elapsed().as_secs_f64();
        say(format_args!("[{seconds:7.3} s] {source:<8} {what}"));
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}
