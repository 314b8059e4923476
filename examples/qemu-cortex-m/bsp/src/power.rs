//! Leaving the machine: a reset, the end of a test, and the power cut that a test has ordered.

use core::cell::Cell;

use critical_section::Mutex;

/// Status of QEMU after a power cut that was ordered with [`cut_after`].
pub const STATUS_CUT: i32 = 42;
/// Status after a panic.
pub const STATUS_PANIC: i32 = 101;
/// Status after a fault of the processor.
pub const STATUS_FAULT: i32 = 102;

/// Units of flash activity left until the power fails; `None`: it does not.
static LEFT: Mutex<Cell<Option<u32>>> = Mutex::new(Cell::new(None));

/// Ends QEMU with this status.
pub fn exit(status: i32) -> ! {
    semihosting::process::exit(status)
}

/// Resets the machine as a board does it: through AIRCR.SYSRESETREQ. Memory that is not
/// initialised at start keeps its bytes, devices do not.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

/// Lets the power fail after so many more units of flash activity (a byte written, a step of an
/// erasure), counted from this boot.
pub fn cut_after(units: u32) {
    critical_section::with(|cs| LEFT.borrow(cs).set(Some(units)));
}

/// Counts one unit; does not return if the power fails now, before the unit is done.
pub(crate) fn spend() {
    let failed = critical_section::with(|cs| {
        let left = LEFT.borrow(cs);
        match left.get() {
            None => false,
            Some(0) => true,
            Some(units) => {
                left.set(Some(units.saturating_sub(1)));
                false
            }
        }
    });
    if failed {
        exit(STATUS_CUT)
    }
}
