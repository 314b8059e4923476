//! The agent as its user builds it.

mod endpoint;
mod error;
#[cfg(feature = "https")]
mod https;
mod transport;
mod typed;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use jobs_agent_core::{Boot, BootId as CoreBootId, Config, JobHandler};
use jobs_proto::ThingName;

use crate::boot::{self, BootId};
use crate::driver::{self, Surroundings, machine, records};
use crate::happening::Happening;
use crate::metrics::Metrics;
use crate::reboot::{NoReboot, Reboot};
use crate::store::{RecordStore, StorePool};
use crate::typed::Handlers;

pub use endpoint::Endpoint;
pub use error::AgentError;
#[cfg(feature = "https")]
pub use https::HttpsEndpoint;
pub use transport::{Choice, Transport};

/// The folder under which each thing's records are kept unless [`Agent::state_dir`] says otherwise.
pub const STATE_ROOT: &str = "/var/lib/jobs-agent";

/// How long a handler may take to end after it was told to stop, in milliseconds, before it is
/// dropped: enough to close files and kill a child process, and short for whoever waits.
pub const STOP_GRACE_MS: u64 = 10_000;

type Configure = Box<dyn FnOnce(&mut Config<'_>) + Send>;

/// An agent that does the jobs of one thing: build it, give it handlers, run it.
///
/// ```no_run
/// use agent_std::{Agent, Endpoint, Job, Outcome};
///
/// #[derive(serde::Deserialize)]
/// struct Blink {
///     times: u32,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), agent_std::AgentError> {
/// Agent::new("pump-17", Endpoint::plain("127.0.0.1", 1883))
///     .state_dir("/var/lib/pump")
///     .on("blink", |document: Blink, job: Job| async move {
///         println!("{}: blink {} times", job.id(), document.times);
///         Outcome::succeeded()
///     })
///     .run()
///     .await
/// # }
/// ```
///
/// `H` decides and works: typed closures ([`Handlers`]) to begin with, or any [`JobHandler`] given
/// to [`handlers`](Self::handlers). `JOBS` is how many jobs run at a time, and `T` how it comes to
/// its connection: see [`Transport`].
pub struct Agent<H = Handlers, const JOBS: usize = 1, T = Endpoint> {
    thing: String,
    transport: T,
    records: Option<records::Place>,
    pool: Option<StorePool>,
    boot: Option<BootId>,
    configure: Vec<Configure>,
    around: Surroundings,
    handlers: H,
}

impl<H, const JOBS: usize, T> std::fmt::Debug for Agent<H, JOBS, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("thing", &self.thing)
            .field("jobs", &JOBS)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> Agent<Handlers, 1, T> {
    /// An agent for the thing of this name, over an [`Endpoint`] or another [`Transport`]. Nothing
    /// happens before it runs.
    #[must_use]
    pub fn new(thing: impl Into<String>, transport: T) -> Self {
        Self {
            thing: thing.into(),
            transport,
            records: None,
            pool: None,
            boot: None,
            configure: Vec::new(),
            around: Surroundings {
                reboot: Arc::new(NoReboot),
                metrics: Arc::default(),
                stop_grace_ms: STOP_GRACE_MS,
                observer: None,
            },
            handlers: Handlers::new(),
        }
    }
}

impl<H, const JOBS: usize, T> Agent<H, JOBS, T> {
    /// Where the job records are kept; the directory belongs to one running agent, and to one thing:
    /// an agent of another thing does not start while it holds unfinished jobs. Without it, a folder
    /// of the thing's name under [`STATE_ROOT`].
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.records = Some(records::Place::Dir(dir.into()));
        self
    }

    /// Keeps the job records in a store of your own instead of a directory.
    #[must_use]
    pub fn store(mut self, store: impl RecordStore + 'static) -> Self {
        self.records = Some(records::Place::Store(Box::new(store)));
        self
    }

    /// Works on its records with the threads of this pool instead of one of its own, for a program
    /// with many agents.
    #[must_use]
    pub fn store_on(mut self, pool: &StorePool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// The identity of this boot, for demonstrations and tests. Without it,
    /// [`BootId::present`].
    #[must_use]
    pub fn boot(mut self, boot: BootId) -> Self {
        self.boot = Some(boot);
        self
    }

    /// Changes what the core leaves to its user: [`Config`] lists the knobs with their defaults.
    /// The thing is that of [`Agent::new`], whatever is done here.
    ///
    /// ```
    /// use agent_std::{Agent, Endpoint, Unclaimed};
    ///
    /// let agent = Agent::new("pump-17", Endpoint::plain("127.0.0.1", 1883))
    ///     .configure(|config| config.unclaimed = Unclaimed::Leave);
    /// # let _ = agent;
    /// ```
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config<'_>) + Send + 'static) -> Self {
        self.configure.push(Box::new(change));
        self
    }

    /// How many jobs run at a time, 1 to 32; one unless said otherwise. The service shows a thing
    /// ten of its jobs at a time, so more than ten slots help only to finish old ones.
    #[must_use]
    pub fn jobs<const MORE: usize>(self) -> Agent<H, MORE, T> {
        self.with_handlers(|handlers| handlers)
    }

    /// How the machine is reset. Without it a job that needs a reboot fails with a text that says
    /// so.
    #[must_use]
    pub fn reboot_with(mut self, reboot: impl Reboot) -> Self {
        self.around.reboot = Arc::new(reboot);
        self
    }

    /// How long a handler may take to end after it was told to stop, in milliseconds, before it is
    /// dropped; [`STOP_GRACE_MS`] unless said otherwise.
    #[must_use]
    pub fn stop_grace_ms(mut self, stop_grace_ms: u64) -> Self {
        self.around.stop_grace_ms = stop_grace_ms;
        self
    }

    /// Works with these handlers instead of those given so far: a chain of
    /// [`NoRoute`](jobs_agent_core::NoRoute)`.on(..)`, or one of your own.
    #[must_use]
    pub fn handlers<N: JobHandler>(self, handlers: N) -> Agent<N, JOBS, T> {
        self.with_handlers(|_| handlers)
    }

    /// Tells `observer` what happens, in order. Called between two steps of the agent: it must
    /// neither block nor panic. A later one replaces an earlier one.
    ///
    /// ```
    /// use agent_std::{Agent, Endpoint, Happening};
    ///
    /// let agent = Agent::new("pump-17", Endpoint::plain("127.0.0.1", 1883)).observe(|what| {
    ///     if let Happening::Ended { job_id, ending } = what {
    ///         println!("{job_id}: {ending:?}");
    ///     }
    /// });
    /// # let _ = agent;
    /// ```
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(&Happening<'_>) + Send + Sync + 'static) -> Self {
        self.around.observer = Some(Box::new(observer));
        self
    }

    /// Counters to watch while the agent runs.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.around.metrics)
    }

    fn with_handlers<N, const MORE: usize>(self, give: impl FnOnce(H) -> N) -> Agent<N, MORE, T> {
        Agent {
            thing: self.thing,
            transport: self.transport,
            records: self.records,
            pool: self.pool,
            boot: self.boot,
            configure: self.configure,
            around: self.around,
            handlers: give(self.handlers),
        }
    }
}

