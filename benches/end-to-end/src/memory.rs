//! Memory of a process with 1, 100 and 10 000 agents.

use crate::Failure;
use crate::world::World;

pub async fn table(python: Option<&str>) -> Result<(), Failure> {
    println!("\n## Memory: connected, subscribed, queue asked for, records in memory\n");
    println!("| client | PSS, KiB | per agent beyond the first, KiB |");
    println!("|---|---|---|");
    let mut first = 0;
    for count in [1, 100, 10_000] {
        let world = World::new(count).await?;
        let agents = world.agents(count, "memory")?;
        world.settled(count).await?;
        let pss = agents.pss_kib()?;
        let name = format!("agent-std, {count} in one process");
        if count == 1 {
            first = pss;
            println!("| {name} | {pss} | |");
        } else {
            let each = pss.saturating_sub(first) / (count as u64 - 1);
            println!("| {name} | {pss} | {each} |");
        }
        agents.end().await?;
    }
    if let Some(python) = python {
        let world = World::new(1).await?;
        let client = world.sdk(python)?;
        world.settled(1).await?;
        println!("| awsiotsdk (Python), 1 | {} | |", client.pss_kib()?);
        client.end().await?;
    }
    Ok(())
}
