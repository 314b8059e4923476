//! Faults that the fronts inject on request.
//!
//! They act on the way between the service and a device. Faults of the service itself
//! (throttling, internal errors, late reads) are set with
//! [`Service::set_fault`](crate::model::Service::set_fault).

use serde::{Deserialize, Serialize};

/// What happens to the next messages of one kind.
///
/// The counts are used up one message at a time, in the order drop, duplicate, delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageFaults {
    /// How many of the next messages vanish.
    pub drop: u32,
    /// How many of the messages after that arrive twice.
    pub duplicate: u32,
    /// How many of the messages after that are late.
    pub delay: u32,
    /// How late they are, in ms of the emulator's clock.
    pub delay_ms: u64,
}

/// Where a connection is cut while a device publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cut {
    /// Before the service has seen the publish: nothing happened.
    BeforeTaken,
    /// After the service has acted, before PUBACK and reply.
    BeforePuback,
    /// After PUBACK, before the reply.
    AfterPuback,
}

/// The faults in force. All counts go down as they are used; the default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Faults {
    /// For replies (`accepted` and `rejected`).
    pub replies: MessageFaults,
    /// For what the service sends of its own accord (`notify`, `notify-next`), counted per message
    /// and not per subscriber.
    pub notifications: MessageFaults,
    /// One entry for each of the next publishes on a Jobs topic: `None` lets it pass.
    pub cuts: Vec<Option<Cut>>,
    /// How many of the next connections find that their session is gone.
    pub lose_sessions: u32,
    /// How long every CONNACK takes, in ms of real time.
    pub connack_delay_ms: u64,
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Deliver,
    Drop,
    Duplicate,
    Delay { by_ms: u64 },
}

fn take(count: &mut u32) -> bool {
    let due = *count > 0;
    *count = count.saturating_sub(1);
    due
}

impl MessageFaults {
    pub(crate) fn next_fate(&mut self) -> Fate {
        if take(&mut self.drop) {
            Fate::Drop
        } else if take(&mut self.duplicate) {
            Fate::Duplicate
        } else if take(&mut self.delay) {
            Fate::Delay {
                by_ms: self.delay_ms,
            }
        } else {
            Fate::Deliver
        }
    }
}

impl Faults {
    pub(crate) fn next_cut(&mut self) -> Option<Cut> {
        if self.cuts.is_empty() {
            None
        } else {
            self.cuts.remove(0)
        }
    }

    pub(crate) fn next_session_is_lost(&mut self) -> bool {
        take(&mut self.lose_sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_used_up_in_order() {
        let mut faults = MessageFaults {
            drop: 1,
            duplicate: 1,
            delay: 1,
            delay_ms: 7,
        };
        let fates: Vec<Fate> = (0..4).map(|_| faults.next_fate()).collect();
        let late = Fate::Delay { by_ms: 7 };
        assert_eq!(fates, [Fate::Drop, Fate::Duplicate, late, Fate::Deliver]);
    }
}
