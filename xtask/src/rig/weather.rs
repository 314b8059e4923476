//! A network that fails in a chosen way at the next chance, and counts that it did.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    dice::Dice,
    relay::{Framing, Gate, Relay, Verdict, Way},
};

/// How much later a frame comes while the network is slow.
const LATENCY: Duration = Duration::from_millis(250);

/// Frames that a slow or crumbling network treats so: those of a job or two.
const LASTING_FRAMES: u32 = 8;

/// Connections that are refused while the broker is away.
const REFUSALS: u32 = 2;

/// Most bytes of garbage.
const GARBAGE_MAX: u64 = 64;

/// How a network fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Frames are late.
    Latency,
    /// Frames come in single bytes.
    Crumbs,
    /// The connection ends between two frames.
    Cut,
    /// The connection ends within a frame.
    CutWithin(Way),
    /// Nothing passes any more, in both directions, and nobody is told.
    HalfOpen,
    /// Random bytes come in the place of a frame.
    Garbage(Way),
    /// The connection ends, and the next ones are not taken.
    Away,
}

/// All of them.
pub(crate) const FAULTS: [Fault; 9] = [
    Fault::Latency,
    Fault::CutWithin(Way::Up),
    Fault::Crumbs,
    Fault::Garbage(Way::Down),
    Fault::Cut,
    Fault::HalfOpen,
    Fault::Garbage(Way::Up),
    Fault::CutWithin(Way::Down),
    Fault::Away,
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "late",
            Self::Crumbs => "crumbs",
            Self::Cut => "cut",
            Self::CutWithin(Way::Up) => "cut within a frame up",
            Self::CutWithin(Way::Down) => "cut within a frame down",
            Self::HalfOpen => "half open",
            Self::Garbage(Way::Up) => "garbage up",
            Self::Garbage(Way::Down) => "garbage down",
            Self::Away => "broker away",
        })
    }
}

impl Fault {
    /// The direction whose frames bring it about.
    fn way(self) -> Way {
        match self {
            Self::Latency | Self::Crumbs => Way::Down,
            Self::Cut | Self::HalfOpen | Self::Away => Way::Up,
            Self::CutWithin(way) | Self::Garbage(way) => way,
        }
    }
}

#[derive(Debug)]
struct State {
    dice: Dice,
    /// The fault that comes, after so many more frames of its direction.
    due: Option<(Fault, u32)>,
    /// What goes on, for so many more frames.
    lasting: Option<(Fault, u32)>,
    /// The connection on which nothing passes any more.
    dead: Option<u32>,
    refusals: u32,
    connections: u32,
    seen: BTreeMap<Fault, u32>,
}

impl State {
    fn verdict(&mut self, connection: u32, way: Way, frame: &[u8]) -> Verdict {
        if self.dead == Some(connection) {
            return Verdict::Swallow;
        }
        if let Some((fault, left)) = self.lasting {
            self.lasting = left.checked_sub(1).map(|left| (fault, left));
            return lasting(fault);
        }
        let Some((fault, left)) = self.due.filter(|(fault, _)| fault.way() == way) else {
            return Verdict::Pass;
        };
        if let Some(left) = left.checked_sub(1) {
            self.due = Some((fault, left));
            return Verdict::Pass;
        }
        self.due = None;
        *self.seen.entry(fault).or_default() += 1;
        match fault {
            Fault::Latency | Fault::Crumbs => {
                self.lasting = Some((fault, LASTING_FRAMES));
                lasting(fault)
            }
            Fault::Cut => Verdict::CutAfter(0),
            Fault::CutWithin(_) => Verdict::CutAfter(frame.len() / 2),
            Fault::HalfOpen => {
                self.dead = Some(connection);
                Verdict::Swallow
            }
            Fault::Garbage(_) => {
                let len = 1 + self.dice.below(GARBAGE_MAX);
                let bytes = (0..len).map(|_| self.dice.below(256).to_le_bytes()[0]);
                Verdict::Instead(bytes.collect())
            }
            Fault::Away => {
                self.refusals = REFUSALS;
                Verdict::CutAfter(0)
            }
        }
    }
}

