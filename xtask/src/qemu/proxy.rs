//! A TCP proxy that reads MQTT as it passes, and cuts the connection where it is told to.
//!
//! Source of the packet format: MQTT 5.0, section 2.1.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Packet types, in the high half of the first byte.
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;

/// Flag of a PUBLISH that is sent again.
const DUP: u8 = 1 << 3;
/// Flags of a PUBLISH with an acknowledgement.
const QOS_1: u8 = 1 << 1;

/// How long accept and read wait before they look whether the proxy is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The broker never sees the publish.
    BeforeTaken,
    /// The broker has it, the device never sees the PUBACK.
    BeforePuback,
    /// The device has seen the PUBACK, and nothing after it.
    AfterPuback,
}

/// What passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// CONNACKs.
    pub(super) connects: u32,
    /// CONNACKs that say that the session is still there.
    pub(super) resumed: u32,
    /// Publishes of the device that were sent again.
    pub(super) repeated: u32,
    /// Cuts made.
    pub(super) cuts: u32,
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
pub(super) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    end: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens at a free port, before `broker`.
    pub(super) fn start(broker: SocketAddr) -> Result<Self, String> {
        let fault = |error: std::io::Error| error.to_string();
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        let proxy = Self {
            address: listener.local_addr().map_err(fault)?,
            state: Arc::default(),
            end: Arc::default(),
        };
        let (state, end) = (Arc::clone(&proxy.state), Arc::clone(&proxy.end));
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((device, _)) => join(device, broker, &state, &end),
                    Err(_) => std::thread::sleep(PATIENCE),
                }
            }
        });
        Ok(proxy)
    }

    /// Where devices connect.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts at the next publish of the device whose topic ends so.
    pub(super) fn cut(&self, cut: Cut, topic_end: &'static str) {
        lock(&self.state).due = Some((cut, topic_end));
    }

    /// What passed so far.
    pub(super) fn seen(&self) -> Seen {
        lock(&self.state).seen
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects to the broker and passes packets in both directions, each in a thread.
fn join(device: TcpStream, broker: SocketAddr, state: &Arc<Mutex<State>>, end: &Arc<AtomicBool>) {
    // A broker that is away: the device sees a connection that ends at once.
    let Ok(broker) = TcpStream::connect(broker) else {
        return;
    };
    let ways = (device.try_clone(), broker.try_clone());
    let (Ok(device_out), Ok(broker_out)) = ways else {
        return;
    };
    for (from, to, is_device) in [(device, broker_out, true), (broker, device_out, false)] {
        let (state, end) = (Arc::clone(state), Arc::clone(end));
        std::thread::spawn(move || {
            pass(&from, &to, is_device, &state, &end);
            // Ends the other direction too.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

/// Passes packets until one side ends or a cut is due.
fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    is_device: bool,
    state: &Mutex<State>,
    end: &AtomicBool,
) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    if from.set_nonblocking(false).is_err() || from.set_read_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    while !end.load(Ordering::Relaxed) {
        match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(len) => bytes.extend(chunk.iter().take(len)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => continue,
            Err(_) => return,
        }
        while let Some(len) = packet_len(&bytes) {
            let packet: Vec<u8> = bytes.drain(..len).collect();
            let cut = look(&packet, is_device, &mut lock(state));
            let is_last = cut.is_some();
            let is_passed = !matches!(cut, Some(Cut::BeforeTaken | Cut::BeforePuback));
            if is_passed && to.write_all(&packet).is_err() || is_last {
                return;
            }
        }
    }
}

/// Counts a packet; answers the cut that is due at it.
fn look(packet: &[u8], is_device: bool, state: &mut State) -> Option<Cut> {
    let first = *packet.first()?;
    match (first >> 4, is_device) {
        (CONNACK, false) => {
            let is_resumed = packet.get(2).is_some_and(|flags| flags & 1 == 1);
            state.seen.connects += 1;
            state.seen.resumed += u32::from(is_resumed);
            None
        }
        (PUBLISH, true) => {
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
        (PUBACK, false) => {
            let cut = state.at_puback.take()?;
            state.seen.cuts += 1;
            Some(cut)
        }
        _ => None,
    }
}

/// Length of the first packet, if all of it is there.
fn packet_len(bytes: &[u8]) -> Option<usize> {
    let (rest_len, head_len) = remaining(bytes)?;
    Some(head_len + rest_len).filter(|len| *len <= bytes.len())
}

/// The variable byte integer of a fixed header, and the header's own length.
fn remaining(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (nth, byte) in bytes.iter().skip(1).take(4).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * nth);
        if byte & 0x80 == 0 {
            return Some((len, nth + 2));
        }
    }
    None
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
    fn packets_are_found_by_their_length_and_only_when_whole() {
        let mut bytes = UPDATE.to_vec();
        bytes.extend([0x40, 2]);
        assert_eq!(packet_len(&bytes), Some(10));
        assert_eq!(packet_len(&bytes[..9]), None);
        assert_eq!(remaining(&[0x30, 0x80, 0x01]), Some((128, 3)));
        assert_eq!(topic(&UPDATE), Some(&b"a/up"[..]));
    }

    #[test]
    fn a_cut_waits_for_its_topic_and_its_puback() {
        let mut state = State {
            due: Some((Cut::BeforePuback, "/up")),
            ..State::default()
        };
        let other = [0x32, 8, 0, 4, b'a', b'/', b'n', b'o', 0, 1];
        assert_eq!(look(&other, true, &mut state), None);
        assert_eq!(look(&UPDATE, true, &mut state), None);
        assert_eq!(look(&[0x40, 2, 0, 1], true, &mut state), None);
        assert_eq!(
            look(&[0x40, 2, 0, 1], false, &mut state),
            Some(Cut::BeforePuback)
        );
        assert_eq!(look(&[0x40, 2, 0, 1], false, &mut state), None);
        assert_eq!(state.seen.cuts, 1);
    }
}
