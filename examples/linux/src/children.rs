//! A gateway that acts for its child devices: an agent for each, one connection for all of them, one
//! thread for their records. The gateway's policy allows the Jobs topics of its children.

use std::error::Error;
use std::path::Path;

use agent_std::link::hub::{Hub, THINGS_MAX};
use agent_std::store::StorePool;
use agent_std::{Agent, Endpoint, Job, Outcome};
use serde_json::Value;
use tokio::task::JoinSet;

pub(crate) async fn run(port: u16, state: &Path, children: usize) -> Result<(), Box<dyn Error>> {
    let children: Vec<String> = (0..children).map(|nth| format!("child-{nth}")).collect();
    let pool = StorePool::new(1)?;
    let mut agents = JoinSet::new();
    // AWS IoT takes 50 subscriptions on a connection, so more children need more connections.
    for (nth, some) in children.chunks(THINGS_MAX).enumerate() {
        let hub = Hub::connect(
            &format!("gateway-{nth}"),
            Endpoint::plain("127.0.0.1", port),
        )?;
        for child in some {
            let agent = Agent::new(child, hub.clone())
                .state_dir(state.join(child))
                .store_on(&pool)
                .on("read-meter", |_: Value, job: Job| async move {
                    // Here the gateway would ask its child over the field bus.
                    Outcome::Succeeded(agent_std::Details::new().with("read-by", job.id()))
                });
            agents.spawn(agent.run());
        }
    }
    // None ends unless it cannot work.
    while let Some(ended) = agents.join_next().await {
        ended??;
    }
    Ok(())
}
