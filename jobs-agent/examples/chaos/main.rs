//! Kills an agent again and again while it does a mixed set of jobs, and counts from outside what
//! came of each: nothing may be lost, nothing may be done twice.
//!
//! ```sh
//! cargo xtask chaos
//! ```
//!
//! The service is the emulator, over mutual TLS; the agent is the program as it ships. What steps
//! do is counted by the steps' own marks in a file, what is reported by the service's own books.
#![forbid(unsafe_code)]

mod device;
mod jobs;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use device::Device;
use jobs::Jobs;

/// How long a life of the agent lasts at least and at most: shorter than connecting takes, and
/// longer than most jobs take.
const LIFE_MS: (u64, u64) = (5, 900);

/// How long everything may take after the last kill before something counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the idle agent rests before its memory is looked at.
const REST: Duration = Duration::from_secs(2);

/// Kills an agent at random moments and counts what comes of its jobs.
#[derive(Debug, Parser)]
struct Cli {
    /// The program `jobs-agent`.
    #[arg(long)]
    agent: PathBuf,
    /// How often it is killed.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// Where the random moments begin; printed, so that a run can be repeated (as far as the
    /// machine's own timing can be).
    #[arg(long)]
    seed: Option<u64>,
}

/// Random moments (xorshift64*; Vigna 2016).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % most
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("chaos: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<(), Box<dyn std::error::Error>> {
    let seed = match cli.seed {
        Some(seed) => seed,
        None => agent_std::boot::process_entropy()?,
    };
    println!("chaos: seed {seed}, {} kills", cli.kills);
    let mut dice = Dice(seed | 1);
    let began = Instant::now();
    let mut device = Device::new(&cli.agent).await?;
    let mut jobs = Jobs::default();
    let mut during_steps = 0;
    for kill in 0..cli.kills {
        // One more job than is done in a life on average, so that there is always work.
        jobs.create(&device, &mut dice, kill)?;
        device.start()?;
        let life = LIFE_MS.0 + dice.below(LIFE_MS.1 - LIFE_MS.0);
        device.live(Duration::from_millis(life)).await?;
        during_steps += u32::from(device.has_steps());
        device.kill().await?;
    }
    device.start()?;
    jobs.settle(&mut device, PATIENCE).await?;
    tokio::time::sleep(REST).await;
    let pss_kib = device.pss_kib()?;
    device.kill().await?;
    jobs.judge(&device)?;
    let first_ms = device.first_job_ms().await?;
    println!(
        "chaos: {} jobs, {} effects, {} kills of which {during_steps} with a step on its way, {} reboots, {} s: \
         nothing lost, nothing doubled",
        jobs.count(),
        jobs.effects(),
        cli.kills,
        device.reboots(),
        began.elapsed().as_secs(),
    );
    println!("idle agent with mutual TLS: {pss_kib} KiB PSS (smaps_rollup)");
    println!("start to first job accepted: {first_ms} ms (new process, mutual TLS, same machine)");
    println!("binary: {} bytes", std::fs::metadata(&cli.agent)?.len());
    Ok(())
}
