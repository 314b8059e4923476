//! Latency and throughput of happy jobs, and AWS's own SDK at the same jobs in the same run.
//!
//! Times come from the emulator's trace, so that nothing of the measurement runs in the client.

use jobs_emulator::{PacketKind, TraceEntry};

use crate::Failure;
use crate::agents::Shared;
use crate::world::{Client, World, is_up, until};

/// Jobs done one after the other: the trace has whole milliseconds, their mean is finer.
const LATENCY_JOBS: usize = 200;
/// Jobs queued at once.
const QUEUED_JOBS: usize = 300;

struct Row {
    name: String,
    /// Notification sent to outcome accepted, milliseconds.
    mean_ms: f64,
    worst_ms: u64,
    per_second: f64,
}

pub async fn table(python: Option<&str>) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (name, store) in [
        ("agent-std, durable records", "disk"),
        ("agent-std, records in memory", "memory"),
    ] {
        rows.push(row(name, |world| world.agents(1, store, Shared::Nothing)).await?);
    }
    if let Some(python) = python {
        let name = "awsiotsdk (Python), keeps no records";
        rows.push(row(name, |world| world.sdk(python)).await?);
    }
    println!("\n## Jobs end to end, loopback, without TLS\n");
    println!("| client | notify-next to outcome accepted, mean (worst) ms | jobs per second |");
    println!("|---|---|---|");
    for row in &rows {
        let (mean, worst, rate) = (row.mean_ms, row.worst_ms, row.per_second);
        println!("| {} | {mean:.2} ({worst}) | {rate:.0} |", row.name);
    }
    if let [durable, memory, sdk] = &rows[..] {
        for ours in [durable, memory] {
            println!(
                "\n{}: {:.2} x the SDK's latency, {:.2} x its jobs per second",
                ours.name,
                ours.mean_ms / sdk.mean_ms,
                ours.per_second / sdk.per_second
            );
        }
    }
    Ok(())
}

async fn row(
    name: &str,
    client: impl Fn(&World) -> Result<Client, Failure>,
) -> Result<Row, Failure> {
    let world = World::new(1).await?;
    let client = client(&world)?;
    world.settled(1).await?;
    let trace = world.emulator.trace();
    let (mut sum_ms, mut worst_ms) = (0, 0);
    for nth in 0..LATENCY_JOBS {
        trace.clear();
        let job = format!("latency-{nth}");
        world.create(&job)?;
        until("a job is done", || {
            world.succeeded(std::slice::from_ref(&job)) == 1
        })
        .await?;
        until("its answer is sent", || {
            answered(&trace.entries(), &job).is_some()
        })
        .await?;
        let entries = trace.entries();
        let told = entries
            .iter()
            .find(|entry| ends_with(entry, "/notify-next"));
        let told_ms = told.ok_or("no notify-next")?.at_ms;
        let took_ms = answered(&entries, &job)
            .unwrap_or(told_ms)
            .saturating_sub(told_ms);
        sum_ms += took_ms;
        worst_ms = worst_ms.max(took_ms);
    }
    world.quiet().await?;
    trace.clear();
    let jobs: Vec<String> = (0..QUEUED_JOBS)
        .map(|nth| format!("queued-{nth}"))
        .collect();
    for job in &jobs {
        world.create(job)?;
    }
    let last = [jobs[jobs.len() - 1].clone()];
    until("the last job is done", || world.succeeded(&last) == 1).await?;
    until("all jobs are done", || world.succeeded(&jobs) == jobs.len()).await?;
    world.quiet().await?;
    let entries = trace.entries();
    let answers = entries
        .iter()
        .filter(|entry| ends_with(entry, "/update/accepted"));
    let times: Vec<u64> = answers.map(|entry| entry.at_ms).collect();
    let (first, last) = (times.iter().min(), times.iter().max());
    let span_ms = last.zip(first).map_or(0, |(last, first)| last - first);
    client.end().await?;
    Ok(Row {
        name: name.into(),
        mean_ms: float(sum_ms) / float(LATENCY_JOBS as u64),
        worst_ms,
        per_second: float(QUEUED_JOBS as u64 - 1) * 1_000.0 / float(span_ms.max(1)),
    })
}

#[expect(clippy::cast_precision_loss, reason = "all numbers here are small")]
fn float(number: u64) -> f64 {
    number as f64
}

/// When the last update of a job was answered.
fn answered(entries: &[TraceEntry], job: &str) -> Option<u64> {
    let topic = format!("/{job}/update/accepted");
    let answers = entries.iter().filter(|entry| ends_with(entry, &topic));
    answers.map(|entry| entry.at_ms).max()
}

fn ends_with(entry: &TraceEntry, tail: &str) -> bool {
    let topic = entry.topic.as_deref().unwrap_or_default();
    entry.kind == PacketKind::Publish && !is_up(entry) && topic.ends_with(tail)
}
