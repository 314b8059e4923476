//! Runs every case once inside [`measured`], which is what callgrind collects, and prints the
//! cases' names in the same order. `cargo xtask bench` reads both.
#![allow(
    unsafe_code,
    reason = "callgrind finds a function by its unmangled name"
)]

use speed::cases;

/// The only function whose instructions are collected; a dump is written each time it returns.
#[unsafe(no_mangle)]
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

fn main() {
    let cases = cases::all();
    for case in &cases {
        // Once to warm up: some libraries look at the processor when they are first called.
        case.prepare()();
        let mut work = case.prepare();
        measured(&mut *work);
        println!("{}", case.name);
    }
}
