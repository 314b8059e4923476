//! Calls every public function of `jobs-proto` and `jobs-agent-core` with inputs that the compiler
//! cannot see through, so that the linked image holds all their code. `cargo xtask panics` then
//! looks for panic machinery in its symbols.
//!
//! Left out, each for a reason:
//! - `Debug` of any type: `core`'s own `Debug` for text slices with range checks;
//! - `Display` of errors and identifiers, for the same reason (`core::fmt` pads by counting);
//! - `async fn run` and `resume` of a route: the language itself puts a panic into every async
//!   function for an executor that polls it after its end.
#![no_std]
#![no_main]

mod core_api;
mod proto_api;

use core::hint::black_box;

/// Reached only through a panic. Its name in the image is the finding.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    a_panic_is_reachable()
}

#[inline(never)]
fn a_panic_is_reachable() -> ! {
    loop {
        black_box(());
    }
}

/// Where the linker starts to follow references.
#[allow(
    unsafe_code,
    reason = "the linker needs one name; nothing is done with it"
)]
#[unsafe(no_mangle)]
pub extern "C" fn entry() -> ! {
    let bytes: [u8; 64] = black_box([0; 64]);
    loop {
        let input: &[u8] = black_box(&bytes);
        let text: &str = black_box("text");
        proto_api::all(input, text);
        core_api::all(input, text);
        seeded(input);
    }
}

/// One panic of each kind that the two crates must not have.
fn seeded(input: &[u8]) {
    if cfg!(feature = "seed-index") {
        black_box(input[black_box(3)]);
    }
    if cfg!(feature = "seed-division") {
        black_box(black_box(7) / black_box(input.len()));
    }
    if cfg!(feature = "seed-core") {
        black_box(core::str::from_utf8(input).unwrap());
    }
}
