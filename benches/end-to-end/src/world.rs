//! An emulator, clients as processes of their own, and sums over the packet trace.

use std::process::Stdio;
use std::time::Duration;

use jobs_emulator::{Direction, Emulator, Options, PacketKind, TraceEntry};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::Failure;
use crate::agents::Shared;

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(120);
/// How often is looked whether something has happened: looking disturbs, and the times are the
/// trace's.
const LOOK: Duration = Duration::from_millis(10);
/// Without a packet for this long, everything that was going to be said has been said.
const QUIET: Duration = Duration::from_millis(1_500);

pub struct World {
    pub emulator: Emulator,
}

impl World {
    /// An emulator that knows `things` things.
    pub async fn new(things: usize) -> Result<Self, Failure> {
        let emulator = Emulator::start(Options::default()).await?;
        for nth in 0..things {
            let thing = format!("thing-{nth}");
            emulator.with_service(|service, now_ms| service.create_thing(now_ms, &thing))?;
        }
        Ok(Self { emulator })
    }

    pub fn port(&self) -> u16 {
        self.emulator.mqtt_addr().port()
    }

    /// This many agents of ours in a process.
    pub fn agents(&self, count: usize, store: &str, shared: Shared) -> Result<Client, Failure> {
        let mut agents = Command::new(std::env::current_exe()?);
        agents
            .arg("agents")
            .args([self.port().to_string(), count.to_string()])
            .args([store, shared.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Client::start(agents)
    }

    /// AWS's SDK for `thing-0` in a process.
    pub fn sdk(&self, python: &str) -> Result<Client, Failure> {
        let mut client = Command::new(python);
        client
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/sdk_client.py"))
            .args([self.port().to_string(), "thing-0".into()]);
        client.stdin(Stdio::null());
        Client::start(client)
    }

    /// Queues a job for `thing-0`.
    pub fn create(&self, job: &str) -> Result<(), Failure> {
        let document = json!({"operation": "blink", "times": 3});
        self.emulator.with_service(|service, now_ms| {
            service.create_job(now_ms, job, &["thing-0"], &document)
        })?;
        Ok(())
    }

    /// Jobs of `thing-0` that have succeeded.
    pub fn succeeded(&self, jobs: &[String]) -> usize {
        let service = self.emulator.service();
        let execution = |job: &String| service.execution("thing-0", job, None);
        let executions = jobs.iter().filter_map(execution);
        executions
            .filter(|execution| execution.status.as_str() == "SUCCEEDED")
            .count()
    }

    /// Waits until this many clients are connected and nothing more is said.
    pub async fn settled(&self, clients: usize) -> Result<(), Failure> {
        until("the clients connect", || {
            self.emulator.connected().len() >= clients
        })
        .await?;
        self.quiet().await
    }

    /// Waits until nothing more is said.
    pub async fn quiet(&self) -> Result<(), Failure> {
        let trace = self.emulator.trace();
        let said = || trace.count(|_| true) as u64 + trace.dropped();
        let (mut last, mut since) = (said(), Instant::now());
        until("the network is quiet", || {
            let now = said();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() >= QUIET
        })
        .await
    }
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Failure> {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > HANG {
            return Err(format!("gave up: {what}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// A client in a process; it ends with this value.
pub struct Client {
    process: Child,
}

impl Client {
    fn start(mut command: Command) -> Result<Self, Failure> {
        let process = command
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self { process })
    }

    /// Its proportional set size in KiB: what it alone uses, and its share of what others use too.
    pub fn pss_kib(&self) -> Result<u64, Failure> {
        let id = self.process.id().ok_or("the client has ended")?;
        let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("no Pss in smaps_rollup")?.parse()?)
    }

    /// How many threads it has.
    pub fn threads(&self) -> Result<u64, Failure> {
        let id = self.process.id().ok_or("the client has ended")?;
        let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Threads:"));
        Ok(line.ok_or("no Threads in status")?.trim().parse()?)
    }

    /// How many tasks its runtime has; only agents of ours tell.
    pub async fn tasks(&mut self) -> Result<u64, Failure> {
        let (stdin, stdout) = (self.process.stdin.as_mut(), self.process.stdout.as_mut());
        let (stdin, stdout) = stdin.zip(stdout).ok_or("the client does not tell")?;
        stdin.write_all(b"tasks?\n").await?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        Ok(line.trim().parse()?)
    }

    pub async fn end(mut self) -> Result<(), Failure> {
        Ok(self.process.kill().await?)
    }
}

/// Length of a packet on the wire, in bytes, from its fixed header on (MQTT 3.1.1, chapter 3).
pub fn wire_bytes(entry: &TraceEntry) -> usize {
    let topic = entry.topic.as_deref().unwrap_or_default();
    let filters = || topic.split(' ').map(str::len);
    let id = if entry.packet_id.is_some() { 2 } else { 0 };
    let rest = match entry.kind {
        // Protocol name, level, flags, keep-alive, and the client id; no will, no user.
        PacketKind::Connect => 10 + 2 + entry.client_id.len(),
        PacketKind::Publish => 2 + topic.len() + id + entry.payload_bytes,
        PacketKind::Subscribe => 2 + filters().map(|filter| filter + 3).sum::<usize>(),
        PacketKind::Unsubscribe => 2 + filters().map(|filter| filter + 2).sum::<usize>(),
        // One return code for each filter; the agent subscribes to two.
        PacketKind::Suback => 2 + 2,
        PacketKind::Connack | PacketKind::Puback | PacketKind::Unsuback => 2,
        PacketKind::Pingreq | PacketKind::Pingresp | PacketKind::Disconnect => 0,
    };
    let length_bytes = match rest {
        0..128 => 1,
        128..16_384 => 2,
        _ => 3,
    };
    1 + length_bytes + rest
}

/// Whether the device sent it.
pub fn is_up(entry: &TraceEntry) -> bool {
    entry.direction == Direction::FromDevice
}
