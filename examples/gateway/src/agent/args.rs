//! The options of the agent process.

use std::{path::PathBuf, str::FromStr};

use agent_std::Endpoint;
use clap::Args;

/// The usual port of MQTT without TLS.
const MQTT_PORT: u16 = 1883;

/// Most jobs at a time.
const JOBS_MAX: u8 = 4;

/// Options of the agent.
#[derive(Args, Debug)]
pub(crate) struct AgentArgs {
    /// MQTT endpoint: `aws iot describe-endpoint --endpoint-type iot:Data-ATS`, or the emulator's.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) endpoint: HostPort,
    /// The thing whose jobs are done.
    #[arg(long)]
    pub(crate) thing: String,
    /// Device certificate, PEM. Without it the connection has no TLS: for the emulator only.
    #[arg(long, value_name = "FILE", requires_all = ["key", "ca"])]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of the device certificate, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["cert", "ca"])]
    pub(crate) key: Option<PathBuf>,
    /// Certificates to trust, PEM: AmazonRootCA1.pem, or the emulator's.
    #[arg(long, value_name = "FILE", requires_all = ["cert", "key"])]
    pub(crate) ca: Option<PathBuf>,
    /// MQTT client id, if it is not the thing name.
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// Folder for job records and firmware slots.
    #[arg(long, value_name = "DIR", default_value = "gateway-state")]
    pub(crate) state: PathBuf,
    /// Folder that write_file jobs write into.
    #[arg(long, value_name = "DIR", default_value = "gateway-files")]
    pub(crate) sandbox: PathBuf,
    /// Jobs at a time.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(JOBS_MAX)))]
    pub(crate) jobs: u8,
    /// Identity of this boot, in place of the kernel's; a supervisor gives a new one after each
    /// exit with code 85.
    #[arg(long, value_name = "HEX", env = agent_std::boot::BOOT_ID_VARIABLE)]
    pub(crate) boot_id: Option<String>,
    /// Command that reboots the machine, for example "systemctl reboot". Without it a job that
    /// wants a reboot ends the agent with exit code 85, for a supervisor to act upon.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) reboot_command: Option<String>,
    /// Leave jobs with an unknown operation QUEUED, for another program of the same thing. Without
    /// this they are REJECTED, so that they do not block the queue.
    #[arg(long)]
    pub(crate) leave_unknown: bool,
    /// The version that runs before the first update.
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    pub(crate) factory_version: String,
    /// A version whose self-test fails, to see a roll-back.
    #[arg(long, value_name = "VERSION")]
    pub(crate) unfit_version: Option<String>,
    /// Least time between two progress reports of a job, milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) progress_interval_ms: Option<u32>,
    /// Stop when standard input is closed: an agent that was started by a program ends with it.
    #[arg(long)]
    pub(crate) stop_with_stdin: bool,
}

impl AgentArgs {
    /// The endpoint, with TLS if there is a certificate.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let HostPort { host, port } = &self.endpoint;
        let endpoint = match (&self.ca, &self.cert, &self.key) {
            (Some(ca), Some(cert), Some(key)) => {
                let endpoint = Endpoint::mtls(host, ca, cert, key);
                port.map_or(endpoint.clone(), |port| endpoint.port(port))
            }
            // The parser takes all three or none.
            _ => Endpoint::plain(host, port.unwrap_or(MQTT_PORT)),
        };
        match &self.client_id {
            Some(client_id) => endpoint.client_id(client_id),
            None => endpoint,
        }
    }
}

/// A host, and a port if one was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    host: String,
    port: Option<u16>,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl FromStr for HostPort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            return Err("give a host name without scheme and path");
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (
                host,
                Some(
                    port.parse()
                        .map_err(|_| "the port must be from 0 to 65535")?,
                ),
            ),
            None => (text, None),
        };
        if host.is_empty() || host.contains(':') {
            return Err("give HOST or HOST:PORT");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        agent: AgentArgs,
    }

    fn parse(arguments: &[&str]) -> Result<AgentArgs, clap::Error> {
        let fixed = ["agent", "--endpoint", "host", "--thing", "t"];
        Cli::try_parse_from(fixed.iter().chain(arguments)).map(|cli| cli.agent)
    }

    #[test]
    fn a_certificate_comes_with_its_key_and_an_authority_or_not_at_all() {
        assert!(parse(&[]).is_ok());
        assert!(parse(&["--cert", "c", "--key", "k", "--ca", "a"]).is_ok());
        assert!(parse(&["--cert", "c"]).is_err());
        assert!(parse(&["--key", "k", "--ca", "a"]).is_err());
    }

    #[test]
    fn the_number_of_jobs_is_bounded() {
        assert_eq!(parse(&["--jobs", "4"]).unwrap().jobs, 4);
        assert!(parse(&["--jobs", "0"]).is_err());
        assert!(parse(&["--jobs", "5"]).is_err());
    }

    #[test]
    fn endpoints_are_hosts_with_or_without_a_port() {
        let host = |text: &str| text.parse::<HostPort>().map(|host| (host.host, host.port));
        assert_eq!(host("a.b"), Ok(("a.b".into(), None)));
        assert_eq!(host("127.0.0.1:18"), Ok(("127.0.0.1".into(), Some(18))));
        for wrong in ["", ":18", "https://a.b", "a:b", "a:70000", "::1"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }
}
