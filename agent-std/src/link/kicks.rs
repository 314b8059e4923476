//! Tells a kick loop from connections that are lost now and then.

use std::time::Duration;

use tokio::time::Instant;

use super::LinkError;
use super::options::{KICK_LOOP_AFTER, SHORT_LIFE_MS};

/// Counts connections in a row that the other side closed right after accepting them.
#[derive(Debug, Default)]
pub(super) struct Kicks {
    in_a_row: u32,
}

impl Kicks {
    /// Looks at the end of a connection in the light of those before it. An attempt that failed
    /// in between is none and does not interrupt the row.
    pub(super) fn judge(&mut self, why: LinkError, up_since: Instant) -> LinkError {
        let closed = matches!(why, LinkError::PeerClosed { .. });
        if !closed || up_since.elapsed() >= Duration::from_millis(SHORT_LIFE_MS) {
            self.in_a_row = 0;
            return why;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row < KICK_LOOP_AFTER {
            return why;
        }
        LinkError::Kicked {
            times: self.in_a_row,
        }
    }
}
