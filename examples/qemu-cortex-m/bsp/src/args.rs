//! Words from QEMU's command line: `-semihosting-config …,arg=fw,arg=thing=pump-7,arg=cut=137`.
//!
//! They take the place of what a board would be given at the end of its production line.

use heapless::String;

/// Most bytes of the whole command line.
const LINE_LEN_MAX: usize = 256;

/// Most bytes of a value; longer ones are not found.
pub const VALUE_LEN_MAX: usize = 64;

/// The value of the argument `name=value`, if it is there.
#[must_use]
pub fn text(name: &str) -> Option<String<VALUE_LEN_MAX>> {
    let line = semihosting::experimental::env::args::<LINE_LEN_MAX>().ok()?;
    for word in &line {
        let value = word
            .ok()
            .and_then(|word| word.strip_prefix(name)?.strip_prefix('='));
        if let Some(value) = value {
            return String::try_from(value).ok();
        }
    }
    None
}

/// The value of the argument `name=value` as a number, if it is one.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    text(name)?.parse().ok()
}
