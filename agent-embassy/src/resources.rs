//! The memory of an agent, lent by the firmware.

use jobs_agent_core::{BODY_LEN_MAX, JOBS_MAX, Scratch};
use jobs_proto::limits::REQUEST_TOPIC_LEN_MAX;

/// Bytes of CONNECT without user name and password: the fixed part, our properties, a client id of
/// 64 bytes, and a step of the encoder.
const CONNECT_LEN: usize = 128;

/// Bytes that a PUBLISH adds to its topic and payload, at most.
const PUBLISH_HEAD_LEN: usize = 16;

/// Bytes of a payload beside its details: identifiers, token, numbers.
const PAYLOAD_FRAME_LEN: usize = 512;

/// Least `TX`: room for the largest report that a handler can cause (each byte of its details
/// escaped) beside a CONNECT. A smaller arena could never send it, and an outcome that cannot be
/// sent would stay unreported for ever.
pub const TX_LEN_MIN: usize =
    CONNECT_LEN + PUBLISH_HEAD_LEN + REQUEST_TOPIC_LEN_MAX + PAYLOAD_FRAME_LEN + 2 * BODY_LEN_MAX;

/// Least `RX`: room for an execution without its document, with its largest topic and details.
pub const RX_LEN_MIN: usize = 1_024;

/// The memory of one agent; `const`, for a `static` or a `StaticCell`.
///
/// * `JOBS`, 1 to 32: how many jobs run at a time. Each costs a slot in the core and the future of
///   one handler in [`Runner::run`](crate::Runner::run).
/// * `RX`, bytes, at least [`RX_LEN_MIN`]: the largest MQTT packet that can come in, told to the
///   broker as Maximum Packet Size. A job document has to fit in here together with its topic
///   (up to 226 bytes) and its envelope (about 400 bytes; `statusDetails` add to it). A document
///   that does not fit is not seen by any handler: its job is REJECTED with a reason (or left
///   alone, see [`Unclaimed`](crate::Unclaimed)). AWS allows documents of 32 KiB; 4 KiB serves
///   documents that refer to data by URL.
/// * `TX`, bytes, at least [`TX_LEN_MIN`]: where packets are put together, and kept until the
///   broker acknowledges them, for a replay after a short cut. One job has one request in flight:
///   the minimum does for `JOBS` = 1, and 300 to 500 bytes for each further job let their
///   requests overlap. Too little room only delays.
#[derive(Debug)]
pub struct AgentResources<const JOBS: usize, const RX: usize, const TX: usize> {
    rx: [u8; RX],
    tx: [u8; TX],
    scratch: Scratch,
    starts: u32,
}

impl<const JOBS: usize, const RX: usize, const TX: usize> AgentResources<JOBS, RX, TX> {
    /// Empty memory. Sizes that cannot work do not compile.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(JOBS >= 1 && JOBS <= JOBS_MAX, "JOBS is 1 to 32");
            assert!(RX >= RX_LEN_MIN, "RX is at least RX_LEN_MIN");
            assert!(TX >= TX_LEN_MIN, "TX is at least TX_LEN_MIN");
        }
        Self {
            rx: [0; RX],
            tx: [0; TX],
            scratch: Scratch::new(),
            starts: 0,
        }
    }

    /// The buffers for a link, and the room for a [`Runner`](crate::Runner).
    pub fn lend(&mut self) -> Lent<'_, JOBS> {
        Lent {
            buffers: Buffers {
                rx: &mut self.rx,
                tx: &mut self.tx,
            },
            room: Room {
                scratch: &mut self.scratch,
                starts: &mut self.starts,
            },
        }
    }
}

impl<const JOBS: usize, const RX: usize, const TX: usize> Default for AgentResources<JOBS, RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// [`AgentResources`] in two parts, because two owners need them.
#[derive(Debug)]
pub struct Lent<'b, const JOBS: usize> {
    /// For the link.
    pub buffers: Buffers<'b>,
    /// For the runner.
    pub room: Room<'b, JOBS>,
}

/// Memory for packets.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// Holds one inbound packet.
    pub rx: &'b mut [u8],
    /// Holds outbound packets until they are acknowledged.
    pub tx: &'b mut [u8],
}

/// Memory for a [`Runner`](crate::Runner).
#[derive(Debug)]
pub struct Room<'b, const JOBS: usize> {
    pub(crate) scratch: &'b mut Scratch,
    /// How often a run began in this memory: makes its tokens unlike those of the runs before.
    pub(crate) starts: &'b mut u32,
}
