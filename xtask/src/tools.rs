//! What the tests need of the machine: brought in where that is possible, else named.

use crate::run::{captured, command, step};

/// Bare-metal targets that the core must build for: no atomics, and another instruction set.
pub(crate) const BARE_TARGETS: [&str; 3] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabi",
    "riscv32imac-unknown-none-elf",
];

/// Adds the bare-metal targets to the toolchain.
///
/// # Errors
/// What to install by hand.
pub(crate) fn targets() -> Result<(), String> {
    let mut add = vec!["target", "add"];
    add.extend(BARE_TARGETS);
    step("bare-metal targets", &mut command("rustup", &add))
        .map_err(|_| format!("missing: rustup target add {}", BARE_TARGETS.join(" ")))
}

/// Whether the toolchain of the stated MSRV is there, or could be brought in.
pub(crate) fn msrv_toolchain(version: &str) -> bool {
    let args = [
        "toolchain",
        "install",
        version,
        "--profile",
        "minimal",
        "--no-self-update",
    ];
    let mut install = command("rustup", &args);
    captured(&mut install).is_ok_and(|output| output.status.success())
}

/// The MSRV that the workspace states.
///
/// # Errors
/// If the manifest does not state one.
pub(crate) fn stated_msrv() -> Result<String, String> {
    let manifest = std::fs::read_to_string(crate::run::root().join("Cargo.toml"))
        .map_err(|error| format!("Cargo.toml: {error}"))?;
    let line = manifest
        .lines()
        .find(|line| line.starts_with("rust-version"));
    line.and_then(|line| line.split('"').nth(1))
        .map(str::to_string)
        .ok_or_else(|| "Cargo.toml states no rust-version".into())
}
