//! What happens when nothing can go on.

use core::panic::PanicInfo;

/// Stands still with interrupts off, so that the watchdog resets the board. The agent takes up
/// its jobs in the next boot and counts the attempt.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    loop {
        cortex_m::asm::nop();
    }
}
