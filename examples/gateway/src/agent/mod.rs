//! The agent process: handlers on Linux, under the agent of `agent-std`.

mod args;
mod leave;

use std::{io, process::ExitCode};

use agent_std::{Agent, AgentError, JobHandler, NoRoute, SystemReboot, Unclaimed, boot::BootId};
use handlers::{Diagnostics, FirmwareSlots, FirmwareUpdate, Reboot, WriteFile, operation};

pub(crate) use self::args::AgentArgs;
pub(crate) use self::leave::REBOOT_EXIT_CODE;
use self::leave::{ExitForReboot, shutdown};
use crate::platform::{
    fetch::HttpFetch,
    probe::ResidentMemory,
    sandbox::Sandbox,
    self_test::GatewayTest,
    slots::FileSlots,
    system::{Linux, say},
};

/// Most bytes of a file that a job writes: a whole job document, as the service bounds it.
const CONTENT_LEN_MAX: usize = 32 * 1_024;

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("the job folder cannot be used: {0}")]
    Sandbox(#[source] io::Error),
    #[error("the firmware slots cannot be used: {0}")]
    Slots(#[source] io::Error),
    #[error(transparent)]
    Boot(#[from] agent_std::boot::BootError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("--reboot-command is empty: name a program")]
    RebootCommand,
}

/// Runs the agent until it is asked to stop.
pub(crate) async fn run(args: AgentArgs) -> ExitCode {
    start_log(&args);
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start_log(args: &AgentArgs) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false);
    if args.stop_with_stdin {
        // Whoever listens has a clock.
        log.without_time().init();
    } else {
        log.init();
    }
}

async fn serve(args: AgentArgs) -> Result<(), StartError> {
    let sandbox = Sandbox::open(&args.sandbox).map_err(StartError::Sandbox)?;
    let boot = BootId::present(args.boot_id.as_deref())?;
    let boot_name: String = boot
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let firmware = args.state.join("firmware");
    let slots = FileSlots::open(&firmware, &boot_name, &args.factory_version);
    let slots = slots.map_err(StartError::Slots)?;
    let version = (&slots)
        .running_version()
        .await
        .map_err(StartError::Slots)?;
    say(format_args!(
        "agent of {} runs firmware {version}",
        args.thing
    ));

    let check = GatewayTest {
        slots: &slots,
        sandbox: &sandbox,
        unfit: args.unfit_version.clone(),
    };
    let handlers = NoRoute
        .on(
            operation::WRITE_FILE,
            WriteFile::<_, CONTENT_LEN_MAX>::new(sandbox.clone()),
        )
        .on(
            operation::DIAGNOSTICS,
            Diagnostics::new(ResidentMemory, Linux),
        )
        .on(operation::REBOOT, Reboot)
        .on(
            operation::FIRMWARE_UPDATE,
            FirmwareUpdate::new(&slots, HttpFetch, check, Linux),
        );

    let (progress_interval_ms, leave_unknown) = (args.progress_interval_ms, args.leave_unknown);
    let agent = Agent::new(args.thing.as_str(), args.endpoint())
        .state_dir(args.state.join("jobs"))
        .boot(boot)
        .configure(move |config| {
            if let Some(interval_ms) = progress_interval_ms {
                config.progress_interval_ms = interval_ms;
            }
            if leave_unknown {
                config.unclaimed = Unclaimed::Leave;
            }
        });
    let agent = match &args.reboot_command {
        None => agent.reboot_with(ExitForReboot),
        Some(command) => {
            let mut words = command.split_whitespace();
            let program = words.next().ok_or(StartError::RebootCommand)?;
            agent.reboot_with(SystemReboot::command(program, words))
        }
    };
    // How many slots there are is part of the agent's type.
    match args.jobs {
        1 => until_shutdown::<_, 1>(agent.handlers(handlers), &args).await,
        2 => until_shutdown::<_, 2>(agent.jobs::<2>().handlers(handlers), &args).await,
        3 => until_shutdown::<_, 3>(agent.jobs::<3>().handlers(handlers), &args).await,
        // The parser takes 1 to 4.
        _ => until_shutdown::<_, 4>(agent.jobs::<4>().handlers(handlers), &args).await,
    }
}

async fn until_shutdown<H: JobHandler, const JOBS: usize>(
    agent: Agent<H, JOBS>,
    args: &AgentArgs,
) -> Result<(), StartError> {
    Ok(agent.run_until(shutdown(args.stop_with_stdin)).await?)
}
