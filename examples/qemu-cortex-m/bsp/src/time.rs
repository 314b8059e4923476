//! `embassy-time` driver on two CMSDK timers at 25 MHz: TIMER0 runs freely and is the clock, TIMER1
//! is the alarm.

use core::{
    cell::{Cell, RefCell},
    task::Waker,
};

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::{
    register::Block,
    vectors::{self, Interrupt},
};

const CTRL: usize = 0x00;
const VALUE: usize = 0x04;
const RELOAD: usize = 0x08;
const INT_STATUS: usize = 0x0C;

const ENABLE: u32 = 1 << 0;
const INT_ENABLE: u32 = 1 << 3;
const PENDING: u32 = 1;

/// Timer counts in a tick of `embassy-time`: 25 MHz in 1 MHz.
const COUNTS_PER_TICK: u64 = 25;

/// Longest sleep in ticks (µs). QEMU looks at its sockets only when its main loop wakes, which a
/// timer of the guest makes it do: without this, a TCP connect takes a second. A board would sleep
/// as long as it can.
const SLEEP_MAX: u64 = 5_000;

/// Shortest alarm in counts: time enough to leave the critical section that sets it.
const ALARM_MIN: u64 = 50;

struct Clock {
    /// How often TIMER0 has come round (every 171 s).
    wraps: Mutex<Cell<u32>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    wraps: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Starts the clock.
pub(crate) fn start() {
    let clock = Block::TIMER0;
    clock.write(RELOAD, u32::MAX);
    clock.write(VALUE, u32::MAX);
    clock.write(CTRL, ENABLE | INT_ENABLE);
    vectors::enable(Interrupt::Timer0);
    vectors::enable(Interrupt::Timer1);
}

pub(crate) fn on_wrap() {
    critical_section::with(|cs| {
        if Block::TIMER0.read(INT_STATUS) & PENDING != 0 {
            Block::TIMER0.write(INT_STATUS, PENDING);
            let wraps = CLOCK.wraps.borrow(cs);
            wraps.set(wraps.get().wrapping_add(1));
        }
    });
}

pub(crate) fn on_alarm() {
    critical_section::with(|cs| {
        Block::TIMER1.write(CTRL, 0);
        Block::TIMER1.write(INT_STATUS, PENDING);
        CLOCK.arm(cs);
    });
}

impl Clock {
    fn ticks(&self, cs: CriticalSection<'_>) -> u64 {
        let mut wraps = self.wraps.borrow(cs).get();
        let mut value = Block::TIMER0.read(VALUE);
        if Block::TIMER0.read(INT_STATUS) & PENDING != 0 {
            // It has come round and its interrupt waits for this section to end. The value may
            // have been read before or after: read it again, it is surely after.
            wraps = wraps.wrapping_add(1);
            value = Block::TIMER0.read(VALUE);
        }
        let counts = (u64::from(wraps) << 32) | u64::from(u32::MAX - value);
        counts / COUNTS_PER_TICK
    }

    /// Wakes what is due and sets the alarm for what comes next.
    fn arm(&self, cs: CriticalSection<'_>) {
        let mut queue = self.queue.borrow(cs).borrow_mut();
        let now = self.ticks(cs);
        let next = queue.next_expiration(now);
        // What became due just now gets the shortest alarm.
        let sleep = next.saturating_sub(now).min(SLEEP_MAX);
        let counts = (sleep * COUNTS_PER_TICK).max(ALARM_MIN);
        // At most SLEEP_MAX ticks: it fits.
        let counts = u32::try_from(counts).unwrap_or(u32::MAX);
        let alarm = Block::TIMER1;
        alarm.write(CTRL, 0);
        alarm.write(RELOAD, counts);
        alarm.write(VALUE, counts);
        alarm.write(CTRL, ENABLE | INT_ENABLE);
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.ticks(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let is_next = self.queue.borrow(cs).borrow_mut().schedule_wake(at, waker);
            if is_next {
                self.arm(cs);
            }
        });
    }
}
