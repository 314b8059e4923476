//! A TCP relay before a broker: it reads frames as they pass, and a gate decides what becomes of
//! each.
//!
//! Sources of the framing: MQTT 3.1.1 and 5.0, section 2; RFC 8446, section 5.1.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{sleep, spawn},
    time::Duration,
};

/// How long accept and read wait before they look whether the relay is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// The direction of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// From the device to the broker.
    Up,
    /// From the broker to the device.
    Down,
}

/// What the bytes are divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// MQTT control packets.
    Mqtt,
    /// TLS records.
    Tls,
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Pass,
    /// So many bytes of it go on, then the connection ends for both sides.
    CutAfter(usize),
    /// It vanishes, and the other side is never told when this side ends the connection: a way
    /// that has gone dead.
    Swallow,
    /// It goes on later.
    Late(Duration),
    /// It goes on in single bytes, each a segment of its own.
    Crumbs,
    /// These bytes go on in its place.
    Instead(Vec<u8>),
}

/// Decides, and counts what it likes.
pub(crate) trait Gate: Send + Sync + 'static {
    /// Whether a new connection is taken; its number is given again to [`Gate::judge`].
    fn admits(&self, connection: u32) -> bool;
    /// A whole frame of a connection is there.
    fn judge(&self, connection: u32, way: Way, frame: &[u8]) -> Verdict;
}

/// The relay; it ends when this is dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    end: Arc<AtomicBool>,
}

/// What the threads of a relay share.
struct Shared<G> {
    broker: SocketAddr,
    framing: Framing,
    gate: Arc<G>,
    end: Arc<AtomicBool>,
    connections: AtomicU32,
    /// Ends of dead ways: open until the relay ends, so that nobody is told.
    dead: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Listens at a free port, before `broker`.
    pub(crate) fn start<G: Gate>(
        broker: SocketAddr,
        framing: Framing,
        gate: Arc<G>,
    ) -> Result<Self, String> {
        let fault = |error: io::Error| error.to_string();
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        let relay = Self {
            address: listener.local_addr().map_err(fault)?,
            end: Arc::default(),
        };
        let shared = Arc::new(Shared {
            broker,
            framing,
            gate,
            end: Arc::clone(&relay.end),
            connections: AtomicU32::new(0),
            dead: Mutex::default(),
        });
        spawn(move || {
            while !shared.end.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((device, _)) => join(device, &shared),
                    Err(_) => sleep(PATIENCE),
                }
            }
        });
        Ok(relay)
    }

    /// Where devices connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

/// Connects to the broker and passes frames in both directions, each in a thread.
fn join<G: Gate>(device: TcpStream, shared: &Arc<Shared<G>>) {
    let connection = shared.connections.fetch_add(1, Ordering::Relaxed);
    if !shared.gate.admits(connection) {
        return;
    }
    // A broker that is away: the device sees a connection that ends at once.
    let Ok(broker) = TcpStream::connect(shared.broker) else {
        return;
    };
    let ways = (device.try_clone(), broker.try_clone());
    let (Ok(device_out), Ok(broker_out)) = ways else {
        return;
    };
    for (from, to, way) in [
        (device, broker_out, Way::Up),
        (broker, device_out, Way::Down),
    ] {
        let shared = Arc::clone(shared);
        spawn(move || {
            let is_dead = pass(&from, &to, connection, way, &shared);
            let _ = from.shutdown(Shutdown::Both);
            if is_dead {
                let mut dead = shared.dead.lock().unwrap_or_else(PoisonError::into_inner);
                dead.push(to);
            } else {
                // Ends the other direction too.
                let _ = to.shutdown(Shutdown::Both);
            }
        });
    }
}