fn lasting(fault: Fault) -> Verdict {
    if fault == Fault::Latency {
        Verdict::Late(LATENCY)
    } else {
        Verdict::Crumbs
    }
}

#[derive(Debug)]
struct Sky(Mutex<State>);

impl Sky {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for Sky {
    fn admits(&self, _: u32) -> bool {
        let mut state = self.state();
        let refused = state.refusals > 0;
        state.refusals = state.refusals.saturating_sub(1);
        state.connections += u32::from(!refused);
        !refused
    }

    fn judge(&self, connection: u32, way: Way, frame: &[u8]) -> Verdict {
        self.state().verdict(connection, way, frame)
    }
}

/// The network; it ends when this is dropped.
pub(crate) struct Weather {
    relay: Relay,
    sky: Arc<Sky>,
}

impl Weather {
    /// Listens at a free port, before `broker`; all is well at first.
    pub(crate) fn start(broker: SocketAddr, framing: Framing, seed: u64) -> Result<Self, String> {
        let sky = Arc::new(Sky(Mutex::new(State {
            dice: Dice::new(seed),
            due: None,
            lasting: None,
            dead: None,
            refusals: 0,
            connections: 0,
            seen: BTreeMap::new(),
        })));
        Ok(Self {
            relay: Relay::start(broker, framing, Arc::clone(&sky))?,
            sky,
        })
    }

    /// Where devices connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.relay.address()
    }

    /// Fails so after `frames` more frames of the direction that brings it about, once.
    pub(crate) fn arm(&self, fault: Fault, frames: u32) {
        self.sky.state().due = Some((fault, frames));
    }

    /// How often this fault came.
    pub(crate) fn seen(&self, fault: Fault) -> u32 {
        self.sky.state().seen.get(&fault).copied().unwrap_or(0)
    }

    /// What came, in words.
    pub(crate) fn report(&self) -> String {
        let state = self.sky.state();
        let faults = state.seen.iter();
        let faults: Vec<_> = faults.map(|(fault, n)| format!("{fault} {n}")).collect();
        let connections = state.connections;
        format!("{}; {connections} connections", faults.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(due: (Fault, u32)) -> State {
        State {
            dice: Dice::new(7),
            due: Some(due),
            lasting: None,
            dead: None,
            refusals: 0,
            connections: 0,
            seen: BTreeMap::new(),
        }
    }

    #[test]
    fn a_fault_waits_for_its_frame_and_comes_once() {
        let mut state = state((Fault::CutWithin(Way::Up), 1));
        let frame = [0; 6];
        assert_eq!(state.verdict(0, Way::Down, &frame), Verdict::Pass);
        assert_eq!(state.verdict(0, Way::Up, &frame), Verdict::Pass);
        assert_eq!(state.verdict(0, Way::Up, &frame), Verdict::CutAfter(3));
        assert_eq!(state.verdict(1, Way::Up, &frame), Verdict::Pass);
        assert_eq!(state.seen.get(&Fault::CutWithin(Way::Up)), Some(&1));
    }

    #[test]
    fn a_dead_connection_stays_dead_and_the_next_one_lives() {
        let mut state = state((Fault::HalfOpen, 0));
        assert_eq!(state.verdict(4, Way::Up, &[0]), Verdict::Swallow);
        assert_eq!(state.verdict(4, Way::Down, &[0]), Verdict::Swallow);
        assert_eq!(state.verdict(5, Way::Down, &[0]), Verdict::Pass);
    }

    #[test]
    fn bad_weather_ends() {
        let mut state = state((Fault::Latency, 0));
        let late = (0..20).filter(|_| state.verdict(0, Way::Down, &[0]) != Verdict::Pass);
        assert_eq!(late.count(), 10);
    }
}
