//! SMSC LAN9118 as a driver for `embassy-net`: programmed input and output, no DMA, no PHY
//! management (the emulated link is always up).
//!
//! Source: LAN9118 datasheet, revision 1.5.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use crate::{
    register::Block,
    vectors::{self, Interrupt},
};

const RX_DATA_FIFO: usize = 0x00;
const TX_DATA_FIFO: usize = 0x20;
const RX_STATUS_FIFO: usize = 0x40;
const TX_STATUS_FIFO: usize = 0x48;
const IRQ_CFG: usize = 0x54;
const INT_STS: usize = 0x58;
const INT_EN: usize = 0x5C;
const BYTE_TEST: usize = 0x64;
const FIFO_INT: usize = 0x68;
const TX_CFG: usize = 0x70;
const HW_CFG: usize = 0x74;
const RX_FIFO_INF: usize = 0x7C;
const TX_FIFO_INF: usize = 0x80;
const MAC_CSR_CMD: usize = 0xA4;
const MAC_CSR_DATA: usize = 0xA8;

/// What BYTE_TEST holds when bytes come in the right order.
const BYTE_TEST_PATTERN: u32 = 0x8765_4321;
/// HW_CFG: soft reset.
const SOFT_RESET: u32 = 1;
/// HW_CFG: 5 KiB of the FIFO memory for sending, and "must be one".
const TX_FIFO_5K: u32 = 5 << 16 | 1 << 20;
/// IRQ_CFG: output enabled, active high, push-pull.
const IRQ_ACTIVE_HIGH: u32 = 1 << 8 | 1 << 4 | 1;
/// INT_EN: a frame is in the RX status FIFO.
const RX_STATUS_LEVEL: u32 = 1 << 3;
/// TX_CFG: transmitter on.
const TX_ON: u32 = 1 << 1;
/// MAC_CSR_CMD: busy.
const CSR_BUSY: u32 = 1 << 31;
/// Registers of the MAC itself: control, address high and low.
const MAC_CR: u32 = 1;
const ADDR_HIGH: u32 = 2;
const ADDR_LOW: u32 = 3;
/// MAC_CR: full duplex, transmit, receive.
const MAC_ON: u32 = 1 << 20 | 1 << 3 | 1 << 2;
/// RX status: the frame is damaged.
const RX_ERROR: u32 = 1 << 15;
/// TX command A: the first and the last piece of a frame.
const TX_WHOLE_FRAME: u32 = 1 << 13 | 1 << 12;

/// Longest frame without its checksum, bytes.
const FRAME_LEN_MAX: usize = 1_514;
/// Checksum that the controller leaves at the end of a received frame, bytes.
const FCS_LEN: usize = 4;
/// Room for a frame in whole words, bytes.
const BUFFER_LEN: usize = (FRAME_LEN_MAX + FCS_LEN).next_multiple_of(4);
/// Two command words before each frame in the TX FIFO, bytes.
const TX_COMMAND_LEN: usize = 8;

static WAKER: AtomicWaker = AtomicWaker::new();

/// The receive interrupt is level-triggered: it stays masked until the queue was found empty.
pub(crate) fn on_interrupt() {
    Block::ETHERNET.write(INT_EN, 0);
    Block::ETHERNET.write(INT_STS, u32::MAX);
    WAKER.wake();
}

/// The Ethernet controller.
pub struct Lan9118 {
    address: [u8; 6],
    frame: [u8; BUFFER_LEN],
}

/// No controller answers: QEMU was started with another network card, or without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThere;

