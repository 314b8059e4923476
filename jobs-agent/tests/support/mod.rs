//! Folders, scripts and specs for the tests.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::{
    fs,
    future::{Future, pending},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use jobs_agent::{
    step::Steps,
    supervise::{Folder, Leftovers, Limits, Spec},
};
use jobs_agent_core::{Attempt, Checkpoint, JobPort, Offer, Progress, StopReason, Stopped};
use jobs_proto::{JobId, JobStatus, document::Document};
use tempfile::TempDir;

/// Long enough that only a hang reaches it, however loaded the machine is.
const HANG: Duration = Duration::from_secs(60);

pub fn steps() -> Steps {
    Steps {
        program: env!("CARGO_BIN_EXE_jobs-agent").into(),
    }
}

/// Fails the test instead of hanging it.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future)
        .await
        .expect("the test hangs here")
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(HANG, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain for {what}");
}

pub struct Room {
    pub dir: TempDir,
}

impl Room {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Steps of other users have to get in.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn folder(&self) -> Folder {
        Folder::at(self.path("step"))
    }

    /// A script that may be executed.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        script(&self.path(name), text)
    }

    /// What a file holds; nothing if it is not there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A step that runs this script in this room.
    pub fn spec(&self, text: &str) -> Spec {
        Spec {
            program: self.script("step.sh", text),
            args: Vec::new(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            working_dir: self.dir.path().to_owned(),
            user: None,
            limit_ms: 30_000,
            grace_ms: 500,
            drain_ms: 300,
            leftovers: Leftovers::Kill,
            limits: Limits::default(),
        }
    }
}

pub fn script(path: &Path, text: &str) -> PathBuf {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// Whether a process is there and no zombie.
pub fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(
        |stat| !matches!(stat.rsplit_once(") "), Some((_, rest)) if rest.starts_with('Z')),
    )
}

/// A port that makes checkpoints durable; after `lives` of them the power is cut right then.
pub struct Port<'t> {
    pub durable: &'t Mutex<Option<Checkpoint>>,
    pub lives: u32,
}

impl JobPort for Port<'_> {
    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Stopped> {
        *self.durable.lock().unwrap() = Some(checkpoint);
        match self.lives.checked_sub(1) {
            Some(left) => {
                self.lives = left;
                Ok(())
            }
            None => pending().await,
        }
    }

    fn report(&mut self, _: Progress) {}

    fn stop_requested(&self) -> Option<StopReason> {
        None
    }

    async fn stopped(&mut self) -> StopReason {
        pending().await
    }

    fn deadline_ms(&self) -> Option<u64> {
        None
    }

    fn attempt(&self) -> Attempt {
        Attempt { number: 1, last: 3 }
    }

    fn job_id(&self) -> &str {
        "job-1"
    }
}

pub fn offer(document: &[u8], resuming: bool) -> Offer<'_> {
    Offer {
        job_id: JobId::new("job-1").unwrap(),
        execution_number: Some(1),
        status: Some(JobStatus::Queued),
        status_details: None,
        document: Document(document),
        resuming,
    }
}
