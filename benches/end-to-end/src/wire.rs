//! What a device pays for on the wire, from the emulator's packet trace.

use std::time::Duration;

use agent_std::boot::BootId;
use agent_std::{Agent, Endpoint, Job, Outcome};
use jobs_emulator::{PacketKind, TraceEntry};
use serde_json::{Value, json};

use crate::world::{World, is_up, until, wire_bytes};
use crate::{Failure, idle};

/// AWS IoT meters a message in steps of this many bytes of payload.
const METERED_BYTES: usize = 5 * 1024;

/// Reports of the chatty job, and the time between two of them.
const REPORTS: u32 = 100;
const REPORT_EVERY: Duration = Duration::from_millis(20);

/// Sums of a stretch of the trace.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub packets: [usize; 2],
    pub bytes: [usize; 2],
    pub published: usize,
    pub subscribed: usize,
    /// PUBLISH packets in both directions, in steps of [`METERED_BYTES`].
    pub billable: usize,
}

impl Cost {
    pub fn of(entries: &[TraceEntry]) -> Self {
        let mut cost = Self::default();
        for entry in entries {
            cost.add(entry);
        }
        cost
    }

    pub fn add(&mut self, entry: &TraceEntry) {
        let way = usize::from(!is_up(entry));
        self.packets[way] += 1;
        self.bytes[way] += wire_bytes(entry);
        match entry.kind {
            PacketKind::Publish => {
                self.published += usize::from(is_up(entry));
                self.billable += entry.payload_bytes.div_ceil(METERED_BYTES).max(1);
            }
            PacketKind::Subscribe => self.subscribed += 1,
            _ => {}
        }
    }

    pub fn print(&self, name: &str) {
        let Self {
            packets: [up, down],
            bytes: [bytes_up, bytes_down],
            published,
            subscribed,
            billable,
        } = self;
        println!(
            "| {name} | {published} PUB + {subscribed} SUB | {up} / {down} | {bytes_up} / {bytes_down} | {billable} |"
        );
    }
}

fn agent(world: &World, progress_interval_ms: u32) -> Agent {
    Agent::new("thing-0", Endpoint::plain("127.0.0.1", world.port()))
        .boot(BootId::named("first"))
        .store(agent_std::store::MemoryStore::default())
        .configure(move |config| config.progress_interval_ms = progress_interval_ms)
        .on("blink", |_: Value, _: Job| async { Outcome::succeeded() })
        .on("chatty", |_: Value, job: Job| async move {
            for nth in 0..REPORTS {
                job.report_percent(u8::try_from(nth).unwrap_or(u8::MAX));
                tokio::time::sleep(REPORT_EVERY).await;
            }
            Outcome::succeeded()
        })
}

/// Waits of the shipped agent, milliseconds.
const SHIPPED_INTERVAL_MS: u32 = 10_000;

pub async fn table() -> Result<(), Failure> {
    println!("\n## On the wire: MQTT bytes, without TCP and TLS\n");
    println!("| what | device sends | packets up / down | bytes up / down | metered messages |");
    println!("|---|---|---|---|---|");
    idle::day()?.print("idle day");
    let world = World::new(1).await?;
    let running = tokio::spawn(agent(&world, SHIPPED_INTERVAL_MS).run());
    world.settled(1).await?;
    Cost::of(&world.emulator.trace().entries()).print("first connection");
    job(&world, "happy", "blink").await?.print("happy job");
    job(&world, "chatty", "chatty")
        .await?
        .print("job with 100 reports in 2 s");
    world.emulator.trace().clear();
    world.emulator.disconnect("thing-0");
    until("the agent is back", || {
        !world.emulator.connected().is_empty()
    })
    .await?;
    world.settled(1).await?;
    Cost::of(&world.emulator.trace().entries()).print("reconnect");
    running.abort();
    let world = World::new(1).await?;
    let running = tokio::spawn(agent(&world, 0).run());
    world.settled(1).await?;
    let name = "the same, every report sent (`progress_interval_ms` 0)";
    job(&world, "chatty", "chatty").await?.print(name);
    running.abort();
    Ok(())
}

/// One job, from its creation until nothing more is said.
async fn job(world: &World, job: &str, operation: &str) -> Result<Cost, Failure> {
    world.emulator.trace().clear();
    let document = json!({"operation": operation, "times": 3});
    world
        .emulator
        .with_service(|service, now_ms| service.create_job(now_ms, job, &["thing-0"], &document))?;
    until("the job is done", || world.succeeded(&[job.into()]) == 1).await?;
    world.quiet().await?;
    Ok(Cost::of(&world.emulator.trace().entries()))
}
