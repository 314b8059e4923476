//! The Linux agent as it ships, against the emulator, on this machine.
//!
//! `end-to-end measure [PYTHON]` prints all tables; with a Python that has `awsiotsdk`, AWS's SDK
//! does the same jobs in the same run. `end-to-end agents PORT COUNT STORE SHARED` is what it starts:
//! that many agents in one process. `end-to-end idle` prints the table of idle agents alone.

mod agents;
mod flow;
mod idle;
mod memory;
mod wire;
mod world;

use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["agents", port, count, store, shared] => agents::run(port, count, store, shared),
        ["idle"] => idle_agents(),
        ["measure"] => measure(None),
        ["measure", python] => measure(Some(python)),
        _ => Err("end-to-end measure [PYTHON] | idle | agents PORT COUNT memory|disk nothing|store|connection".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("end-to-end: {error}");
            ExitCode::FAILURE
        }
    }
}

fn idle_agents() -> Result<(), Failure> {
    tokio::runtime::Runtime::new()?.block_on(memory::table(None))
}

fn measure(python: Option<&str>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        wire::table().await?;
        flow::table(python).await?;
        memory::table(python).await
    })
}
