//! Commands of this repository; `cargo xtask help` lists them.
#![forbid(unsafe_code)]

mod bench;
mod boards;
mod chaos;
mod deb;
mod elf;
mod fuzz;
mod interop;
mod mutants;
mod packages;
mod panics;
mod qemu;
mod rig;
mod run;
mod sim;
mod size;
mod test;
mod tools;
mod verify;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test      everything that must hold (what CI runs): format, lints, bare-metal builds,
                      the table of `verify`, all other tests, documentation, MSRV
cargo xtask mutants   break each promise in a copy of the core; the named test must fail;
                      --all: every mutant of protocol and core, by cargo-mutants (hours);
                      [--file FILE] and other arguments go to it
cargo xtask verify    the evidence behind the promises, as one table (docs/verification.md)
cargo xtask fuzz      libFuzzer over every target: [--minutes N] [TARGET …]; wants nightly
cargo xtask panics    an image with every public function of protocol and core holds no panic
cargo xtask interop   AWS's own clients (awsiotsdk, boto3, AWS CLI) against the emulator;
                      installs them from PyPI into a virtual environment under target/
cargo xtask chaos [--long] [--seed N] | --memory
                      kills the program jobs-agent 20 (200) times during a mixed set of jobs, and
                      fails its network in nine ways, against the emulator and mosquitto: nothing
                      lost, nothing doubled; --memory: the idle program as it ships
cargo xtask deb       the Debian package of jobs-agent (by `cargo deb`), installed into an empty
                      folder, its unit read by systemd, and purged
cargo xtask sim [--seeds N] [--from S] | --trace SEED
                      random stories against the core, every promise checked; a failed seed
                      can be read as a trace, and belongs into sim_regressions.txt
cargo xtask qemu      real firmware on emulated boards, cut, killed and disconnected; brings in
                      qemu-system-arm and mosquitto; [--long] for every cut and many kills,
                      [--size] renews the size table of examples/qemu-cortex-m/README.md
cargo xtask size      bytes of flash of each part for Cortex-M and RISC-V, compared with
                      benches/size/table.json; with --change, makes them the new table
cargo xtask bench     instructions of protocol and core beside other crates, compared with
                      benches/budget.json; with --change, makes them the new budget;
                      --wall: times, for people; --end-to-end: agent against emulator
cargo xtask boards    the firmware examples build, and fit their boards
";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let result = match command.as_deref() {
        Some("test") => test::all(),
        Some("mutants")
            if std::env::args()
                .nth(2)
                .is_some_and(|second| second == "--all") =>
        {
            mutants::every(&std::env::args().skip(3).collect::<Vec<_>>())
        }
        Some("mutants") => mutants::all().map(|_| ()),
        Some("chaos") => chaos::all(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("deb") => deb::all(),
        Some("interop") => interop::all(),
        Some("sim") => sim::all(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("fuzz") => fuzz::all(std::env::args().skip(2)),
        Some("qemu") => qemu::all(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("verify") => verify::all(),
        Some("panics") => panics::all().map(|_| ()),
        Some("size") => size::all(std::env::args().any(|argument| argument == "--change")),
        Some("boards") => boards::all(),
        Some("bench") => bench::all(&std::env::args().skip(2).collect::<Vec<_>>()),
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
