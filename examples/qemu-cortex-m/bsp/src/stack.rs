//! The high-water mark of the stack: cortex-m-rt's `paint-stack` fills it before `main`.

/// What `paint-stack` fills the stack with.
const PAINT: u32 = 0xCCCC_CCCC;

// SAFETY: both symbols are defined by cortex-m-rt's linker script. Only their addresses are used.
unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// How much of the stack was ever in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Bytes there are.
    pub size: usize,
    /// Bytes that were in use at the deepest point so far.
    pub used: usize,
}

/// Looks for the deepest word of the stack that is no longer as it was painted.
#[must_use]
pub fn usage() -> Use {
    let top = (&raw const _stack_start).addr();
    let bottom = (&raw const _stack_end).addr();
    let mut at = bottom;
    while at < top {
        // SAFETY: `at` is aligned and lies in the stack's memory, below the frames in use; nothing
        // there is a live object of Rust, and a volatile read of RAM has no effect.
        let word = unsafe { (at as *const u32).read_volatile() };
        if word != PAINT {
            break;
        }
        at += 4;
    }
    Use {
        size: top - bottom,
        used: top - at,
    }
}
