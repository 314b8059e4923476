//! The agent's side of a step: starts a supervisor, or finds one that is at work already.

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::sleep,
};

use crate::supervise::{Folder, Found, SUBCOMMAND, Spec, StepResult};

/// How often a supervisor that another life of the agent started is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How often a supervisor that left nothing behind is started again: it can lose a race for its
/// folder against one that an earlier agent started just before it was killed.
const STARTS_MAX: u8 = 3;

/// Why a step has no result.
#[derive(Debug, thiserror::Error)]
pub enum StepFault {
    /// The machine went down, or somebody killed the supervisor: nobody knows how far it came.
    #[error("was interrupted, and nobody knows how far it came")]
    Interrupted,
    /// The supervisor leaves nothing behind.
    #[error("its supervisor ended without a word ({0})")]
    Silent(String),
    /// The folder or the supervisor cannot be used.
    #[error("cannot be supervised: {0}")]
    Io(#[from] io::Error),
}

/// Starts supervisors.
#[derive(Clone, Debug)]
pub struct Steps {
    /// The program that is a supervisor when called with [`SUBCOMMAND`].
    pub program: PathBuf,
}

impl Steps {
    /// Does a step to its end, or waits for the end of the one that was begun in this folder.
    ///
    /// # Errors
    /// [`StepFault`]; after `Interrupted`, remove the folder to do the step again.
    ///
    /// # Cancel safety
    /// Dropping it leaves the step running; calling it again waits for its end.
    pub async fn run(&self, folder: &Folder, spec: &Spec) -> Result<StepResult, StepFault> {
        let mut silent = String::new();
        for _ in 0..STARTS_MAX {
            loop {
                match folder.look()? {
                    Found::Finished(result) => return Ok(result),
                    Found::Interrupted => return Err(StepFault::Interrupted),
                    Found::Running => sleep(LOOK_INTERVAL).await,
                    Found::Nothing => break,
                }
            }
            folder.create()?;
            let mut child = self.start(folder, spec).await?;
            silent = child.wait().await?.to_string();
        }
        match folder.look()? {
            Found::Finished(result) => Ok(result),
            Found::Interrupted => Err(StepFault::Interrupted),
            Found::Running | Found::Nothing => Err(StepFault::Silent(silent)),
        }
    }

    async fn start(&self, folder: &Folder, spec: &Spec) -> io::Result<Child> {
        let mut child = Command::new(&self.program)
            .arg(SUBCOMMAND)
            .arg(folder.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Signals of a terminal are the agent's business.
            .process_group(0)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A supervisor that did not get its folder does not read.
            let _ = stdin.write_all(&serde_json::to_vec(spec)?).await;
        }
        Ok(child)
    }

    /// Tells the step in this folder to stop and waits until it has.
    ///
    /// # Errors
    /// The folder cannot be used.
    ///
    /// # Cancel safety
    /// The step goes on stopping.
    pub async fn stop(folder: &Folder) -> io::Result<()> {
        loop {
            match folder.stop() {
                Ok(true) => break,
                Ok(false) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sleep(LOOK_INTERVAL).await;
                }
                Err(error) => return Err(error),
            }
        }
        while folder.look()? == Found::Running {
            sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }
}
