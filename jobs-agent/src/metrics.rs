//! The agent's counters for Prometheus: one page over HTTP, on an address of the operator's choice.
//!
//! Names and meaning are in `jobs-agent/README.md`; the format is Prometheus's text format 0.0.4.

use std::{
    convert::Infallible,
    fmt::Write,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agent_std::{Happening, Metrics};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::debug;

/// Connections at a time: one server that asks, a second for redundancy, and a person. More wait.
const CONNECTIONS_MAX: usize = 4;

/// Bytes that a request's head may have; the least that hyper takes.
const HEAD_MAX: usize = 8 * 1_024;

/// How long a connection may take from its beginning to its end: Prometheus asks again after ten
/// seconds at the earliest by default.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after the system refused a connection (mostly: no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The path of the page.
const PATH: &str = "/metrics";

/// What Prometheus expects of its text format.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether and where the counters can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsPolicy {
    /// Address and port to listen on. There is neither TLS nor a password: take a loopback address,
    /// or one that only the monitoring can reach. Without it nothing listens.
    pub listen: Option<SocketAddr>,
}

/// The page and what is on it.
#[derive(Debug)]
pub struct Exporter {
    counters: Mutex<Arc<Metrics>>,
    connected: AtomicBool,
    started_s: f64,
    connection_timeout: Duration,
}

impl Default for Exporter {
    fn default() -> Self {
        Self::new()
    }
}

impl Exporter {
    /// A page of counters that are 0.
    #[must_use]
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            counters: Mutex::default(),
            connected: AtomicBool::new(false),
            started_s: now.map_or(0.0, |now| now.as_secs_f64()),
            connection_timeout: CONNECTION_TIMEOUT,
        }
    }

    /// From now on these counters: those of the present agent.
    pub fn watch(&self, counters: Arc<Metrics>) {
        let mut present = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        *present = counters;
    }

    /// Something happened in the agent.
    pub fn tell(&self, what: &Happening<'_>) {
        match what {
            Happening::Connected { .. } => self.connected.store(true, Ordering::Relaxed),
            Happening::Disconnected { .. } => self.connected.store(false, Ordering::Relaxed),
            _ => {}
        }
    }

    /// The page.
    #[must_use]
    pub fn text(&self) -> String {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counters.counts();
        drop(counters);
        let mut page = Page::default();
        page.family("jobs_agent_jobs_total", "counter", "Jobs that are over.");
        for (outcome, count) in [
            ("succeeded", counts.succeeded),
            ("failed", counts.failed),
            ("rejected", counts.rejected),
            ("stopped", counts.stopped),
            ("unreported", counts.unreported),
            ("left", counts.left),
        ] {
            let labels = format!("{{outcome=\"{outcome}\"}}");
            page.value("jobs_agent_jobs_total", &labels, count);
        }
        let counters = [
            ("connects_total", "Connections made.", counts.connects),
            (
                "kicked_total",
                "Connections that ended right after they were accepted.",
                counts.kicked,
            ),
            (
                "ignored_messages_total",
                "Messages that changed nothing.",
                counts.ignored,
            ),
            (
                "handler_panics_total",
                "Handlers that broke.",
                counts.panics,
            ),
            (
                "store_errors_total",
                "Writes of records that failed.",
                counts.store_errors,
            ),
        ];
        for (name, help, count) in counters {
            let name = format!("jobs_agent_{name}");
            page.family(&name, "counter", help);
            page.value(&name, "", count);
        }
        let name = "jobs_agent_connected";
        page.family(name, "gauge", "1 while there is a connection.");
        page.value(name, "", u64::from(self.connected.load(Ordering::Relaxed)));
        let name = "jobs_agent_start_time_seconds";
        page.family(name, "gauge", "When the agent started, Unix time.");
        page.value(name, "", self.started_s);
        let name = "jobs_agent_info";
        page.family(name, "gauge", "1, with the version.");
        let labels = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
        page.value(name, &labels, 1);
        page.0
    }

    /// Serves the page until dropped.
    ///
    /// # Cancel safety
    /// Dropping it closes the listener; connections that are open end within seconds.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            // Before accepting: who finds no place waits in the system's queue.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let exporter = Arc::clone(&self);
                    tokio::spawn(async move {
                        exporter.answer(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    debug!(%error, "nobody could ask for the counters");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// One request, one answer.
    async fn answer(&self, stream: TcpStream) {
        let service = service_fn(|request| {
            let response = self.respond(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service);
        match timeout(self.connection_timeout, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "no request for the counters"),
            Err(_) => debug!("a request for the counters took too long"),
        }
    }

    fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.uri().path() != PATH {
            return refusal(StatusCode::NOT_FOUND);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        let mut response = Response::new(Full::new(Bytes::from(self.text())));
        let format = HeaderValue::from_static(FORMAT);
        response.headers_mut().insert(CONTENT_TYPE, format);
        response
    }
}

/// Opens the address.
///
/// # Errors
/// It is taken, or not of this machine.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Lines of the text format.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests;
