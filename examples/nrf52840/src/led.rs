//! LED1 of the development kit.

use core::cell::RefCell;

use board_parts::Lamp;
use embassy_nrf::{
    Peri,
    gpio::{Level, Output, OutputDrive},
    peripherals::P0_13,
};

/// LED1, which is on while its pin is low.
pub(crate) struct Led(RefCell<Output<'static>>);

impl Led {
    /// Dark.
    pub(crate) fn new(pin: Peri<'static, P0_13>) -> Self {
        Self(RefCell::new(Output::new(
            pin,
            Level::High,
            OutputDrive::Standard,
        )))
    }
}

impl Lamp for Led {
    async fn set(&self, on: bool) {
        let level = if on { Level::Low } else { Level::High };
        self.0.borrow_mut().set_level(level);
    }
}
