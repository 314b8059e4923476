//! `cargo xtask bench --end-to-end`: the real agent against the emulator on this machine, and
//! AWS's SDK for Python at the same jobs. Times depend on the machine: they are printed, not gated.

use crate::{
    interop,
    run::{cargo, command, root, step},
};

/// Builds the program and lets it measure; without PyPI it measures ours alone.
///
/// # Errors
/// What failed.
pub(super) fn all() -> Result<(), String> {
    let mut build = cargo(&["build", "--locked", "--release"]);
    build
        .current_dir(root().join("benches/end-to-end"))
        .env("CARGO_TARGET_DIR", super::folder());
    step("build benches/end-to-end", &mut build)?;
    let mut measure = command(super::folder().join("release/end-to-end"), &["measure"]);
    // Warnings of the agents, for example of a broker that refuses connections, are no result.
    measure.env("RUST_LOG", "off");
    match interop::python() {
        Ok(python) => {
            measure.arg(python);
        }
        Err(missing) => println!("\n== without AWS's SDK: {missing}"),
    }
    step("agent against emulator", &mut measure)
}
