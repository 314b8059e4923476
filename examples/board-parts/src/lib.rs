#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]
// Boards have no Send: futures here stay on the executor that polls them.
#![allow(async_fn_in_trait)]
// A refusal carries its reason by value: there is no allocator to box it.
#![allow(clippy::result_large_err)]
//! Job handlers that the board examples share, beside those of `examples/handlers`.
//!
//! | operation | here | what the board lends |
//! |---|---|---|
//! | `set` | [`SetLamp`] | a [`Lamp`] |
//! | `write_file` (`handlers::WriteFile`) | [`Settings`] is its folder | a partition of NOR flash |

#[cfg(test)]
extern crate std;

mod lamp;
mod settings;

pub use lamp::{Lamp, SetLamp};
pub use settings::{SETTINGS_FILE, SETTINGS_LEN_MAX, Settings, SettingsError};
