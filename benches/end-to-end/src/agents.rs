//! Many agents in one process, until it is killed.

use std::io::BufRead;

use agent_std::boot::BootId;
use agent_std::link::hub::{Hub, THINGS_MAX};
use agent_std::store::{MemoryStore, StorePool};
use agent_std::{Agent, Endpoint, Job, Outcome, Transport};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::Failure;

/// What the agents of a process share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Nothing but the runtime: each has a connection and a thread for its records.
    Nothing,
    /// One thread for the records of all.
    Store,
    /// That, and connections: one for each [`THINGS_MAX`].
    Connection,
}

impl Shared {
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Store, Self::Connection];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Store => "store",
            Self::Connection => "connection",
        }
    }

    /// How many connections so many agents have.
    pub fn connections(self, agents: usize) -> usize {
        match self {
            Self::Nothing | Self::Store => agents,
            Self::Connection => agents.div_ceil(THINGS_MAX),
        }
    }
}

/// Runs `count` agents for the things `thing-0`, `thing-1`, …
pub fn run(port: &str, count: &str, store: &str, shared: &str) -> Result<(), Failure> {
    let (port, count): (u16, usize) = (port.parse()?, count.parse()?);
    let shared = Shared::ALL.into_iter().find(|some| some.name() == shared);
    let shared = shared.ok_or("agents share nothing, store or connection")?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tell_tasks(Handle::current());
        let pool = match shared {
            Shared::Nothing => None,
            Shared::Store | Shared::Connection => Some(StorePool::new(1)?),
        };
        let endpoint = || Endpoint::plain("127.0.0.1", port);
        let mut running = JoinSet::new();
        let mut hub = None;
        for nth in 0..count {
            let thing = format!("thing-{nth}");
            let place = match store {
                "memory" => None,
                _ => Some(folder.path().join(&thing)),
            };
            if shared != Shared::Connection {
                let agent = Agent::new(thing, endpoint());
                running.spawn(finish(agent, place, pool.as_ref()).run());
                continue;
            }
            if nth % THINGS_MAX == 0 {
                hub = Some(Hub::connect(&format!("gateway-{nth}"), endpoint())?);
            }
            if let Some(hub) = hub.clone() {
                let agent = Agent::new(thing, hub);
                running.spawn(finish(agent, place, pool.as_ref()).run());
            }
        }
        drop(hub);
        // None ends by itself unless it cannot work.
        match running.join_next().await {
            Some(ended) => Ok(ended??),
            None => Ok(()),
        }
    })
}

fn finish<T: Transport>(
    agent: Agent<agent_std::Handlers, 1, T>,
    place: Option<std::path::PathBuf>,
    pool: Option<&StorePool>,
) -> Agent<agent_std::Handlers, 1, T> {
    let agent = agent
        .boot(BootId::named("first"))
        .on("blink", |_: Value, _: Job| async { Outcome::succeeded() });
    let agent = match place {
        None => agent.store(MemoryStore::default()),
        Some(folder) => agent.state_dir(folder),
    };
    match pool {
        Some(pool) => agent.store_on(pool),
        None => agent,
    }
}

/// Answers each line of standard input with the number of tasks there are.
fn tell_tasks(runtime: Handle) {
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            println!("{}", runtime.metrics().num_alive_tasks());
        }
    });
}