/// Passes frames until one side ends or the gate says so; whether the way has gone dead.
fn pass<G: Gate>(
    mut from: &TcpStream,
    mut to: &TcpStream,
    connection: u32,
    way: Way,
    shared: &Shared<G>,
) -> bool {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    let mut is_dead = false;
    let is_ready = from.set_nonblocking(false).is_ok()
        && from.set_read_timeout(Some(PATIENCE)).is_ok()
        // What is written in pieces is to arrive in pieces.
        && to.set_nodelay(true).is_ok();
    while is_ready && !shared.end.load(Ordering::Relaxed) {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => bytes.extend(chunk.iter().take(len)),
            Err(error) if is_pause(&error) => continue,
            Err(_) => break,
        }
        while let Some(len) = shared.framing.frame_len(&bytes) {
            let frame: Vec<u8> = bytes.drain(..len).collect();
            let verdict = shared.gate.judge(connection, way, &frame);
            is_dead |= verdict == Verdict::Swallow;
            if !perform(&verdict, &frame, &mut to) {
                return is_dead;
            }
        }
    }
    is_dead
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Does what the gate said; whether the connection goes on.
fn perform(verdict: &Verdict, frame: &[u8], to: &mut impl Write) -> bool {
    match verdict {
        Verdict::Pass => to.write_all(frame).is_ok(),
        Verdict::CutAfter(len) => {
            let _ = to.write_all(frame.get(..*len).unwrap_or(frame));
            false
        }
        Verdict::Swallow => true,
        Verdict::Late(by) => {
            sleep(*by);
            to.write_all(frame).is_ok()
        }
        Verdict::Crumbs => frame.iter().all(|byte| to.write_all(&[*byte]).is_ok()),
        Verdict::Instead(other) => to.write_all(other).is_ok(),
    }
}

impl Framing {
    /// Length of the first frame, if all of it is there.
    pub(crate) fn frame_len(self, bytes: &[u8]) -> Option<usize> {
        let len = match self {
            Self::Mqtt => {
                let (rest_len, head_len) = remaining(bytes)?;
                head_len + rest_len
            }
            Self::Tls => {
                let len = bytes.get(3..5)?.first_chunk::<2>()?;
                5 + usize::from(u16::from_be_bytes(*len))
            }
        };
        Some(len).filter(|len| *len <= bytes.len())
    }
}

/// The variable byte integer of a fixed header of MQTT, and the header's own length.
pub(crate) fn remaining(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (nth, byte) in bytes.iter().skip(1).take(4).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * nth);
        if byte & 0x80 == 0 {
            return Some((len, nth + 2));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_by_their_length_and_only_when_whole() {
        let packet = [0x32, 8, 0, 4, b'a', b'/', b'u', b'p', 0, 1, 0x40, 2];
        assert_eq!(Framing::Mqtt.frame_len(&packet), Some(10));
        assert_eq!(Framing::Mqtt.frame_len(&packet[..9]), None);
        assert_eq!(remaining(&[0x30, 0x80, 0x01]), Some((128, 3)));
        let record = [23, 3, 3, 0, 2, 7, 7, 23];
        assert_eq!(Framing::Tls.frame_len(&record), Some(7));
        assert_eq!(Framing::Tls.frame_len(&record[..6]), None);
        assert_eq!(Framing::Tls.frame_len(&record[..4]), None);
    }

    #[test]
    fn a_cut_lets_a_part_through_and_ends_the_connection() {
        let frame = [1, 2, 3, 4];
        let told = |verdict: &Verdict| {
            let mut to = Vec::new();
            (perform(verdict, &frame, &mut to), to)
        };
        assert_eq!(told(&Verdict::CutAfter(2)), (false, vec![1, 2]));
        assert_eq!(told(&Verdict::CutAfter(9)), (false, frame.to_vec()));
        assert_eq!(told(&Verdict::Swallow), (true, vec![]));
        assert_eq!(told(&Verdict::Crumbs), (true, frame.to_vec()));
        assert_eq!(told(&Verdict::Instead(vec![9])), (true, vec![9]));
    }
}
