#![no_std]
//! QEMU's `mps2-an385` (Cortex-M3) and `mps2-an386` (Cortex-M4) as a board.
//!
//! | module | what |
//! |---|---|
//! | [`time`] | `embassy-time` driver on the two CMSDK timers |
//! | [`lan9118`] | Ethernet for `embassy-net` |
//! | [`flash`] | NOR flash in the PSRAM, which QEMU keeps in a file of the host |
//! | [`power`] | reset, power cut after so much flash activity, exit |
//! | [`console`] | lines to the host |
//! | [`led`] | the two user LEDs |
//! | [`stack`] | the high-water mark of the stack |
//! | [`args`] | words from QEMU's command line |
//!
//! Source of addresses and interrupt numbers: ARM application notes AN385 and AN386, and the CMSDK
//! technical reference manual.

pub mod args;
pub mod console;
pub mod flash;
pub mod lan9118;
pub mod led;
pub mod power;
mod register;
pub mod stack;
pub mod time;
mod vectors;

pub use cortex_m_rt::entry;

/// Brings up the core and its timers. Call it once, before anything else of this crate.
pub fn init() {
    #[cfg(armv6m)]
    trap_unaligned();
    time::start();
}

/// Code for ARMv6-M runs here on a Cortex-M3, which would forgive an unaligned access that is a
/// fault on a Cortex-M0+: make it one here too.
#[cfg(armv6m)]
fn trap_unaligned() {
    const UNALIGN_TRP: u32 = 1 << 3;
    let control = register::Block::SYSTEM_CONTROL;
    let value = control.read(register::CCR);
    control.write(register::CCR, value | UNALIGN_TRP);
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("PANIC {info}");
    power::exit(power::STATUS_PANIC)
}

// SAFETY: (of the attribute's demand) this handler only prints and leaves the machine; it returns
// to nothing and shares no state with the code that faulted.
#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    say!("HARDFAULT pc={:#x} lr={:#x}", frame.pc(), frame.lr());
    power::exit(power::STATUS_FAULT)
}
