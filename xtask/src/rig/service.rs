//! The service of the tests: the program `jobs-emulator`, and the operator's side of it.
//!
//! Source of paths and members: AWS IoT API reference, `CreateThing`, `CreateJob`,
//! `DescribeJobExecution`, `CancelJobExecution`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use super::process::{Process, bound, until};

/// How long an answer of the service may take.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// The running service; it ends when this is dropped.
pub(crate) struct Service {
    _process: Process,
    http: SocketAddr,
    mqtt: SocketAddr,
    mqtts: SocketAddr,
    pki: Pki,
}

/// Where the service keeps its CA, and the identity of a device that may act for any thing: PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// What a broker before the service can show.
    pub(crate) server_cert: PathBuf,
    pub(crate) server_key: PathBuf,
}

/// An execution as the service has it.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    /// QUEUED, IN_PROGRESS, SUCCEEDED, …
    pub(crate) status: String,
    body: String,
}

impl Service {
    /// Starts the program on free ports, and waits until it is ready.
    pub(crate) fn start(program: &Path) -> Result<Self, String> {
        let mut command = bound(program);
        command
            .args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"])
            .args(["--mqtts", "127.0.0.1:0"])
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let stdout = process.child().stdout.take().ok_or("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        let address = |name| {
            let text = member(&line, name).and_then(|text| text.parse().ok());
            text.ok_or_else(|| format!("the service did not get ready: {line:?}"))
        };
        let file = |name| {
            let path = member(&line, name).map(PathBuf::from);
            path.ok_or_else(|| format!("the service names no {name}: {line:?}"))
        };
        Ok(Self {
            http: address("http")?,
            mqtt: address("mqtt")?,
            mqtts: address("mqtts")?,
            pki: Pki {
                ca: file("ca")?,
                cert: file("cert")?,
                key: file("key")?,
                server_cert: file("server_cert")?,
                server_key: file("server_key")?,
            },
            _process: process,
        })
    }

    /// Where devices connect.
    pub(crate) fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// Where devices connect by TLS.
    pub(crate) fn mqtts(&self) -> SocketAddr {
        self.mqtts
    }

    /// Certificates for devices.
    pub(crate) fn pki(&self) -> &Pki {
        &self.pki
    }

    /// Registers a thing.
    pub(crate) fn create_thing(&self, thing: &str) -> Result<(), String> {
        self.call("POST", &format!("/things/{thing}"), "{}")
            .map(|_| ())
    }

    /// Creates a job for one thing.
    pub(crate) fn create_job(&self, thing: &str, job: &str, document: &str) -> Result<(), String> {
        let document = document.replace('\\', "\\\\").replace('"', "\\\"");
        let body = format!(
            "{{\"targets\":[\"arn:aws:iot:us-east-1:123456789012:thing/{thing}\"],\
             \"document\":\"{document}\"}}"
        );
        self.call("PUT", &format!("/jobs/{job}"), &body).map(|_| ())
    }

    /// Cancels an execution, also a running one.
    pub(crate) fn cancel(&self, thing: &str, job: &str) -> Result<(), String> {
        let path = format!("/things/{thing}/jobs/{job}/cancel?force=true");
        self.call("PUT", &path, "{}").map(|_| ())
    }

    /// The execution of a job.
    pub(crate) fn execution(&self, thing: &str, job: &str) -> Result<Execution, String> {
        let body = self.call("GET", &format!("/things/{thing}/jobs/{job}"), "")?;
        let status = member(&body, "status").ok_or_else(|| format!("no status: {body}"))?;
        Ok(Execution {
            status: status.into(),
            body: body.clone(),
        })
    }

    /// Waits until the execution has this status.
    pub(crate) fn await_status(
        &self,
        thing: &str,
        job: &str,
        wanted: &str,
        wait: Duration,
    ) -> Result<Execution, String> {
        self.await_execution(thing, job, wait, |execution| execution.status == wanted)
            .map_err(|why| format!("{why}; awaited {wanted}"))
    }

    /// Waits until the execution is over, one way or the other.
    pub(crate) fn await_end(
        &self,
        thing: &str,
        job: &str,
        wait: Duration,
    ) -> Result<Execution, String> {
        self.await_execution(thing, job, wait, Execution::is_over)
    }

    fn await_execution(
        &self,
        thing: &str,
        job: &str,
        wait: Duration,
        condition: impl Fn(&Execution) -> bool,
    ) -> Result<Execution, String> {
        let mut last = Err(String::from("never asked"));
        let found = until(Instant::now() + wait, || {
            last = self.execution(thing, job);
            last.as_ref().ok().filter(|found| condition(found)).cloned()
        });
        match (found, last) {
            (Some(execution), _) => Ok(execution),
            (None, Ok(execution)) => Err(format!("{job} stays {}", execution.status)),
            (None, Err(error)) => Err(format!("{job}: {error}")),
        }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Result<String, String> {
        let fault = |error: std::io::Error| format!("{method} {path}: {error}");
        let mut stream = TcpStream::connect(self.http).map_err(fault)?;
        stream.set_read_timeout(Some(ANSWER_WAIT)).map_err(fault)?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.http,
            body.len()
        );
        stream.write_all(request.as_bytes()).map_err(fault)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(fault)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.into()),
            _ => Err(format!("{method} {path}: {answer}")),
        }
    }
}

impl Execution {
    /// Whether nothing will change any more.
    pub(crate) fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "QUEUED" | "IN_PROGRESS")
    }

    /// A value of its statusDetails.
    pub(crate) fn detail(&self, key: &str) -> Option<&str> {
        let (_, details) = self.body.split_once("\"detailsMap\":")?;
        member(details, key)
    }

    /// A value of its statusDetails that is a number.
    pub(crate) fn number(&self, key: &str) -> Option<u32> {
        self.detail(key)?.parse().ok()
    }

    /// `SUCCEEDED`, or an error that shows what it is instead.
    pub(crate) fn succeeded(&self) -> Result<(), String> {
        self.is("SUCCEEDED")
    }

    /// An error unless the status is this one.
    pub(crate) fn is(&self, status: &str) -> Result<(), String> {
        if self.status == status {
            Ok(())
        } else {
            Err(format!("not {status}: {}", self.body))
        }
    }
}

/// The string `"name":"…"` in a JSON text whose strings have no quotes in them.
fn member<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::Execution;

    #[test]
    fn details_are_read_behind_the_status_and_not_before() {
        let execution = Execution {
            status: "SUCCEEDED".into(),
            body: r#"{"execution":{"a":"x","statusDetails":{"detailsMap":{"a":"7"}}}}"#.into(),
        };
        assert_eq!(execution.number("a"), Some(7));
        assert_eq!(execution.detail("b"), None);
        assert!(execution.succeeded().is_ok() && execution.is("FAILED").is_err());
    }
}
