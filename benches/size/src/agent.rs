//! The core, driven as an adapter drives it: every public function can be reached.

use core::hint::black_box;

use jobs_agent_core::{
    Agent, Boot, BootId, Checkpoint, Completion, Config, Handled, Millis, OperationTag, Outcome,
    Output, Progress, Record, Refusal, RunId, RunPolicy, Scratch, Start,
};

use crate::{buffer, bytes, keep, number, text, thing};

/// The stored record, both ways.
#[inline(never)]
pub fn record() {
    let record = Record::decode(bytes());
    if let Ok(record) = &record {
        keep(record.encode(buffer()));
    }
    keep(record);
}

#[inline(never)]
fn now() -> Millis {
    Millis(black_box(0))
}

#[inline(never)]
fn slot() -> u8 {
    black_box(0)
}

/// What a program does with the outputs, as far as the core is concerned.
#[inline(never)]
fn perform<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, scratch: &mut Scratch) {
    let mut last_run = None;
    let output = black_box(agent.poll(now(), scratch));
    let receipt = match output {
        Output::Persist { receipt, .. }
        | Output::Erase { receipt, .. }
        | Output::Transmit { receipt, .. } => receipt,
        Output::Subscribe { receipt, filters } => {
            filters.iter().for_each(keep);
            receipt
        }
        Output::Run(permit) => {
            last_run = Some(permit.run());
            keep((permit.slot(), permit.job_id(), permit.tag()));
            keep((permit.attempt(), permit.deadline()));
            keep(permit.execution_number());
            match permit.into_start() {
                Start::Fresh => {}
                Start::Resume(checkpoint) => keep(checkpoint.bytes()),
            }
            return words(agent, last_run);
        }
        Output::Reboot(permit) => permit.into_receipt(),
        Output::Saved { .. } | Output::Stop { .. } | Output::Ended { .. } | Output::Wait(_) => {
            return;
        }
    };
    agent.handle_done(now(), receipt, black_box(Completion::Done));
    words(agent, last_run);
}

/// What a handler says.
#[inline(never)]
fn words<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, run: Option<RunId>) {
    let run = run.unwrap_or_default();
    if let Ok(checkpoint) = Checkpoint::new(bytes()) {
        let checkpoint = if number() == 0 {
            checkpoint
        } else {
            checkpoint.with_document()
        };
        keep(agent.handle_checkpoint(now(), slot(), run, &checkpoint));
    }
    let progress = Progress::percent(slot()).with(text(), text());
    agent.handle_progress(slot(), run, &progress);
    let outcome = match number() {
        0 => Outcome::succeeded(),
        1 => Outcome::failed(text()),
        2 => Outcome::rejected(text()),
        _ => match Checkpoint::new(bytes()) {
            Ok(checkpoint) => Outcome::Reboot(checkpoint),
            Err(_) => return,
        },
    };
    agent.handle_outcome(now(), slot(), run, &outcome);
    agent.handle_aborted(now(), slot(), run, text());
}

/// What arrives, and the decision on an offer.
#[inline(never)]
fn publish<const JOBS: usize>(agent: &mut Agent<'_, JOBS>) {
    match agent.handle_publish(now(), text(), bytes()) {
        Handled::Offer(ticket, offer) => {
            keep(ticket.slot());
            keep(offer);
            let verdict = match number() {
                0 => Ok((OperationTag(number()), black_box(RunPolicy::DEFAULT))),
                1 => Err(Refusal::Unknown),
                2 => Err(Refusal::NotMine),
                3 => Err(Refusal::Reject(jobs_agent_core::Reason::new(text()))),
                _ => Err(Refusal::Later { retry_ms: number() }),
            };
            agent.handle_plan(now(), ticket, verdict);
        }
        Handled::Taken => {}
        Handled::Ignored(reason) => keep(reason),
    }
}

/// One agent, from its start to all of its events.
pub fn drive<const JOBS: usize>() {
    let config = black_box(Config::new(thing()));
    let boot = Boot {
        id: BootId(black_box([0; 16])),
        entropy: black_box(0),
    };
    let mut agent: Agent<'_, JOBS> = Agent::new(&config, boot);
    let mut scratch = Scratch::new();
    keep(agent.restore(slot(), bytes()));
    loop {
        match number() {
            0 => agent.handle_connected(now()),
            1 => agent.handle_disconnected(now()),
            2 => publish(&mut agent),
            3 => keep((agent.is_idle(), agent.phase(slot()))),
            _ => perform(&mut agent, &mut scratch),
        }
    }
}
