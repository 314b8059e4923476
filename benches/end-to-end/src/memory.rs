//! What an idle agent costs: memory, tasks and threads of a process with 1, 100 and 10 000 of them.

use crate::Failure;
use crate::agents::Shared;
use crate::world::World;

pub async fn table(python: Option<&str>) -> Result<(), Failure> {
    println!("\n## Idle agents: connected, subscribed, queue asked for, records in memory\n");
    println!(
        "| agents in one process | share | PSS, KiB | per agent beyond the first, KiB | connections | tasks | threads |"
    );
    println!("|---|---|---|---|---|---|---|");
    for shared in Shared::ALL {
        let mut first = 0;
        for count in [1, 100, 10_000] {
            let world = World::new(count).await?;
            let mut agents = world.agents(count, "memory", shared)?;
            let connections = shared.connections(count);
            world.settled(connections).await?;
            let (pss, threads) = (agents.pss_kib()?, agents.threads()?);
            let tasks = agents.tasks().await?;
            let each = if count == 1 {
                first = pss;
                String::new()
            } else {
                let each = pss.saturating_sub(first) / (count as u64 - 1);
                each.to_string()
            };
            let share = shared.name();
            println!(
                "| {count} | {share} | {pss} | {each} | {connections} | {tasks} | {threads} |"
            );
            agents.end().await?;
        }
    }
    if let Some(python) = python {
        let world = World::new(1).await?;
        let client = world.sdk(python)?;
        world.settled(1).await?;
        println!("\nawsiotsdk (Python), 1: {} KiB", client.pss_kib()?);
        client.end().await?;
    }
    Ok(())
}
