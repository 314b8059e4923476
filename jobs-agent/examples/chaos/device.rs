//! The device: folders, an agent process that dies and comes back, and boots.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use jobs_emulator::{Emulator, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

pub(crate) const THING: &str = "chaos";

/// How often the device is looked at.
const LOOK: Duration = Duration::from_millis(5);

type Fault = Box<dyn std::error::Error>;

pub(crate) struct Device {
    pub(crate) emulator: Emulator,
    dir: TempDir,
    agent: PathBuf,
    child: Option<Child>,
    boots: u32,
}

impl Device {
    pub(crate) async fn new(agent: &Path) -> Result<Self, Fault> {
        let options = Options {
            mqtts: Some(([127, 0, 0, 1], 0).into()),
            ..Options::default()
        };
        let emulator = Emulator::start(options).await?;
        emulator.with_service(|service, now| service.create_thing(now, THING))?;
        let device = Self {
            emulator,
            dir: tempfile::tempdir()?,
            agent: agent.to_owned(),
            child: None,
            boots: 1,
        };
        fs::create_dir(device.path("handlers"))?;
        // Leaves a mark, takes a while, leaves a second mark: a run that is cut in half shows.
        device.script(
            "handlers/work.sh",
            "echo \"$JOBS_AGENT_JOB_ID $JOBS_AGENT_STEP begins\" >> effects; sleep \"0.$2\"; \
             echo \"$JOBS_AGENT_JOB_ID $JOBS_AGENT_STEP ends\" >> effects; exit \"$3\"",
        )?;
        device.script("reboot.sh", &format!("touch {:?}", device.path("reset")))?;
        fs::write(device.path("config.toml"), device.config()?)?;
        Ok(device)
    }

    fn config(&self) -> Result<String, Fault> {
        let pki = self.emulator.pki().ok_or("no certificates")?;
        let port = self.emulator.mqtts_addr().ok_or("no TLS")?.port();
        Ok(format!(
            "thing = \"{THING}\"\nendpoint = \"127.0.0.1\"\nport = {port}\nca = {:?}\ncert = {:?}\n\
             key = {:?}\nstate_dir = {:?}\njobs = 2\nlog = \"off\"\nattempts_max = 255\n\
             reboot_command = [{:?}]\n\
             [steps]\nhandler_dirs = [{:?}]\nhandlers = [\"work.sh\"]\nbuiltin = [\"reboot\"]\n\
             users = [\"root\"]\nworking_dir = {:?}\ninterrupted = \"fail\"\n\
             [config_push.files.pump]\npath = {:?}\ncheck = [\"/bin/grep\", \"-q\", \"speed\"]\n",
            pki.ca,
            pki.cert,
            pki.key,
            self.path("state"),
            self.path("reboot.sh"),
            self.path("handlers"),
            self.dir.path(),
            self.path("pump.conf"),
        ))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
    }

    pub(crate) fn create(&self, job: &str, document: &Value) -> Result<(), Fault> {
        self.emulator
            .with_service(|service, now| service.create_job(now, job, &[THING], document))?;
        Ok(())
    }

    pub(crate) fn start(&mut self) -> io::Result<()> {
        let child = Command::new(&self.agent)
            .args(["run", "--config"])
            .arg(self.path("config.toml"))
            .env("JOBS_AGENT_BOOT_ID", format!("boot-{}", self.boots))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// SIGKILL for the agent alone, as a crash would be.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Lets time pass; a reset that is asked for happens, and ends all steps, as resets do.
    pub(crate) async fn live(&mut self, time: Duration) -> Result<(), Fault> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.path("reset").exists() {
                self.kill().await?;
                fs::remove_file(self.path("reset"))?;
                self.boots += 1;
                self.start()?;
            }
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                return Err(format!("the agent ended by itself: {status}").into());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    pub(crate) fn reboots(&self) -> u32 {
        self.boots - 1
    }

    /// Whether a step is on its way just now.
    pub(crate) fn has_steps(&self) -> bool {
        let folders = fs::read_dir(self.path("state").join(THING).join("steps"));
        folders.is_ok_and(|folders| folders.flatten().next().is_some())
    }

    /// Proportional set size of the agent.
    pub(crate) fn pss_kib(&self) -> Result<u64, Fault> {
        let child = self.child.as_ref().and_then(Child::id).ok_or("no agent")?;
        let text = fs::read_to_string(format!("/proc/{child}/smaps_rollup"))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .ok_or("no PSS")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    /// From the start of the process to the service's word that a job is in progress.
    pub(crate) async fn first_job_ms(&mut self) -> Result<u128, Fault> {
        let document = json!({"version": "1.0", "steps": [{"action": {"name": "s",
            "type": "runHandler", "input": {"handler": "work.sh", "args": ["01", "0"]}}}]});
        self.create("first", &document)?;
        let began = Instant::now();
        self.start()?;
        loop {
            let status = self.status("first");
            if status != "QUEUED" {
                let took = began.elapsed().as_millis();
                self.kill().await?;
                return Ok(took);
            }
            if began.elapsed() > Duration::from_secs(30) {
                return Err("the first job is not taken".into());
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) fn status(&self, job: &str) -> String {
        let execution = self.emulator.service().execution(THING, job, None);
        execution.map_or_else(String::new, |execution| {
            execution.status.as_str().to_owned()
        })
    }
}
