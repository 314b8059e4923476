//! The gateway: the agent as a process, and what would be its boot loader and its watchdog.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::Notify,
    time::{sleep, timeout},
};

use super::timeline::{Source, Timeline};
use crate::agent::REBOOT_EXIT_CODE;

/// How long a killed agent stays dead: long enough to see in the timeline.
const DEAD_TIME: Duration = Duration::from_millis(250);

/// How long the agent may take to stop when it is asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the story cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    /// The agent cannot be started.
    #[error("the agent process cannot be started: {0}")]
    Start(#[source] io::Error),
    /// The agent cannot be ended or waited for.
    #[error("the agent process cannot be ended: {0}")]
    End(#[source] io::Error),
    /// The agent ended by itself.
    #[error("the agent process ended unasked: {0}")]
    Died(ExitStatus),
    /// What was waited for did not come.
    #[error("waited {seconds} s in vain for {what}")]
    Late {
        /// What.
        what: String,
        /// How long.
        seconds: u64,
    },
}

/// How the agent is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) program: PathBuf,
    pub(crate) endpoint: String,
    pub(crate) thing: String,
    pub(crate) folder: PathBuf,
    /// The version that fails its self-test.
    pub(crate) unfit: String,
}

/// A device that boots, dies and boots again. Its process dies with it.
#[derive(Debug)]
pub(crate) struct Device {
    setup: Setup,
    timeline: Timeline,
    boots: u32,
    child: Child,
    /// Apart from the child, because waiting for a child closes its standard input.
    stdin: Option<ChildStdin>,
    said: Arc<Said>,
}

/// What the agent said, over all its lives.
#[derive(Debug, Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Device {
    /// Boots the device for the first time.
    ///
    /// # Errors
    /// [`DeviceError::Start`]
    pub(crate) fn boot(setup: Setup, timeline: Timeline) -> Result<Self, DeviceError> {
        let said = Arc::new(Said::default());
        let mut child = spawn(&setup, 1, &timeline, &said)?;
        let stdin = child.stdin.take();
        Ok(Self {
            setup,
            timeline,
            boots: 1,
            child,
            stdin,
            said,
        })
    }

    /// How often the device booted.
    pub(crate) fn boots(&self) -> u32 {
        self.boots
    }

    /// Folder of the firmware slots.
    pub(crate) fn firmware(&self) -> PathBuf {
        firmware_folder(&self.setup.folder)
    }

    /// Folder that jobs write into.
    pub(crate) fn sandbox(&self) -> PathBuf {
        sandbox_folder(&self.setup.folder)
    }

    /// Waits for something and looks after the agent meanwhile: an agent that wants a reboot gets
    /// one.
    ///
    /// # Errors
    /// [`DeviceError::Late`], or the agent ended in another way.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Future<Output = T>,
    ) -> Result<T, DeviceError> {
        let mut wanted = pin!(wanted);
        let mut late = pin!(sleep(limit));
        loop {
            tokio::select! {
                done = &mut wanted => return Ok(done),
                ended = self.child.wait() => self.ended(ended.map_err(DeviceError::End)?)?,
                () = &mut late => {
                    let (what, seconds) = (what.to_owned(), limit.as_secs());
                    return Err(DeviceError::Late { what, seconds });
                }
            }
        }
    }

    fn ended(&mut self, status: ExitStatus) -> Result<(), DeviceError> {
        if status.code() != Some(i32::from(REBOOT_EXIT_CODE)) {
            return Err(DeviceError::Died(status));
        }
        self.boots += 1;
        let boot = self.boots;
        self.timeline
            .event(Source::Agent, format_args!("reboots: this is boot {boot}"));
        self.start()
    }

    /// Kills the process without warning, as a power cut would, and starts it again in the same
    /// boot.
    ///
    /// # Errors
    /// The process cannot be killed or started.
    pub(crate) async fn kill_and_restart(&mut self) -> Result<(), DeviceError> {
        self.child.kill().await.map_err(DeviceError::End)?;
        self.timeline
            .event(Source::Agent, format_args!("killed by SIGKILL"));
        sleep(DEAD_TIME).await;
        self.timeline
            .event(Source::Agent, format_args!("started again"));
        self.start()
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        self.child = spawn(&self.setup, self.boots, &self.timeline, &self.said)?;
        self.stdin = self.child.stdin.take();
        Ok(())
    }

    /// Resolves when the agent has said a line with this in it, now or earlier.
    pub(crate) fn has_said(&self, part: &str) -> impl Future<Output = String> + use<> {
        let (said, part) = (self.said.clone(), part.to_owned());
        async move {
            loop {
                // Registered before looking, so that no line falls between.
                let more = said.more.notified();
                let found = {
                    let lines = said.lines.lock().unwrap_or_else(PoisonError::into_inner);
                    lines.iter().find(|line| line.contains(&part)).cloned()
                };
                match found {
                    Some(line) => return line,
                    None => more.await,
                }
            }
        }
    }

    /// Asks the agent to stop, by closing its standard input.
    ///
    /// # Errors
    /// It does not stop in time, or not as it should.
    pub(crate) async fn stop(mut self) -> Result<(), DeviceError> {
        drop(self.stdin.take());
        let Ok(ended) = timeout(STOP_TIMEOUT, self.child.wait()).await else {
            let what = "the agent to stop".to_owned();
            return Err(DeviceError::Late {
                what,
                seconds: STOP_TIMEOUT.as_secs(),
            });
        };
        let status = ended.map_err(DeviceError::End)?;
        if !status.success() {
            return Err(DeviceError::Died(status));
        }
        self.timeline.event(Source::Agent, format_args!("stopped"));
        Ok(())
    }
}

fn firmware_folder(folder: &Path) -> PathBuf {
    folder.join("state").join("firmware")
}

fn sandbox_folder(folder: &Path) -> PathBuf {
    folder.join("job-files")
}

fn spawn(
    setup: &Setup,
    boot: u32,
    timeline: &Timeline,
    said: &Arc<Said>,
) -> Result<Child, DeviceError> {
    let mut child = Command::new(&setup.program)
        .arg("agent")
        .args(["--endpoint", &setup.endpoint])
        .args(["--thing", &setup.thing])
        .args(["--boot-id", &format!("{boot:032x}")])
        .args(["--unfit-version", &setup.unfit])
        .args(["--progress-interval-ms", "500"])
        .arg("--stop-with-stdin")
        .arg("--state")
        .arg(setup.folder.join("state"))
        .arg("--sandbox")
        .arg(sandbox_folder(&setup.folder))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(DeviceError::Start)?;
    if let Some(out) = child.stdout.take() {
        tokio::spawn(listen(out, timeline.clone(), said.clone()));
    }
    if let Some(err) = child.stderr.take() {
        tokio::spawn(listen(err, timeline.clone(), said.clone()));
    }
    Ok(child)
}

async fn listen(pipe: impl AsyncRead + Unpin, timeline: Timeline, said: Arc<Said>) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        timeline.event(Source::Agent, format_args!("{line}"));
        said.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        said.more.notify_waiters();
    }
}
