//! The main job, end to end: a service, an operator, a file server and a device that dies.

mod checks;
mod control;
mod device;
mod firmware_server;
mod story;
mod table;
mod timeline;

use std::{io, path::PathBuf};

use clap::Args;
use jobs_emulator::{Emulator, Options, StartError, StoreError};
use tokio::signal::unix::{SignalKind, signal};

use self::{
    control::{Control, ControlError},
    device::{Device, DeviceError, Setup},
    firmware_server::FirmwareServer,
    story::Story,
    timeline::{Source, Timeline},
};
use crate::platform::system::say;

/// The thing of the demonstration.
const THING: &str = "gateway-1";

/// Options of the demonstration.
#[derive(Args, Debug, Default)]
pub(crate) struct DemoArgs {
    /// Folder for the device's state and files; must be empty. A temporary one by default.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Why there is no table at the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The folder cannot be used.
    #[error("the demo's folder cannot be used: {0}")]
    Folder(#[source] io::Error),
    /// The folder has something in it.
    #[error("{0} is not empty: a demo starts from nothing, name another folder")]
    NotEmpty(PathBuf),
    /// A server or the watch for signals cannot be started.
    #[error("the demo's surroundings cannot be started: {0}")]
    Surroundings(#[source] io::Error),
    /// The emulator does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The emulator does not stop.
    #[error(transparent)]
    Stop(#[from] StoreError),
    /// The operator's wish was not granted.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The device did not play its part.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The user has seen enough.
    #[error("interrupted")]
    Interrupted,
}

/// Runs the demonstration; answers whether every outcome was right.
///
/// # Errors
/// [`DemoError`]: the story could not be told to its end. The agent process is gone in any case.
pub(crate) async fn run(args: DemoArgs) -> Result<bool, DemoError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Surroundings)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DemoError::Surroundings)?;
    // Dropping the story kills the agent.
    tokio::select! {
        done = tell(args) => done,
        _ = terminate.recv() => Err(DemoError::Interrupted),
        _ = interrupt.recv() => Err(DemoError::Interrupted),
    }
}

async fn tell(args: DemoArgs) -> Result<bool, DemoError> {
    let temporary;
    let folder = match args.dir {
        Some(folder) => {
            empty(&folder)?;
            folder
        }
        None => {
            temporary = tempfile::tempdir().map_err(DemoError::Folder)?;
            temporary.path().to_owned()
        }
    };
    let timeline = Timeline::start();
    let files = FirmwareServer::start()
        .await
        .map_err(DemoError::Surroundings)?;
    let emulator = Emulator::start(Options::default()).await?;
    let (http, mqtt) = (emulator.http_addr(), emulator.mqtt_addr());
    timeline.event(
        Source::Service,
        format_args!("listens: HTTP {http}, MQTT {mqtt}"),
    );

    let control = Control::new(http);
    let target = control.create_thing(THING).await?;
    timeline.event(Source::Operator, format_args!("registered {THING}"));
    let setup = Setup {
        program: std::env::current_exe().map_err(DemoError::Surroundings)?,
        endpoint: mqtt.to_string(),
        thing: THING.to_owned(),
        folder,
        unfit: story::UNFIT_VERSION.to_owned(),
    };
    let device = Device::boot(setup, timeline.clone())?;
    timeline.event(
        Source::Agent,
        format_args!("process started: this is boot 1"),
    );

    let mut story = Story::new(timeline.clone(), control, files, device, target);
    let rows = story.tell().await?;
    story.end().await?;
    emulator.shutdown().await?;

    let right = table::print(&rows);
    let verdict = if right {
        "every outcome is right"
    } else {
        "NOT every outcome is right"
    };
    say(format_args!(
        "\n{verdict}, after {:.1} s",
        timeline.seconds()
    ));
    Ok(right)
}

fn empty(folder: &PathBuf) -> Result<(), DemoError> {
    std::fs::create_dir_all(folder).map_err(DemoError::Folder)?;
    let mut entries = std::fs::read_dir(folder).map_err(DemoError::Folder)?;
    match entries.next() {
        Some(_) => Err(DemoError::NotEmpty(folder.clone())),
        None => Ok(()),
    }
}
