#![forbid(unsafe_code)]
//! The program `jobs-agent`.

mod commands;

use std::{path::Path, process::ExitCode};

use clap::Parser;
use jobs_agent::supervise;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if supervise::is_supervisor(arguments.next().as_deref()) {
        // Before everything else: a supervisor needs no configuration and no log.
        return match arguments.next() {
            Some(folder) => supervise::supervisor_main(Path::new(&folder)),
            None => ExitCode::FAILURE,
        };
    }
    commands::Cli::parse().execute()
}
