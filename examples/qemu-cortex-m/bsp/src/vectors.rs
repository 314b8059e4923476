//! The interrupts of AN385/AN386 that are in use, and their place in the vector table.

use crate::{lan9118, power, say, time};

/// Interrupt numbers.
#[derive(Clone, Copy)]
pub(crate) enum Interrupt {
    Timer0 = 8,
    Timer1 = 9,
    Ethernet = 13,
}

/// How many vectors the table has.
const COUNT: usize = 32;

// SAFETY: the numbers are those of the application notes, and within the table below.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

/// Lets an interrupt through.
pub(crate) fn enable(interrupt: Interrupt) {
    // SAFETY: unmasking can break a critical section made of masked interrupts; critical sections
    // here disable all interrupts instead (`critical-section-single-core`).
    unsafe { cortex_m::peripheral::NVIC::unmask(interrupt) }
}

extern "C" fn unexpected() {
    say!("PANIC unexpected interrupt");
    power::exit(power::STATUS_FAULT)
}

extern "C" fn timer0() {
    time::on_wrap();
}

extern "C" fn timer1() {
    time::on_alarm();
}

extern "C" fn ethernet() {
    lan9118::on_interrupt();
}

// SAFETY: cortex-m-rt places this section right after the vectors of the core and names the symbol
// `__INTERRUPTS`; the type is what the hardware wants there, addresses of handlers.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [extern "C" fn(); COUNT] = {
    let mut table: [extern "C" fn(); COUNT] = [unexpected; COUNT];
    table[Interrupt::Timer0 as usize] = timer0;
    table[Interrupt::Timer1 as usize] = timer1;
    table[Interrupt::Ethernet as usize] = ethernet;
    table
};
