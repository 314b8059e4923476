//! LED1 of the development kit.

use core::cell::RefCell;

use board_parts::Lamp;
use embassy_nrf::{
    Peri,
    gpio::{Level, Output, OutputDrive},
    peripherals::P0_02,
};

/// LED1, which is on while its pin is high.
pub(crate) struct Led(RefCell<Output<'static>>);

impl Led {
    /// Dark.
    pub(crate) fn new(pin: Peri<'static, P0_02>) -> Self {
        Self(RefCell::new(Output::new(
            pin,
            Level::Low,
            OutputDrive::Standard,
        )))
    }
}

impl Lamp for Led {
    async fn set(&self, on: bool) {
        let level = if on { Level::High } else { Level::Low };
        self.0.borrow_mut().set_level(level);
    }
}
