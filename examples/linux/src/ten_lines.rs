//! The agent in ten lines. A job with `{"operation": "blink", "times": 3}` makes it blink.

use std::path::Path;

use agent_std::{Agent, AgentError, Endpoint, Job, Outcome};

#[derive(serde::Deserialize)]
struct Blink {
    times: u32,
}

pub(crate) async fn run(port: u16, state: &Path) -> Result<(), AgentError> {
    Agent::new("pump-17", Endpoint::plain("127.0.0.1", port))
        .state_dir(state)
        .on("blink", |document: Blink, job: Job| async move {
            println!("{}: blink {} times", job.id(), document.times);
            Outcome::succeeded()
        })
        .run()
        .await
}