impl<H: JobHandler, const JOBS: usize, T: Transport> Agent<H, JOBS, T> {
    /// Runs until the end of the process, or until dropped.
    ///
    /// # Errors
    /// As [`run_until`](Self::run_until).
    ///
    /// # Cancel safety
    /// As [`run_until`](Self::run_until).
    pub async fn run(self) -> Result<(), AgentError> {
        self.run_until(std::future::pending()).await
    }

    /// Runs until `shutdown` resolves, then leaves in order: takes no more work, drops the
    /// handlers (they go on after the next start), lets record writes that have begun finish,
    /// tells the broker, and lets go of the state directory. A run that is cut off like this
    /// counts as an attempt since the last checkpoint ([`Config::attempts_max`]), because nobody
    /// can tell an orderly end from a crash in the work.
    ///
    /// The future is `Send` when the handlers, their plans and their futures are, so that it can
    /// be spawned; typed closures always are. Handlers are polled by this future itself: one that
    /// blocks its thread blocks the agent, so put blocking work into
    /// [`tokio::task::spawn_blocking`].
    ///
    /// # Errors
    /// [`AgentError`] when the agent cannot start as configured, or when its store breaks down. A
    /// network or broker that fails is no error: the agent tries again.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O enabled.
    ///
    /// # Cancel safety
    /// Dropping the future at any point is safe for the jobs, as a power cut would be: a record
    /// write that has begun still ends, in a thread of its own, before the directory is let go,
    /// and the next agent goes on from there. Only the orderly leave is lost.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
        self.jobs::<1>()
            .run_on(machine::make::<JOBS>, shutdown)
            .await
    }
}

impl<H: JobHandler, T: Transport> Agent<H, 1, T> {
    /// Runs on the core that `make` makes: the same code for every number of slots.
    async fn run_on(
        self,
        make: machine::Make,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), AgentError> {
        let thing = ThingName::new(&self.thing).map_err(|source| AgentError::Thing {
            name: self.thing.clone(),
            source,
        })?;
        let mut config = Config::new(thing);
        self.transport.prepare(&mut config);
        for change in self.configure {
            change(&mut config);
        }
        config.thing = thing;
        let entropy = boot::process_entropy()?;
        let id = match self.boot {
            Some(id) => id,
            None => BootId::present(None)?,
        };
        let boot = Boot {
            id: CoreBootId(*id.as_bytes()),
            entropy,
        };
        let place = self
            .records
            .unwrap_or_else(|| records::Place::Dir(PathBuf::from(STATE_ROOT).join(&self.thing)));
        let store = records::open(place, &self.thing, self.pool.as_ref()).await?;
        let link = self.transport.open(&self.thing, entropy)?;
        let core = make(&config, boot);
        tracing::info!(thing = %self.thing, jobs = core.jobs(), "agent starts");
        driver::drive(core, link, store, self.handlers, self.around, shutdown).await
    }
}
