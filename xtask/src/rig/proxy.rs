//! A proxy that reads MQTT as it passes, and cuts the connection where it is told to.
//!
//! Source of the packet format: MQTT 5.0, section 2.1.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::relay::{Framing, Gate, Relay, Verdict, Way, remaining};

/// Packet types, in the high half of the first byte.
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;

/// Flag of a PUBLISH that is sent again.
const DUP: u8 = 1 << 3;
/// Flags of a PUBLISH with an acknowledgement.
const QOS_1: u8 = 1 << 1;

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The broker never sees the publish.
    BeforeTaken,
    /// The broker has it, the device never sees the PUBACK.
    BeforePuback,
    /// The device has seen the PUBACK, and nothing after it.
    AfterPuback,
}

/// What passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// CONNACKs.
    pub(crate) connects: u32,
    /// CONNACKs that say that the session is still there.
    pub(crate) resumed: u32,
    /// Publishes of the device that were sent again.
    pub(crate) repeated: u32,
    /// Cuts made.
    pub(crate) cuts: u32,
}

#[derive(Debug, Default)]
struct State {
    seen: Seen,
    /// The cut that is due at a publish of the device on a topic with this end.
    due: Option<(Cut, &'static str)>,
    /// The publish has passed; the cut is due at its PUBACK.
    at_puback: Option<Cut>,
}

/// The proxy; it ends when this is dropped.
pub(crate) struct Proxy {
    relay: Relay,
    cutter: Arc<Cutter>,
}

/// The gate of the proxy.
#[derive(Debug, Default)]
struct Cutter(Mutex<State>);

impl Proxy {
    /// Listens at a free port, before `broker`.
    pub(crate) fn start(broker: SocketAddr) -> Result<Self, String> {
        let cutter = Arc::new(Cutter::default());
        Ok(Self {
            relay: Relay::start(broker, Framing::Mqtt, Arc::clone(&cutter))?,
            cutter,
        })
    }

    /// Where devices connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.relay.address()
    }

    /// Cuts at the next publish of the device whose topic ends so.
    pub(crate) fn cut(&self, cut: Cut, topic_end: &'static str) {
        self.cutter.state().due = Some((cut, topic_end));
    }

    /// What passed so far.
    pub(crate) fn seen(&self) -> Seen {
        self.cutter.state().seen
    }
}

impl Cutter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for Cutter {
    fn admits(&self, _: u32) -> bool {
        true
    }

    fn judge(&self, _: u32, way: Way, packet: &[u8]) -> Verdict {
        match look(packet, way, &mut self.state()) {
            None => Verdict::Pass,
            Some(Cut::BeforeTaken | Cut::BeforePuback) => Verdict::CutAfter(0),
            Some(Cut::AfterPuback) => Verdict::CutAfter(packet.len()),
        }
    }
}

/// Counts a packet; answers the cut that is due at it.
fn look(packet: &[u8], way: Way, state: &mut State) -> Option<Cut> {
    let first = *packet.first()?;
    match (first >> 4, way) {
        (CONNACK, Way::Down) => {
            let is_resumed = packet.get(2).is_some_and(|flags| flags & 1 == 1);
            state.seen.connects += 1;
            state.seen.resumed += u32::from(is_resumed);
            None
        }
        (PUBLISH, Way::Up) => {
            state.seen.repeated += u32::from(first & DUP != 0);
            let (cut, topic_end) = state.due?;
            if first & QOS_1 == 0 || !topic(packet)?.ends_with(topic_end.as_bytes()) {
                return None;
            }
            state.due = None;
            if cut == Cut::BeforeTaken {
                state.seen.cuts += 1;
                return Some(cut);
            }
            state.at_puback = Some(cut);
            None
        }
        (PUBACK, Way::Down) => {
            let cut = state.at_puback.take()?;
            state.seen.cuts += 1;
            Some(cut)
        }
        _ => None,
    }
}

/// The topic of a PUBLISH.
fn topic(packet: &[u8]) -> Option<&[u8]> {
    let (_, head_len) = remaining(packet)?;
    let (len, rest) = packet.get(head_len..)?.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: [u8; 10] = [0x32, 8, 0, 4, b'a', b'/', b'u', b'p', 0, 1];

    #[test]
    fn a_cut_waits_for_its_topic_and_its_puback() {
        let mut state = State {
            due: Some((Cut::BeforePuback, "/up")),
            ..State::default()
        };
        let other = [0x32, 8, 0, 4, b'a', b'/', b'n', b'o', 0, 1];
        assert_eq!(topic(&UPDATE), Some(&b"a/up"[..]));
        assert_eq!(look(&other, Way::Up, &mut state), None);
        assert_eq!(look(&UPDATE, Way::Up, &mut state), None);
        assert_eq!(look(&[0x40, 2, 0, 1], Way::Up, &mut state), None);
        assert_eq!(
            look(&[0x40, 2, 0, 1], Way::Down, &mut state),
            Some(Cut::BeforePuback)
        );
        assert_eq!(look(&[0x40, 2, 0, 1], Way::Down, &mut state), None);
        assert_eq!(state.seen.cuts, 1);
    }
}
