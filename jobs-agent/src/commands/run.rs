//! `run`: the agent.

mod rotation;
mod state;
mod systemd;

use std::{
    cell::Cell,
    fs::{self, TryLockError},
    io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    pin::{Pin, pin},
    process::ExitCode,
    sync::Arc,
};

use agent_std::{Agent, AgentError, Happening, SystemReboot, store::StoreError};
use jobs_agent::{
    config::Config,
    handlers::Handlers,
    journal::{Journal, What},
    logging,
    metrics::{self, Exporter},
    push,
    step::Steps,
    supervise::THIS_PROGRAM,
    update::{self, KeyFault},
};
use jobs_agent_core::{OperationTag, Record, RecordKind};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::AbortHandle,
};

use super::complain;
use rotation::Rotation;

/// How much longer than a step's own time to stop the agent waits for its handler, milliseconds:
/// the supervisor still has to drain, sweep and write.
const STOP_MARGIN_MS: u64 = 7_000;

/// How long a command of an update, or a check, may take to end after SIGTERM, seconds.
const HOOK_GRACE_S: u64 = 5;

/// Commands of an update, one after the other: install, self-test, roll back.
const UPDATE_COMMANDS: u64 = 3;

pub(super) fn agent(config: Config) -> ExitCode {
    logging::start(&config.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => return complain(&error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{path}: {source}; make the folder available to this user")]
    State { path: String, source: io::Error },
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Key(#[from] KeyFault),
    #[error("metrics.listen {address}: {source}")]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
}

async fn serve(config: Config) -> Result<(), RunError> {
    let unusable = |source| RunError::State {
        path: config.state_dir.display().to_string(),
        source,
    };
    let folders = config.step_folders();
    for folder in [&folders, &config.records()] {
        let mut make = fs::DirBuilder::new();
        make.recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(unusable)?;
    }
    // Before anything is looked at or tidied up: it may be another agent's.
    let _lock = state::lock(&config).await.map_err(|error| match error {
        TryLockError::WouldBlock => AgentError::from(StoreError::InUse {
            dir: config.records(),
        })
        .into(),
        TryLockError::Error(source) => unusable(source),
    })?;
    state::tidy(&folders, &ids(&records(&config)?));
    let (journal, writing) =
        Journal::open(&config.journal(), config.journal_entries).map_err(unusable)?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    journal.note(What::AgentStarted { version });
    let steps = Steps {
        program: THIS_PROGRAM.into(),
    };
    let exporter = Arc::new(Exporter::new());
    let exporting = export(&config, &exporter).await?;
    let rotation = Rotation::of(&config);
    let handlers = Handlers::new(&config, &steps, journal.clone(), rotation.again())?;
    // Ready means: it will do jobs as soon as there is a network. Boots must not wait for one.
    systemd::notify(&[NotifyState::Ready]);
    let ended = tokio::select! {
        ended = lives(&config, &handlers, &journal, &exporter, rotation) => ended,
        () = systemd::watchdog() => Ok(()),
    };
    systemd::notify(&[NotifyState::Stopping]);
    if let Some(exporting) = exporting {
        exporting.abort();
    }
    drop(handlers);
    journal.note(What::AgentEnded);
    drop(journal);
    writing.finish();
    ended
}

/// The records of jobs on their way.
fn records(config: &Config) -> Result<Vec<Record>, RunError> {
    super::status::records(&config.records()).map_err(|source| RunError::State {
        path: config.records().display().to_string(),
        source,
    })
}

/// Their jobs.
fn ids(records: &[Record]) -> Vec<String> {
    let ids = records.iter().map(|record| record.job_id.to_string());
    ids.collect()
}

/// Those of them that take turns, were cut off behind a checkpoint, and so go before jobs that have
/// not begun.
fn returning(records: &[Record]) -> impl Iterator<Item = String> {
    let turns = [push::OPERATION, update::OPERATION].map(OperationTag::of);
    let behind = records.iter().filter(move |record| match record.kind {
        RecordKind::Checkpoint | RecordKind::Reboot => turns.contains(&record.tag),
        RecordKind::Started | RecordKind::Outcome(_) => false,
    });
    behind.map(|record| record.job_id.to_string())
}

/// One agent after the other, until the end of the process: a new certificate wants a new one.
async fn lives(
    config: &Config,
    handlers: &Handlers,
    journal: &Journal,
    exporter: &Arc<Exporter>,
    mut rotation: Rotation,
) -> Result<(), RunError> {
    // One for all of them: a signal between two must not be missed.
    let mut shutdown = pin!(shutdown());
    loop {
        let records = records(config)?;
        let jobs = ids(&records);
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            () = rotation.prepare(config, &jobs) => {}
        }
        handlers.turns.expect(returning(&records));
        let handlers = handlers.clone();
        let mut end = End {
            shutdown: shutdown.as_mut(),
            rotation: &mut rotation,
            exporter,
        };
        if !drive(config, handlers, journal, &mut end).await? {
            return Ok(());
        }
    }
}

/// What ends an agent, and what outlives it.
struct End<'e, S> {
    shutdown: Pin<&'e mut S>,
    rotation: &'e mut Rotation,
    exporter: &'e Arc<Exporter>,
}

/// One agent; answers whether there is to be another one.
async fn drive(
    config: &Config,
    handlers: Handlers,
    journal: &Journal,
    end: &mut End<'_, impl Future<Output = ()>>,
) -> Result<bool, RunError> {
    let watched = end.rotation.observer();
    let (unclaimed, interval) = (config.unclaimed, config.progress_interval_ms);
    let attempts = config.attempts_max;
    let subscribe_replies = config.subscribe_replies;
    let exporter = Arc::clone(end.exporter);
    let noted = journal.clone();
    let turns = handlers.turns.clone();
    let (program, arguments) = config.reboot_command.split_first().map_or_else(
        || (String::new(), Vec::new()),
        |(program, arguments)| (program.clone(), arguments.to_vec()),
    );
    let agent = Agent::new(config.thing.as_str(), config.endpoint())
        .state_dir(config.records())
        .reboot_with(SystemReboot::command(program, arguments))
        .stop_grace_ms(stop_grace_ms(config))
        .configure(move |config| {
            config.unclaimed = unclaimed.into();
            config.subscribe_replies = subscribe_replies;
            if let Some(interval) = interval {
                config.progress_interval_ms = interval;
            }
            config.attempts_max = attempts.unwrap_or(config.attempts_max);
        })
        .observe(move |what| {
            systemd::tell(what);
            exporter.tell(what);
            watched.tell(what);
            if let Happening::Ended { job_id, .. } = what {
                turns.over(job_id);
            }
            if let Some(what) = What::of(what) {
                noted.note(what);
            }
        })
        .handlers(handlers);
    end.exporter.watch(agent.metrics());
    let again = Cell::new(false);
    let until = async {
        tokio::select! {
            () = end.shutdown.as_mut() => {}
            () = end.rotation.turn() => again.set(true),
        }
    };
    match config.jobs {
        4 => agent.jobs::<4>().run_until(until).await?,
        16 => agent.jobs::<16>().run_until(until).await?,
        // The configuration takes these three and no others.
        _ => agent.run_until(until).await?,
    }
    Ok(again.get())
}

/// Begins to serve the counters, if that is wanted.
async fn export(
    config: &Config,
    exporter: &Arc<Exporter>,
) -> Result<Option<AbortHandle>, RunError> {
    let Some(address) = config.metrics.listen else {
        return Ok(None);
    };
    let listener = metrics::listen(address).await;
    let listener = listener.map_err(|source| RunError::Metrics { address, source })?;
    let serving = tokio::spawn(Arc::clone(exporter).serve(listener));
    Ok(Some(serving.abort_handle()))
}

/// How long a handler that was told to stop may take. Steps and checks end at once; an update still
/// installs, tests and goes back, each by its time limit: one that was dropped in the middle would
/// leave a version that nobody proves.
fn stop_grace_ms(config: &Config) -> u64 {
    let limit_ms = |seconds: u64| seconds.saturating_mul(1_000).saturating_add(STOP_MARGIN_MS);
    let targets = config.update.targets.values();
    let updates = targets.map(|target| {
        let one = limit_ms(target.timeout_s.saturating_add(HOOK_GRACE_S));
        one.saturating_mul(UPDATE_COMMANDS)
    });
    updates.fold(limit_ms(config.steps.grace_s.max(HOOK_GRACE_S)), u64::max)
}

/// Resolves on SIGTERM or SIGINT.
async fn shutdown() {
    let heard = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            // Where signals cannot be had, they end the process, which the jobs survive.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = heard(SignalKind::terminate()) => {}
        () = heard(SignalKind::interrupt()) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canceled_update_has_the_time_to_install_test_and_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let grace = |more: &str| {
            let least = "thing = \"a\"\nendpoint = \"b\"\n[steps]\ngrace_s = 5\n";
            fs::write(&path, format!("{least}{more}")).unwrap();
            stop_grace_ms(&Config::read(&path, |_| None).unwrap())
        };
        assert_eq!(grace(""), 5_000 + STOP_MARGIN_MS);
        let target = "[update.targets.a]\ndir = \"/d\"\ninstall = [\"/i\"]\ntimeout_s = 100\n";
        assert!(grace(target) >= 3 * 100_000 + STOP_MARGIN_MS);
    }
}
