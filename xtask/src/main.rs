//! Commands of this repository: `cargo xtask test`, `cargo xtask mutants`, `cargo xtask interop`,
//! `cargo xtask size`.
#![forbid(unsafe_code)]

mod interop;
mod mutants;
mod run;
mod size;
mod test;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test      everything that must hold: format, lints, tests, bare-metal builds, MSRV,
                      mutants of the promises, documentation (what CI runs)
cargo xtask mutants   break each promise in a copy of the core; the named test must fail
cargo xtask interop   AWS's own clients (awsiotsdk, boto3, AWS CLI) against the emulator;
                      installs them from PyPI into a virtual environment under target/
cargo xtask size      bytes of flash of each part for Cortex-M and RISC-V, compared with
                      benches/size/table.json; with --change, makes them the new table
";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let result = match command.as_deref() {
        Some("test") => test::all(),
        Some("mutants") => mutants::all(),
        Some("interop") => interop::all(),
        Some("size") => size::all(std::env::args().any(|argument| argument == "--change")),
        Some("help" | "--help" | "-h") | None => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(unknown) => Err(format!("unknown command {unknown:?}\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("\nxtask: {text}");
            ExitCode::FAILURE
        }
    }
}
