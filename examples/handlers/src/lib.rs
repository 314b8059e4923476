#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        clippy::cast_possible_truncation
    )
)]
// Without allocation, an error that a person can read carries its text in itself.
#![allow(clippy::result_large_err, clippy::large_enum_variant)]
//! Job handlers that run unchanged on a Linux gateway and on a board.
//!
//! | operation | handler | what the platform lends |
//! |---|---|---|
//! | `write_file` | [`WriteFile`] | [`Files`] |
//! | `firmwareUpdate` | [`FirmwareUpdate`] | [`FirmwareSlots`], [`Fetch`], [`SelfTest`], [`System`] |
//! | `diagnostics` | [`Diagnostics`] | [`Probe`], [`System`] |
//! | `reboot` | [`Reboot`] | nothing: the agent resets the device |
//!
//! Nothing here allocates, and nothing is trusted: a document is checked in `plan`, before
//! anything is touched, and refused with a reason that a person can act on.
//!
//! ```
//! use handlers::{Files, Reboot, RelativePath, WriteFile, operation};
//! use jobs_agent_core::NoRoute;
//!
//! struct Disk;
//! impl Files for Disk {
//!     type Error = core::convert::Infallible;
//!     async fn replace(&self, path: &RelativePath, content: &[u8]) -> Result<(), Self::Error> {
//!         println!("{path}: {} bytes", content.len());
//!         Ok(())
//!     }
//! }
//!
//! let handlers = NoRoute
//!     .on(operation::WRITE_FILE, WriteFile::<_>::new(Disk))
//!     .on(operation::REBOOT, Reboot);
//! # let _ = handlers;
//! ```

#[cfg(test)]
extern crate std;

mod diagnostics;
mod field;
mod firmware;
mod line;
mod path;
mod race;
mod reboot;
mod system;
mod write_file;

pub use diagnostics::{Diagnostics, DiagnosticsPlan, Probe, SECONDS_MAX};
pub use firmware::{
    BLOCK_LEN, CHECKPOINT_INTERVAL, ETAG_LEN_MAX, ETag, Fetch, FetchError, FetchReader,
    FirmwarePlan, FirmwareSlots, FirmwareUpdate, Opened, RETRIES_MAX, SelfTest,
    TIMEOUT_SECONDS_MAX, URL_LEN_MAX, VERSION_LEN_MAX, Version,
};
pub use line::{LINE_LEN_MAX, Line, line};
pub use path::{PATH_LEN_MAX, PathFault, RelativePath};
pub use reboot::Reboot;
pub use system::System;
pub use write_file::{CONTENT_LEN_MAX, Files, WriteFile, WritePlan};

/// The names under which the handlers are routed.
pub mod operation {
    /// [`WriteFile`](crate::WriteFile)
    pub const WRITE_FILE: &str = "write_file";
    /// [`FirmwareUpdate`](crate::FirmwareUpdate)
    pub const FIRMWARE_UPDATE: &str = "firmwareUpdate";
    /// [`Diagnostics`](crate::Diagnostics)
    pub const DIAGNOSTICS: &str = "diagnostics";
    /// [`Reboot`](crate::Reboot)
    pub const REBOOT: &str = "reboot";
}
