//! Leaving the machine: a reset, the end of a test, and the power cut that a test has ordered.

use core::sync::atomic::{AtomicU32, Ordering};

/// Status of QEMU after a power cut that was ordered with [`cut_after`].
pub const STATUS_CUT: i32 = 42;
/// Status after a panic.
pub const STATUS_PANIC: i32 = 101;
/// Status after a fault of the processor.
pub const STATUS_FAULT: i32 = 102;

/// Says that [`LEFT`] holds a number: QEMU starts with memory full of zeros.
const ARMED: u32 = 0xC07_C07;

// A reset must not give the power a new life: both words lie in memory that no start touches.
// SAFETY: `.uninit` is a section of cortex-m-rt for exactly this; any bit pattern is a valid
// AtomicU32, and an order counts only beside the number that says so.
#[unsafe(link_section = ".uninit.POWER_ARMED")]
static IS_ARMED: AtomicU32 = AtomicU32::new(0);

/// Units of flash activity until the power fails.
// SAFETY: as above.
#[unsafe(link_section = ".uninit.POWER_LEFT")]
static LEFT: AtomicU32 = AtomicU32::new(0);

/// Units of flash activity so far.
// SAFETY: as above.
#[unsafe(link_section = ".uninit.POWER_SPENT")]
static SPENT: AtomicU32 = AtomicU32::new(0);

/// Ends QEMU with this status.
pub fn exit(status: i32) -> ! {
    semihosting::process::exit(status)
}

/// Resets the machine as a board does it: through AIRCR.SYSRESETREQ. Memory that is not
/// initialised at start keeps its bytes, devices do not.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

/// Lets the power fail after so many more units of flash activity: a byte written, or a step of an
/// erasure. Counted from the first boot; a later call, after a reset, changes nothing.
pub fn cut_after(units: u32) {
    if IS_ARMED.load(Ordering::Relaxed) != ARMED {
        LEFT.store(units, Ordering::Relaxed);
        SPENT.store(0, Ordering::Relaxed);
        IS_ARMED.store(ARMED, Ordering::Relaxed);
    }
}

/// Counts one unit; does not return if the power fails now, before the unit is done.
pub(crate) fn spend() {
    if IS_ARMED.load(Ordering::Relaxed) != ARMED {
        return;
    }
    // Only the owner of the flash comes here: nothing runs between load and store.
    match LEFT.load(Ordering::Relaxed) {
        0 => exit(STATUS_CUT),
        left => LEFT.store(left - 1, Ordering::Relaxed),
    }
    SPENT.store(SPENT.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Says how many units are spent, if a cut is ordered: where operations end, for the test that
/// chooses the next cut.
pub(crate) fn tell() {
    if IS_ARMED.load(Ordering::Relaxed) == ARMED {
        crate::say!("FLASH {}", SPENT.load(Ordering::Relaxed));
    }
}
