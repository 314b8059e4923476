//! The two user LEDs, in the FPGA's I/O block.

use crate::register::Block;

/// Offset of the LED register.
const LEDS: usize = 0x00;

/// One of the LEDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Led {
    /// USERLED0
    First = 1,
    /// USERLED1
    Second = 2,
}

impl Led {
    /// Switches the LED.
    pub fn set(self, on: bool) {
        let leds = Block::FPGA_IO.read(LEDS);
        let own = self as u32;
        Block::FPGA_IO.write(LEDS, if on { leds | own } else { leds & !own });
    }

    /// Whether the LED is on.
    #[must_use]
    pub fn is_on(self) -> bool {
        Block::FPGA_IO.read(LEDS) & self as u32 != 0
    }
}
