//! The device: folders, an agent process that dies and comes back, and boots.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::rig::{
    process::{Process, bound},
    service::{Pki, Service},
};

/// How often the device is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Most jobs of a device.
const JOBS_MAX: u32 = 256;

/// Leaves a mark, takes a while, leaves a second mark: a run that is cut in half shows.
const WORK: &str = "echo \"$JOBS_AGENT_JOB_ID $JOBS_AGENT_STEP begins\" >> effects\nsleep \"0.$2\"\n\
    echo \"$JOBS_AGENT_JOB_ID $JOBS_AGENT_STEP ends\" >> effects\nexit \"$3\"";

/// A gateway with the program on it.
pub(super) struct Device<'s> {
    pub(super) service: &'s Service,
    pub(super) thing: String,
    dir: PathBuf,
    agent: PathBuf,
    child: Option<Process>,
    boots: u32,
}

impl<'s> Device<'s> {
    /// A new one, registered, with its files in a new folder below `folder`; it connects to
    /// `broker`, with these certificates or else without TLS; `bridged` if that is not the service
    /// itself.
    pub(super) fn new(
        service: &'s Service,
        folder: &Path,
        thing: &str,
        agent: &Path,
        broker: SocketAddr,
        pki: Option<&Pki>,
        bridged: bool,
    ) -> Result<Self, String> {
        service.create_thing(thing)?;
        let device = Self {
            service,
            thing: thing.to_owned(),
            dir: folder.join(thing),
            agent: agent.to_owned(),
            child: None,
            boots: 1,
        };
        device
            .furnish(broker, pki, bridged)
            .map_err(|error| error.to_string())?;
        Ok(device)
    }

    fn furnish(&self, broker: SocketAddr, pki: Option<&Pki>, bridged: bool) -> io::Result<()> {
        fs::create_dir_all(self.path("handlers"))?;
        self.script("handlers/work.sh", WORK)?;
        self.script("reboot.sh", &format!("touch {:?}", self.path("reset")))?;
        fs::write(self.path("config.toml"), self.config(broker, pki, bridged))
    }

    fn config(&self, broker: SocketAddr, pki: Option<&Pki>, bridged: bool) -> String {
        let tls = pki.map_or_else(String::new, |pki| {
            format!(
                "ca = {:?}\ncert = {:?}\nkey = {:?}\n",
                pki.ca, pki.cert, pki.key
            )
        });
        // A file for each job: jobs at the same time have no order.
        let pushes: String = (0..JOBS_MAX).map(|number| self.pushed(number)).collect();
        format!(
            "thing = \"{}\"\nendpoint = \"{}\"\nport = {}\n{tls}state_dir = {:?}\njobs = 4\n\
             log = \"warn\"\nattempts_max = 255\nkeep_alive_s = 2\nreconnect_max_s = 1\n\
             subscribe_replies = {bridged}\n\
             reboot_command = [{:?}]\n\
             [steps]\nhandler_dirs = [{:?}]\nhandlers = [\"work.sh\"]\nbuiltin = [\"reboot\"]\n\
             users = [\"root\"]\nworking_dir = {:?}\ninterrupted = \"fail\"\n\
             {pushes}",
            self.thing,
            broker.ip(),
            broker.port(),
            self.path("state"),
            self.path("reboot.sh"),
            self.path("handlers"),
            self.dir,
        )
    }

    fn pushed(&self, number: u32) -> String {
        format!(
            "[config_push.files.pump{number}]\npath = {:?}\n\
             check = [\"/bin/grep\", \"-q\", \"speed\"]\n",
            self.path(&format!("pump{number}.conf"))
        )
    }

    /// A file or folder of the device.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn script(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
    }

    /// Starts the agent.
    pub(super) fn start(&mut self) -> Result<(), String> {
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.path("log"));
        let mut command = bound(&self.agent);
        command
            .args(["run", "--config"])
            .arg(self.path("config.toml"))
            .env("JOBS_AGENT_BOOT_ID", format!("boot-{}", self.boots))
            .env_remove("RUST_LOG")
            .stdout(Stdio::null())
            .stderr(log.map_err(|error| error.to_string())?);
        self.child = Some(Process::start(&mut command)?);
        Ok(())
    }

    /// SIGKILL for the agent alone, as a crash would be.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill();
        }
    }

    /// Lets time pass; a reset that is asked for happens.
    pub(super) fn live(&mut self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.look()?;
            sleep(LOOK);
        }
        Ok(())
    }

    /// The same, until something holds.
    pub(super) fn live_until(
        &mut self,
        what: &str,
        patience: Duration,
        mut holds: impl FnMut(&Self) -> Result<bool, String>,
    ) -> Result<(), String> {
        let until = Instant::now() + patience;
        while !holds(self)? {
            if Instant::now() > until {
                let log = fs::read_to_string(self.path("log")).unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(20).collect();
                return Err(format!(
                    "{}: waited in vain for {what}; its log, newest first:\n{}",
                    self.thing,
                    last.join("\n")
                ));
            }
            self.live(LOOK * 4)?;
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), String> {
        if self.path("reset").exists() {
            self.kill();
            fs::remove_file(self.path("reset")).map_err(|error| error.to_string())?;
            self.boots += 1;
            return self.start();
        }
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        match child.child().try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the agent ended by itself: {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// How often it was reset by a job.
    pub(super) fn reboots(&self) -> u32 {
        self.boots - 1
    }

    /// Whether a step is on its way just now.
    pub(super) fn has_steps(&self) -> bool {
        let folders = fs::read_dir(self.path("state").join(&self.thing).join("steps"));
        folders.is_ok_and(|folders| folders.flatten().next().is_some())
    }

    /// The agent's process id.
    pub(super) fn process_id(&mut self) -> Option<u32> {
        self.child.as_mut().map(|child| child.child().id())
    }

    /// What a job has come to: QUEUED, IN_PROGRESS, SUCCEEDED, …
    pub(super) fn status(&self, job: &str) -> Result<String, String> {
        Ok(self.service.execution(&self.thing, job)?.status)
    }
}