impl Lan9118 {
    /// Resets the controller and starts it with this hardware address.
    ///
    /// # Errors
    /// [`NotThere`]
    pub fn new(address: [u8; 6]) -> Result<Self, NotThere> {
        let device = Block::ETHERNET;
        if device.read(BYTE_TEST) != BYTE_TEST_PATTERN {
            return Err(NotThere);
        }
        device.write(HW_CFG, SOFT_RESET);
        while device.read(HW_CFG) & SOFT_RESET != 0 {}
        device.write(HW_CFG, TX_FIFO_5K);
        // Interrupt at the first frame.
        device.write(FIFO_INT, 0x4800_0000);
        device.write(IRQ_CFG, IRQ_ACTIVE_HIGH);
        let [a, b, c, d, e, f] = address;
        write_mac(ADDR_HIGH, u32::from_le_bytes([e, f, 0, 0]));
        write_mac(ADDR_LOW, u32::from_le_bytes([a, b, c, d]));
        write_mac(MAC_CR, MAC_ON);
        device.write(TX_CFG, TX_ON);
        vectors::enable(Interrupt::Ethernet);
        Ok(Self {
            address,
            frame: [0; BUFFER_LEN],
        })
    }
}

fn write_mac(register: u32, value: u32) {
    let device = Block::ETHERNET;
    device.write(MAC_CSR_DATA, value);
    device.write(MAC_CSR_CMD, CSR_BUSY | register);
    while device.read(MAC_CSR_CMD) & CSR_BUSY != 0 {}
}

fn frames_received() -> u32 {
    (Block::ETHERNET.read(RX_FIFO_INF) >> 16) & 0xFF
}

fn can_send() -> bool {
    let free = Block::ETHERNET.read(TX_FIFO_INF) & 0xFFFF;
    usize::try_from(free).is_ok_and(|free| free >= BUFFER_LEN + TX_COMMAND_LEN)
}

/// A received frame, still in the controller.
pub struct Received<'a>(&'a mut [u8; BUFFER_LEN]);

/// Room for a frame to send.
pub struct Sending(());

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, read: F) -> R {
        let device = Block::ETHERNET;
        let status = device.read(RX_STATUS_FIFO);
        let len = ((status >> 16) & 0x3FFF) as usize;
        // All words must be taken, also those of a frame that is not wanted.
        let mut words = self.0.chunks_exact_mut(4);
        for _ in 0..len.div_ceil(4) {
            let word = device.read(RX_DATA_FIFO).to_le_bytes();
            if let Some(place) = words.next() {
                place.copy_from_slice(&word);
            }
        }
        let damaged = status & RX_ERROR != 0 || len > BUFFER_LEN;
        let kept = if damaged {
            0
        } else {
            len.saturating_sub(FCS_LEN)
        };
        read(self.0.get_mut(..kept).unwrap_or_default())
    }
}

impl TxToken for Sending {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let device = Block::ETHERNET;
        let mut frame = [0; BUFFER_LEN];
        // The stack keeps to `capabilities`; what would not fit is cut.
        let len = len.min(FRAME_LEN_MAX);
        let result = fill(frame.get_mut(..len).unwrap_or_default());
        // At most FRAME_LEN_MAX: it fits.
        let bytes = u32::try_from(len).unwrap_or(0);
        device.write(TX_DATA_FIFO, bytes | TX_WHOLE_FRAME);
        device.write(TX_DATA_FIFO, bytes);
        let (words, _) = frame.as_chunks();
        for word in words.iter().take(len.div_ceil(4)) {
            device.write(TX_DATA_FIFO, u32::from_le_bytes(*word));
        }
        while (device.read(TX_FIFO_INF) >> 16) & 0xFF != 0 {
            device.read(TX_STATUS_FIFO);
        }
        result
    }
}

impl Driver for Lan9118 {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Sending)> {
        if frames_received() == 0 {
            WAKER.register(context.waker());
            Block::ETHERNET.write(INT_EN, RX_STATUS_LEVEL);
            // One that came in between raised no interrupt.
            if frames_received() == 0 {
                return None;
            }
        }
        Some((Received(&mut self.frame), Sending(())))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Sending> {
        if can_send() {
            return Some(Sending(()));
        }
        // The emulated controller sends a frame while its last word is written, so this is rare:
        // asking again is cheaper than a second interrupt.
        context.waker().wake_by_ref();
        None
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_LEN_MAX;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}
