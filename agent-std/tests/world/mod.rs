//! An emulator, a thing on it, and agents that are started against them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use agent_std::boot::BootId;
use agent_std::link::BackoffOptions;
use agent_std::{Agent, AgentError, Counts, Endpoint, Handlers, Metrics, Transport};
use jobs_emulator::model::ExecutionView;
use jobs_emulator::{Direction, Emulator, Options, PacketKind};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const THING: &str = "pump-17";

/// Long enough that only a hang reaches it, however loaded the machine is.
const HANG: Duration = Duration::from_secs(60);
/// How often a test looks whether something has happened.
const LOOK: Duration = Duration::from_millis(10);

pub struct World {
    pub emulator: Emulator,
    pub state: TempDir,
}

impl World {
    pub async fn new() -> Self {
        if std::env::var_os("RUST_LOG").is_some() {
            let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        }
        Self::on(Emulator::start(Options::default()).await.unwrap())
    }

    /// A world around this emulator.
    pub fn on(emulator: Emulator) -> Self {
        emulator
            .with_service(|service, now_ms| service.create_thing(now_ms, THING))
            .unwrap();
        Self {
            emulator,
            state: tempfile::tempdir().unwrap(),
        }
    }

    pub fn endpoint(&self) -> Endpoint {
        endpoint(self.emulator.mqtt_addr().port())
    }

    /// An agent with short waits, everything else as shipped.
    pub fn agent(&self) -> Agent {
        agent(self.endpoint()).state_dir(self.state.path())
    }

    pub fn create(&self, job: &str, document: &Value) {
        self.create_for(THING, job, document);
    }

    pub fn create_for(&self, thing: &str, job: &str, document: &Value) {
        self.emulator
            .with_service(|service, now_ms| service.create_job(now_ms, job, &[thing], document))
            .unwrap();
    }

    /// One more thing besides [`THING`].
    pub fn thing(&self, name: &str) {
        self.emulator
            .with_service(|service, now_ms| service.create_thing(now_ms, name))
            .unwrap();
    }

    pub fn cancel(&self, job: &str) {
        self.emulator
            .with_service(|service, now_ms| service.cancel_job(now_ms, job, true))
            .unwrap();
    }

    pub fn execution(&self, job: &str) -> ExecutionView {
        self.execution_of(THING, job)
    }

    pub fn execution_of(&self, thing: &str, job: &str) -> ExecutionView {
        let service = self.emulator.service();
        service.execution(thing, job, None).expect("the job exists")
    }

    pub fn status(&self, job: &str) -> String {
        self.execution(job).status.as_str().to_owned()
    }

    /// Waits until a job of a thing has a status.
    pub async fn until_of(&self, thing: &str, job: &str, status: &str) {
        let is = || self.execution_of(thing, job).status.as_str().to_owned();
        until(
            || is() == status,
            || format!("{job} of {thing} is {} and not {status}", is()),
        )
        .await;
    }

    /// The `reason` among the status details.
    pub fn reason(&self, job: &str) -> String {
        self.detail(job, "reason")
    }

    pub fn detail(&self, job: &str, key: &str) -> String {
        let details = json!(self.execution(job).status_details);
        details[key].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a job has a status.
    pub async fn until(&self, job: &str, status: &str) {
        self.until_of(THING, job, status).await;
    }

    /// Topics of what the agent published, in order.
    pub fn published(&self) -> Vec<String> {
        self.sent(PacketKind::Publish)
    }

    /// Filters of what the agent subscribed to.
    pub fn subscribed(&self) -> Vec<String> {
        self.sent(PacketKind::Subscribe)
    }

    fn sent(&self, kind: PacketKind) -> Vec<String> {
        let entries = self.emulator.trace().entries().into_iter();
        entries
            .filter(|entry| entry.kind == kind && entry.direction == Direction::FromDevice)
            .filter_map(|entry| entry.topic)
            .collect()
    }

    /// Waits until the agent has subscribed and asked for its jobs, and had the answer.
    pub async fn settled(&self) {
        let asked = || {
            self.emulator.trace().count(|entry| {
                let topic = entry.topic.as_deref().unwrap_or_default();
                entry.direction == Direction::ToDevice && topic.ends_with("/$next/get/accepted")
            })
        };
        until(|| asked() > 0, || "the agent never asked for jobs".into()).await;
    }
}

pub fn endpoint(port: u16) -> Endpoint {
    Endpoint::plain("127.0.0.1", port).options(|options| {
        options.backoff = BackoffOptions {
            base_ms: 20,
            cap_ms: 50,
            permanent_ms: 100,
        };
    })
}

pub fn agent<T: Transport>(transport: T) -> Agent<Handlers, 1, T> {
    agent_of(THING, transport)
}

pub fn agent_of<T: Transport>(thing: &str, transport: T) -> Agent<Handlers, 1, T> {
    quick(Agent::new(thing, transport))
}

/// The same agent with short waits.
pub fn quick<T: Transport>(agent: Agent<Handlers, 1, T>) -> Agent<Handlers, 1, T> {
    agent.boot(BootId::named("first")).configure(|config| {
        config.backoff.base_ms = 20;
        config.backoff.cap_ms = 100;
        config.reply_timeout_ms = 1_000;
        config.settle_ms = 200;
        config.list_grace_ms = 200;
        config.progress_interval_ms = 0;
    })
}

/// Waits until a condition holds; fails with a text instead of hanging.
pub async fn until(mut holds: impl FnMut() -> bool, what: impl Fn() -> String) {
    let waited = tokio::time::timeout(HANG, async {
        while !holds() {
            tokio::time::sleep(LOOK).await;
        }
    });
    assert!(waited.await.is_ok(), "{}", what());
}

/// Fails the test instead of hanging it.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future)
        .await
        .expect("the test hangs here")
}

/// An agent in a task of its own.
pub struct Started {
    task: JoinHandle<Result<(), AgentError>>,
    stop: Option<oneshot::Sender<()>>,
    metrics: Arc<Metrics>,
}

impl Started {
    pub fn counts(&self) -> Counts {
        self.metrics.counts()
    }

    /// Ends it in order.
    pub async fn shut_down(mut self) {
        let _ = self.stop.take().unwrap().send(());
        soon(&mut self.task).await.unwrap().unwrap();
    }

    /// Drops its future, wherever it is.
    pub async fn kill(self) {
        self.task.abort();
        let ended = soon(self.task).await;
        assert!(ended.unwrap_err().is_cancelled());
    }

    /// Waits until it ends by itself.
    pub async fn ended(self) -> Result<(), AgentError> {
        let _stop = self.stop;
        soon(self.task).await.unwrap()
    }
}

/// Starts an agent with typed handlers.
pub fn start<const JOBS: usize, T>(agent: Agent<Handlers, JOBS, T>) -> Started
where
    T: Transport + 'static,
{
    let metrics = agent.metrics();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    Started {
        task: tokio::spawn(agent.run_until(shutdown)),
        stop: Some(stop),
        metrics,
    }
}

/// Starts an agent on a handler type of the test; `H` must make a `Send` run.
pub fn start_future(
    metrics: Arc<Metrics>,
    run: impl Future<Output = Result<(), AgentError>> + Send + 'static,
) -> Started {
    Started {
        task: tokio::spawn(run),
        stop: None,
        metrics,
    }
}
