#![forbid(unsafe_code)]
//! The main job, end to end, on a Linux gateway.
//!
//! `gateway` or `gateway demo` starts a local service and shows an agent process do jobs against
//! it, dying and rebooting on the way; `gateway agent` is that agent, for a real endpoint too.

mod agent;
mod demo;
mod platform;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// AWS IoT Jobs on a Linux gateway: a demonstration, and the agent it demonstrates.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell the whole story against a local service (the default).
    Demo(demo::DemoArgs),
    /// Be the agent of one thing.
    Agent(Box<agent::AgentArgs>),
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("gateway: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match Cli::parse()
        .command
        .unwrap_or_else(|| Command::Demo(demo::DemoArgs::default()))
    {
        Command::Demo(args) => match runtime.block_on(demo::run(args)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("gateway: {error}");
                ExitCode::FAILURE
            }
        },
        Command::Agent(args) => runtime.block_on(agent::run(*args)),
    }
}
