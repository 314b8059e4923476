//! A real broker before the service: mosquitto, with a bridge for the topics of AWS IoT Jobs.
//!
//! The bridge is sound for an agent that counts no PUBACK as an answer: mosquitto acknowledges a
//! request before the service has seen it. It speaks MQTT 3.1.1 to the service, as mosquitto's
//! bridges do by default, and keeps its session, so that messages survive a cut of the bridge too.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    process::{Process, bound, free_address, until},
    service::Pki,
};

/// Requests, below `$aws/things/THING/jobs/`.
const REQUESTS: [&str; 4] = ["get", "start-next", "+/get", "+/update"];

/// What the service says of its own accord.
const NOTIFICATIONS: [&str; 2] = ["notify", "notify-next"];

/// How long mosquitto may take to listen.
const START_WAIT: Duration = Duration::from_secs(5);

/// The broker; it ends when this is dropped.
pub(crate) struct Mosquitto {
    process: Process,
    config: PathBuf,
    address: SocketAddr,
}

impl Mosquitto {
    /// Starts it with a bridge to `service`, and its files in `folder`.
    pub(crate) fn start(folder: &Path, service: SocketAddr) -> Result<Self, String> {
        Self::start_with(folder, service, "")
    }

    /// The same for devices that prove who they are, as the broker does.
    pub(crate) fn start_mtls(
        folder: &Path,
        service: SocketAddr,
        pki: &Pki,
    ) -> Result<Self, String> {
        let tls = format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true",
            pki.ca.display(),
            pki.server_cert.display(),
            pki.server_key.display(),
        );
        Self::start_with(folder, service, &tls)
    }

    fn start_with(folder: &Path, service: SocketAddr, listener: &str) -> Result<Self, String> {
        let address = free_address()?;
        let config = folder.join("mosquitto.conf");
        let text = configuration(folder, address, service, listener);
        fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
        Ok(Self {
            process: run(&config, address)?,
            config,
            address,
        })
    }

    /// Where devices connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// SIGKILL. What it had in memory is lost: sessions, and messages on their way.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the same address.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        self.process = run(&self.config, self.address)?;
        Ok(())
    }
}

fn run(config: &Path, address: SocketAddr) -> Result<Process, String> {
    let mut command = bound("mosquitto");
    command.arg("-c").arg(config);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process::start(&mut command)?;
    until(Instant::now() + START_WAIT, || {
        TcpStream::connect(address).ok()
    })
    .ok_or("mosquitto does not listen")?;
    Ok(process)
}

fn configuration(
    folder: &Path,
    address: SocketAddr,
    service: SocketAddr,
    listener: &str,
) -> String {
    let mut lines = vec![
        // Started as root it would become another user, who cannot write here.
        "user root".into(),
        format!("listener {} {}", address.port(), address.ip()),
        listener.into(),
        "allow_anonymous true".into(),
        "persistence false".into(),
        format!("log_dest file {}", folder.join("mosquitto.log").display()),
        "log_type all".into(),
        "connection service".into(),
        format!("address {service}"),
        // Two bridges of one name would take the connection from each other for ever.
        format!("remote_clientid mosquitto-{}", address.port()),
        "cleansession false".into(),
        // A private bit in CONNECT that only mosquitto understands.
        "try_private false".into(),
        "notifications false".into(),
        "restart_timeout 1".into(),
    ];
    let topic = |topic: &str, way: &str| format!("topic $aws/things/+/jobs/{topic} {way} 1");
    for request in REQUESTS {
        lines.push(topic(request, "out"));
        lines.push(topic(&format!("{request}/accepted"), "in"));
        lines.push(topic(&format!("{request}/rejected"), "in"));
    }
    for notification in NOTIFICATIONS {
        lines.push(topic(notification, "in"));
    }
    lines.join("\n") + "\n"
}
