//! A recording of MQTT packets, and of requests to the HTTP data plane, as the emulator saw them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most entries kept. Older ones are dropped and counted.
pub const TRACE_MAX_ENTRIES: usize = 65_536;

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The device, to the emulator.
    FromDevice,
    /// The emulator, to the device.
    ToDevice,
}

/// The type of an MQTT packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the MQTT specification")]
pub enum PacketKind {
    Connect,
    Connack,
    Publish,
    Puback,
    Subscribe,
    Suback,
    Unsubscribe,
    Unsuback,
    Pingreq,
    Pingresp,
    Disconnect,
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceEntry {
    /// When, in ms since the epoch of the emulator's clock.
    pub at_ms: u64,
    /// Which connection; numbers grow and are never used again. 0 for one that was not let in.
    pub connection: u64,
    /// The client id of the connection.
    pub client_id: String,
    /// Who sent it.
    pub direction: Direction,
    /// Its type.
    pub kind: PacketKind,
    /// Topic of a PUBLISH; filters of a SUBSCRIBE or UNSUBSCRIBE, separated by a space.
    pub topic: Option<String>,
    /// QoS of a PUBLISH.
    pub qos: Option<u8>,
    /// Whether a PUBLISH was marked as sent before.
    pub dup: bool,
    /// Packet id, where the packet has one.
    pub packet_id: Option<u16>,
    /// Length of the payload in bytes, 0 for other packets.
    pub payload_bytes: usize,
}

/// One request to the HTTP data plane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataRequest {
    /// When, in ms since the epoch of the emulator's clock.
    pub at_ms: u64,
    /// Which connection; numbers grow and are never used again.
    pub connection: u64,
    /// `GET`, `PUT` or `POST`.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The status that was answered; 0 if a fault cut the connection instead.
    pub status: u16,
}

#[derive(Debug)]
struct Recording {
    on: bool,
    entries: VecDeque<TraceEntry>,
    requests: VecDeque<DataRequest>,
    dropped: u64,
}

/// A handle to the recording; clones share it.
///
/// Recording is on from the start and bounded by [`TRACE_MAX_ENTRIES`].
#[derive(Clone, Debug)]
pub struct Trace {
    recording: Arc<Mutex<Recording>>,
}

impl Default for Trace {
    fn default() -> Self {
        let recording = Recording {
            on: true,
            entries: VecDeque::new(),
            requests: VecDeque::new(),
            dropped: 0,
        };
        Self {
            recording: Arc::new(Mutex::new(recording)),
        }
    }
}

impl Trace {
    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches recording on or off; what was recorded stays.
    pub fn set_on(&self, on: bool) {
        self.lock().on = on;
    }

    /// Forgets everything recorded so far.
    pub fn clear(&self) {
        let mut recording = self.lock();
        recording.entries.clear();
        recording.requests.clear();
        recording.dropped = 0;
    }

    /// A copy of everything recorded, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<TraceEntry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// How many entries had to be dropped since the start or [`clear`](Self::clear).
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// How many recorded packets a condition holds for.
    #[must_use]
    pub fn count(&self, condition: impl Fn(&TraceEntry) -> bool) -> usize {
        self.lock()
            .entries
            .iter()
            .filter(|entry| condition(entry))
            .count()
    }

    /// How many publishes a device sent (the measure of what a job costs).
    #[must_use]
    pub fn publishes_from(&self, client_id: &str) -> usize {
        self.count(|entry| {
            entry.client_id == client_id
                && entry.kind == PacketKind::Publish
                && entry.direction == Direction::FromDevice
        })
    }

    /// A copy of the recorded requests to the HTTP data plane, oldest first; bounded like the packets.
    #[must_use]
    pub fn data_requests(&self) -> Vec<DataRequest> {
        self.lock().requests.iter().cloned().collect()
    }

    pub(crate) fn record_request(&self, request: DataRequest) {
        let mut recording = self.lock();
        if !recording.on {
            return;
        }
        if recording.requests.len() >= TRACE_MAX_ENTRIES {
            recording.requests.pop_front();
            recording.dropped = recording.dropped.saturating_add(1);
        }
        recording.requests.push_back(request);
    }

    pub(crate) fn record(&self, entry: TraceEntry) {
        let mut recording = self.lock();
        if !recording.on {
            return;
        }
        if recording.entries.len() >= TRACE_MAX_ENTRIES {
            recording.entries.pop_front();
            recording.dropped = recording.dropped.saturating_add(1);
        }
        recording.entries.push_back(entry);
    }
}
