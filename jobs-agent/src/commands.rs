//! The command line.

mod explain;
#[cfg(feature = "generate")]
mod generate;
mod run;
mod sign;
mod status;
mod validate;

use std::{
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use jobs_agent::{
    config::{Config, ConfigFault, DEFAULT_PATH},
    doctor,
};

/// An AWS IoT Jobs agent for Linux that runs AWS IoT Device Client job documents.
#[derive(Debug, Parser)]
#[command(name = "jobs-agent", version)]
pub(crate) struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_PATH,
        env = "JOBS_AGENT_CONFIG")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the agent of the configured thing, until SIGTERM or SIGINT.
    Run,
    /// Check files, clock, connection and each permission, and print the least IoT policy.
    Doctor {
        /// Look at files only; connect nowhere.
        #[arg(long)]
        offline: bool,
        /// Connect under this client id, for example while the agent itself is connected. The IoT
        /// policy must allow it.
        #[arg(long, value_name = "ID")]
        client_id: Option<String>,
    },
    /// Say whether the agent runs, is connected, and which jobs are on their way.
    Status,
    /// Say what happened to jobs lately, and why.
    Explain {
        /// Only this job.
        job: Option<String>,
        /// As lines of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a job document would do on this device, or why it would be rejected.
    ValidateDocument {
        /// The document; `-` for standard input.
        file: PathBuf,
    },
    /// Sign a job document, for devices with `signed_documents.keys`. Prints the document for the
    /// service. For a workstation: the key is that of whoever may create jobs.
    SignDocument {
        /// The private key: P-256 or Ed25519, PKCS #8, PEM.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// A thing that may do it, once for each; without, every one.
        #[arg(long = "thing", value_name = "NAME")]
        things: Vec<String>,
        /// The job as which it may be done; without, any.
        #[arg(long, value_name = "ID")]
        job_id: Option<String>,
        /// How long it may be begun from now, such as 7d; without, for ever.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        valid_for: Option<std::time::Duration>,
        /// Where the file of an update is, if the document has no `url`. It is not signed, so that
        /// the service can fill in a presigned URL; the document must have the file's `sha256`.
        #[arg(long)]
        url: Option<String>,
        /// The document; `-` for standard input.
        file: PathBuf,
    },
    #[cfg(feature = "generate")]
    /// Write the manual pages and the completions of the shells into a folder.
    #[command(hide = true)]
    Generate {
        /// The folder.
        dir: PathBuf,
    },
}

impl Cli {
    pub(crate) fn execute(self) -> ExitCode {
        // These two need no configuration.
        match &self.command {
            #[cfg(feature = "generate")]
            Command::Generate { dir } => return done(generate::write(dir)),
            Command::SignDocument {
                key,
                things,
                job_id,
                valid_for,
                url,
                file,
            } => {
                let job_id = job_id.as_deref();
                return sign::document(key, things, job_id, *valid_for, url.as_deref(), file);
            }
            _ => {}
        }
        let variable = |name: &str| std::env::var(name).ok();
        let config = Config::read(&self.config, variable);
        match self.command {
            Command::ValidateDocument { file } => validate::document(&file, config),
            Command::Doctor { offline, client_id } => {
                examine(&self.config, config, offline, client_id.as_deref())
            }
            Command::Run => with(config, run::agent),
            Command::Status => with(config, |config| done(status::show(&config))),
            Command::Explain { job, json } => with(config, |config| {
                done(explain::show(&config, job.as_deref(), json))
            }),
            // Handled above.
            #[cfg(feature = "generate")]
            Command::Generate { .. } => ExitCode::SUCCESS,
            Command::SignDocument { .. } => ExitCode::SUCCESS,
        }
    }
}

fn examine(
    path: &std::path::Path,
    config: Result<Config, ConfigFault>,
    offline: bool,
    client_id: Option<&str>,
) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let report = runtime.block_on(doctor::examine(path, config, offline, client_id));
            say(&report);
            if report.is_well() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => complain(&error),
    }
}

fn with(config: Result<Config, ConfigFault>, then: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match config {
        Ok(config) => then(config),
        Err(fault) => complain(&fault),
    }
}

fn done(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever listened has heard enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

fn complain(fault: &dyn Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "jobs-agent: {fault}");
    ExitCode::FAILURE
}

/// Text on standard output; a reader that went away is no fault.
fn say(text: &dyn Display) {
    let _ = write!(io::stdout().lock(), "{text}");
}
