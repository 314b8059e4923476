//! The core, as an adapter reaches it: every public function, with arguments that nobody knows.
//!
//! What an adapter does with the results is its own, and not weighed here: values that only the
//! core can make come from nowhere ([`some`]) instead of being taken out of an earlier result.

use core::hint::black_box;

use jobs_agent_core::{
    Agent, Boot, BootId, Checkpoint, Completion, Config, Details, Filters, Millis, OperationTag,
    Outcome, Progress, Reason, RebootPermit, Receipt, Record, Refusal, RunId, RunPermit, RunPolicy,
    Scratch, Ticket,
};
use jobs_proto::ThingName;

use crate::{buffer, bytes, keep, number, text};

/// The stored record, both ways.
#[inline(never)]
pub fn record() {
    let record = Record::decode(bytes());
    if let Ok(record) = &record {
        keep(record.encode(buffer()));
    }
    keep(record);
}

/// The configuration of a firmware is a constant.
static CONFIG: Config<'_> = Config::new(match ThingName::new("thing") {
    Ok(thing) => thing,
    Err(_) => panic!(),
});

/// A value that the compiler knows nothing about, or none.
fn some<T>() -> Option<T> {
    black_box(None)
}

/// A point in time.
#[inline(never)]
fn now() -> Millis {
    Millis(black_box(0))
}

/// A slot.
#[inline(never)]
fn slot() -> u8 {
    black_box(0)
}

/// What the outputs lend. Getters that only read a member are their caller's loads, and not here.
#[inline(never)]
fn lent() {
    if let Some(filters) = some::<&Filters<'_>>() {
        filters.iter().for_each(keep);
    }
    if let Some(permit) = some::<&RunPermit<'_>>() {
        keep(permit.execution_number());
        keep(permit.deadline());
    }
    if let Some(permit) = some::<RunPermit<'_>>() {
        keep(permit.into_start());
    }
    if let Some(permit) = some::<RebootPermit>() {
        keep(permit.into_receipt());
    }
}

/// What a handler says.
#[inline(never)]
fn words<const JOBS: usize>(agent: &mut Agent<'_, JOBS>) {
    let run = black_box(RunId::default());
    if let Some(checkpoint) = some::<&Checkpoint>() {
        keep(agent.handle_checkpoint(now(), slot(), run, checkpoint));
    }
    if let Some(progress) = some::<&Progress>() {
        agent.handle_progress(slot(), run, progress);
    }
    if let Some(outcome) = some::<&Outcome>() {
        agent.handle_outcome(now(), slot(), run, outcome);
    }
    agent.handle_aborted(now(), slot(), run, text());
}

/// The values that a handler makes.
#[inline(never)]
fn values() {
    if let Some(checkpoint) = some::<Checkpoint>() {
        keep(checkpoint.with_document());
    }
    keep(Checkpoint::new(bytes()));
    keep(Progress::percent(slot()));
    if let Some(details) = some::<&Details>() {
        details.iter().for_each(keep);
    }
    keep(Details::new().with(text(), text()));
    keep(Outcome::succeeded());
    keep(Outcome::failed(text()));
    keep(Outcome::rejected(text()));
    keep(Reason::new(text()));
}

/// What arrives, and the decision on an offer.
#[inline(never)]
fn publish<const JOBS: usize>(agent: &mut Agent<'_, JOBS>) {
    keep(agent.handle_publish(now(), text(), bytes()));
    let verdict = some::<Result<(OperationTag, RunPolicy), Refusal>>();
    if let (Some(ticket), Some(verdict)) = (some::<Ticket>(), verdict) {
        agent.handle_plan(now(), ticket, verdict);
    }
}

/// One agent, from its start to all of its events.
pub fn drive<const JOBS: usize>() {
    let boot = Boot {
        id: BootId(black_box([0; 16])),
        entropy: black_box(0),
    };
    let mut agent = Agent::<'_, JOBS>::new(black_box(&CONFIG), boot);
    if let Some(scratch) = some::<&mut Scratch>() {
        events(&mut agent, scratch);
    }
}

#[inline(never)]
fn events<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, scratch: &mut Scratch) {
    keep(agent.restore(slot(), bytes()));
    loop {
        match number() {
            0 => agent.handle_connected(now()),
            1 => agent.handle_disconnected(now()),
            2 => publish(agent),
            3 => keep((agent.is_idle(), agent.phase(slot()))),
            4 => keep(agent.poll(now(), scratch)),
            5 => words(agent),
            6 => values(),
            7 => lent(),
            _ => {
                if let Some(receipt) = some::<Receipt>() {
                    agent.handle_done(now(), receipt, black_box(Completion::Done));
                }
            }
        }
    }
}
