//! Many agents in one process, until it is killed.

use agent_std::boot::BootId;
use agent_std::store::MemoryStore;
use agent_std::{Agent, Endpoint, Job, Outcome};
use serde_json::Value;

use crate::Failure;

/// Runs `count` agents for the things `thing-0`, `thing-1`, …
pub fn run(port: &str, count: &str, store: &str) -> Result<(), Failure> {
    let (port, count): (u16, usize) = (port.parse()?, count.parse()?);
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut running = tokio::task::JoinSet::new();
        for nth in 0..count {
            let thing = format!("thing-{nth}");
            let agent = Agent::new(&thing, Endpoint::plain("127.0.0.1", port))
                .boot(BootId::named("first"))
                .on("blink", |_: Value, _: Job| async { Outcome::succeeded() });
            let agent = match store {
                "memory" => agent.store(MemoryStore::default()),
                _ => agent.state_dir(folder.path().join(&thing)),
            };
            running.spawn(agent.run());
        }
        // None ends by itself unless it cannot work.
        match running.join_next().await {
            Some(ended) => Ok(ended??),
            None => Ok(()),
        }
    })
}
